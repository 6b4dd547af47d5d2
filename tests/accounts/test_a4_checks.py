"""Default passwords, hashes of other days, and lists of breached passwords."""

import hashlib

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ValidationError

from accounts import checks, hashers, tasks
from accounts.models import User
from accounts.selectors import default_passwords
from accounts.services import login
from accounts.validators import BreachedPasswordValidator, OwnWordsValidator
from audit.models import AuditRecord
from audit.services.acts import unwatched
from core.errors import BusyError
from notifications.models import Event
from tests.accounts.factors import PASSWORD, RP


def test_a_default_password_of_staff_is_an_error_that_names_the_person(make_user):
    make_user(username="ann", role="admin")
    weak = make_user(username="bob", role="operator")
    with unwatched("a test"):
        weak.set_password("changeme")
        weak.save()

    found = checks.check_default_passwords()

    assert [(error.id, error.msg) for error in found] == [
        ("accounts.E010", "bob has a default password.")
    ]


def test_passwords_that_changed_are_judged_once_and_told(
    make_user, monkeypatch, django_capture_on_commit_callbacks
):
    for number in range(12):
        make_user(username=f"person{number:02}", is_staff=True)
    weak = make_user(username="weak", is_staff=True)
    judged = []
    real = default_passwords.is_one
    monkeypatch.setattr(
        default_passwords, "is_one", lambda user: judged.append(user.username) or real(user)
    )

    def run():
        judged.clear()
        with django_capture_on_commit_callbacks(execute=True):
            tasks.judge_passwords()
        return len(judged)

    assert [run(), run(), run()] == [10, 3, 0]
    assert not AuditRecord.objects.filter(action="password.found_default").exists()

    with unwatched("a test"):
        weak.set_password("changeme")
        weak.save()

    assert [run(), run()] == [1, 0]
    written = AuditRecord.objects.get(action="password.found_default")
    assert (written.target_id, written.actor_kind) == (str(weak.pk), "schedule")
    event = Event.objects.get(kind="access.default_password")
    assert (event.severity, event.title) == ("critical", "weak has a default password")


def test_people_without_the_console_and_disabled_ones_are_not_looked_at(make_user):
    for fields in ({"is_staff": False}, {"is_staff": True, "is_active": False}):
        user = make_user(**fields)
        with unwatched("a test"):
            user.set_password("admin")
            user.save()

    assert checks.check_default_passwords() == []


def test_an_imported_hash_is_replaced_at_the_first_sign_in(make_user, settings):
    settings.PASSWORD_HASHERS = [
        "accounts.hashers.BoundedArgon2Hasher",
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]
    user = make_user(username="ann")
    with unwatched("a test"):
        encoded = PBKDF2PasswordHasher().encode(PASSWORD, "salt-of-sixteen-b", iterations=1_000)
        User.objects.update(password=encoded)

    login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)

    user.refresh_from_db()
    assert user.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert AuditRecord.objects.filter(action="password.rehashed").count() == 1
    login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)
    assert AuditRecord.objects.filter(action="password.rehashed").count() == 1


def test_four_hashes_at_once_and_others_are_sent_away(make_user, settings, monkeypatch):
    settings.PASSWORD_HASHERS = ["accounts.hashers.BoundedArgon2Hasher"]
    monkeypatch.setattr(hashers, "WAIT_SECONDS", 0.05)
    make_user(username="ann")
    taken = [hashers.turn() for _ in range(hashers.AT_ONCE)]
    for place in taken:
        place.__enter__()
    try:
        with pytest.raises(BusyError) as busy:
            login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)
    finally:
        for place in taken:
            place.__exit__(None, None, None)

    assert (busy.value.status, busy.value.retry_after) == (503, 2)
    # The attempt was given back: it counts as nothing.
    for _ in range(6):
        login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)


@pytest.mark.parametrize("form", ["file", "folder"])
def test_a_breached_password_is_refused_by_a_list_on_this_machine(tmp_path, settings, form):
    words = [f"breached number {number}" for number in range(200)]
    sums = sorted(
        hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest().upper() for word in words
    )
    if form == "file":
        place = tmp_path / "sorted.txt"
        place.write_text("".join(f"{line}:{at}\r\n" for at, line in enumerate(sums)))
    else:
        place = tmp_path
        for line in sums:
            with (tmp_path / line[:5]).open("a") as file:
                file.write(f"{line[5:]}:1\n")
    settings.OPS_BREACHED_PASSWORDS = str(place)
    rule = BreachedPasswordValidator()

    for word in words:
        with pytest.raises(ValidationError, match="known from a breach"):
            rule.validate(word)
    for number in range(200):
        rule.validate(f"nobody has lost {number}")


def test_without_a_list_no_password_is_known_from_a_breach(settings):
    settings.OPS_BREACHED_PASSWORDS = ""

    BreachedPasswordValidator().validate("anything at all")


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("ann-ann-ann-ann", False),
        ("Admin1234567890!", False),
        ("OpsPlatform2026!", False),
        ("correct horse password staple", True),
        ("annual turnip harvest", True),
        ("8472936150284", True),
    ],
)
def test_own_words_do_not_make_a_password(password, is_good):
    rule = OwnWordsValidator()
    user = User(username="ann")
    if is_good:
        rule.validate(password, user)
        return
    with pytest.raises(ValidationError):
        rule.validate(password, user)
