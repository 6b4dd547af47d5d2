"""The first admin: one, with a random password told once (A9)."""

import io
import stat
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import Installation, User
from accounts.services.first_admin import create_first_admin
from audit.models import AuditRecord
from core.actors import SYSTEM

pytestmark = pytest.mark.django_db


def _run(**options):
    out = io.StringIO()
    call_command("create_first_admin", stdout=out, **options)
    return out.getvalue()


def test_the_first_call_tells_a_password_that_works_once():
    told = _run()
    admin = User.objects.get()
    assert admin.check_password(told.split()[-1])
    assert admin.must_change_password
    assert admin.has_perm("accounts.add_user")
    assert not admin.is_superuser


def test_until_somebody_signs_in_each_call_tells_a_password_that_works():
    first = _run().split()[-1]
    second = _run().split()[-1]
    admin = User.objects.get()
    assert first != second
    assert (admin.check_password(first), admin.check_password(second)) == (False, True)


def test_once_somebody_signed_in_nothing_is_changed(client):
    password = _run().split()[-1]
    client.post("/admin/login/", {"username": "admin", "password": password})
    before = User.objects.get().password
    assert "nothing was changed" in _run()
    assert User.objects.get().password == before


def test_a_person_who_exists_already_makes_it_needless(make_user):
    make_user()
    assert create_first_admin(actor=SYSTEM) is None
    assert User.objects.count() == 1


def test_the_password_goes_to_a_private_new_file(tmp_path):
    path = tmp_path / "password"
    told = _run(password_file=str(path))
    assert User.objects.get().check_password(path.read_text().strip())
    assert path.read_text().strip() not in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_exists_stops_it_before_an_admin_is_made(tmp_path):
    path = tmp_path / "password"
    path.write_text("keep")
    with pytest.raises(CommandError, match="no admin was made"):
        _run(password_file=str(path))
    assert path.read_text() == "keep"
    assert (User.objects.count(), Installation.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_at_once_make_one_admin():
    made = []

    def start():
        try:
            if found := create_first_admin(actor=SYSTEM):
                made.append(found)
        finally:
            connection.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert User.objects.count() == 1
    # Whoever came later gave the same person another password; the last one is valid.
    assert sum(User.objects.get().check_password(password) for _, password in made) == 1


def test_the_console_leads_to_a_new_password_first(client):
    _, password = create_first_admin(actor=SYSTEM)
    answer = client.post(
        "/admin/login/?next=/admin/", {"username": "ADMIN", "password": password}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/account/password/"
    assert client.get("/admin/accounts/user/").headers["Location"] == "/account/password/"
    assert client.get("/api/audit/").json()["type"].endswith("password-change-required")

    new = "correct horse battery staple"
    form = {"old_password": password, "new_password1": new, "new_password2": new}
    client.post("/account/password/", form)

    assert client.get("/admin/").status_code == 200
    assert client.get("/api/audit/").status_code == 200
    assert not User.objects.get().must_change_password


def test_the_one_time_password_cannot_be_kept(client):
    _, password = create_first_admin(actor=SYSTEM)
    client.post("/admin/login/", {"username": "admin", "password": password})
    form = {"old_password": password, "new_password1": password, "new_password2": password}
    page = client.post("/account/password/", form)
    assert "Choose another password than the one you have." in page.content.decode()
    assert User.objects.get().must_change_password


def test_a_person_gets_back_in_from_the_machine(client, make_user):
    make_user(role="admin", username="bob")
    out = io.StringIO()
    call_command("reset_password", "BOB", stdout=out)
    password = out.getvalue().split("password ")[1].split()[0]
    user = User.objects.get()
    assert user.check_password(password)
    assert user.must_change_password
    with pytest.raises(CommandError, match="no user eve"):
        call_command("reset_password", "eve")


def test_an_expired_one_time_password_does_not_sign_in(client):
    _, password = create_first_admin(actor=SYSTEM)
    User.objects.update(password_expires_at=timezone.now() - timedelta(seconds=1))
    answer = client.post("/admin/login/", {"username": "admin", "password": password})
    assert answer.status_code == 200
    assert "has expired" in answer.content.decode()
    assert AuditRecord.objects.filter(action="session.refused").count() == 1
    assert "_auth_user_id" not in client.session
