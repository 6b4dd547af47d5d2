"""Signing keys: published before they sign, trusted after they signed, revoked at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO

import jwt
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import SigningKey
from accounts.selectors import signing
from accounts.services import sessions, signing_keys
from accounts.services.signing_keys import LIFETIME, keep_in_step
from accounts.services.tokens import refresh
from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidTransitionError, NotFoundError
from tests.support.followers import Follower

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture
def person(make_user):
    return make_user(role="engineer")


def token(person) -> str:
    return sessions.begin_api(user=person).access


def kid_of(access: str) -> str:
    return str(jwt.get_unverified_header(access)["kid"])


def works(api, access: str) -> bool:
    answer = api.get("/api/auth/me", headers={"authorization": f"Bearer {access}"})
    return answer.status_code == 200


def states() -> list[str]:
    return [*SigningKey.objects.order_by("created_at").values_list("state", flat=True)]


def older(by: timedelta) -> None:
    """Let so much time pass for all keys."""
    for key in SigningKey.objects.defer("private_pem"):
        SigningKey.objects.filter(pk=key.pk).update(
            sign_from=key.sign_from - by, retire_at=key.retire_at and key.retire_at - by
        )


def test_the_first_key_is_made_when_it_is_needed(person):
    assert states() == []
    assert kid_of(token(person)) == SigningKey.objects.get().kid
    assert states() == ["active"]


def test_of_many_at_once_one_makes_it():
    barrier = threading.Barrier(5)
    found = []

    def sign():
        barrier.wait()
        try:
            found.append(signing_keys.signer().kid)
        finally:
            connection.close()

    threads = [threading.Thread(target=sign) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert {*found} == {SigningKey.objects.get().kid}


def test_the_private_half_is_sealed(person):
    token(person)
    with connection.cursor() as cursor:
        cursor.execute("SELECT private_pem FROM accounts_signingkey")
        kept = cursor.fetchone()[0]
    assert kept.startswith("v1.")
    assert "PRIVATE" not in kept


def test_a_rotation_signs_nobody_out(api, person):
    first = token(person)
    older(LIFETIME)
    keep_in_step(actor=SYSTEM)
    assert states() == ["active", "staged"]
    staged = SigningKey.objects.get(state="staged")
    assert staged.sign_from - timezone.now() > timedelta(minutes=9)
    assert kid_of(token(person)) == kid_of(first)
    assert staged.kid in {key["kid"] for key in signing.published()}

    older(timedelta(minutes=10))
    keep_in_step(actor=SYSTEM)
    assert states() == ["retiring", "active"]
    second = token(person)
    assert kid_of(second) == staged.kid
    assert works(api, first)
    assert works(api, second)

    older(timedelta(minutes=20))
    keep_in_step(actor=SYSTEM)
    assert states() == ["retired", "active"]
    assert not works(api, first)
    assert works(api, second)
    actions = AuditRecord.objects.filter(action__startswith="signing_key.").order_by("id")
    assert [*actions.values_list("action", flat=True)] == [
        "signing_key.created",
        "signing_key.created",
        "signing_key.promoted",
        "signing_key.retired",
    ]


def test_who_signs_no_more_cannot_sign(person):
    token(person)
    signing_keys.rotate(actor=SYSTEM)
    older(timedelta(minutes=10))
    keep_in_step(actor=SYSTEM)
    assert SigningKey.objects.get(state="retiring").private_pem is None


def test_nothing_happens_before_its_time(person):
    token(person)
    older(LIFETIME - DAY)
    keep_in_step(actor=SYSTEM)
    assert states() == ["active"]


def test_one_key_is_staged_at_a_time(person):
    token(person)
    signing_keys.rotate(actor=SYSTEM)
    with pytest.raises(InvalidTransitionError):
        signing_keys.rotate(actor=SYSTEM)
    assert states() == ["active", "staged"]


def test_a_revoked_key_takes_its_tokens_along_and_another_signs(api, person):
    pair = sessions.begin_api(user=person)
    assert works(api, pair.access)
    signing_keys.revoke(actor=SYSTEM, kid=kid_of(pair.access), reason="leaked")
    assert not works(api, pair.access)
    assert states() == ["revoked", "active"]
    # Nobody has to sign in again: refresh tokens do not depend on these keys.
    fresh = refresh(pair.refresh)
    assert works(api, fresh.access)
    assert kid_of(pair.access) not in {key["kid"] for key in signing.published()}


def test_another_process_refuses_a_revoked_key(person):
    first = kid_of(token(person))
    other = Follower()
    try:
        assert other.ask("key", first) == "trusted"
        signing_keys.revoke(actor=SYSTEM, kid=first, reason="leaked")
        assert float(other.ask("until_key", first)) < 1.0
    finally:
        other.close()


def test_a_key_is_revoked_once(person):
    kid = kid_of(token(person))
    signing_keys.revoke(actor=SYSTEM, kid=kid, reason="leaked")
    with pytest.raises(InvalidTransitionError):
        signing_keys.revoke(actor=SYSTEM, kid=kid, reason="leaked")
    with pytest.raises(NotFoundError):
        signing_keys.revoke(actor=SYSTEM, kid="nobody", reason="leaked")
    assert states() == ["revoked", "active"]


def test_the_key_set_is_public_and_verifies(api, person):
    access = token(person)
    answer = api.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert {*key} == {"kty", "n", "e", "kid", "use", "alg"}
    known = jwt.PyJWKSet.from_dict(answer.json())[kid_of(access)]
    assert jwt.decode(access, known, audience="opsplatform")["iss"]


def test_the_command_rotates_lists_and_revokes(person):
    out = StringIO()
    call_command("rotate_jwt_keys", stdout=out)
    call_command("rotate_jwt_keys", stdout=out)
    assert states() == ["active", "staged"]
    call_command("rotate_jwt_keys", "--list", stdout=out)
    kid = SigningKey.objects.get(state="active").kid
    assert f"{kid}  active" in out.getvalue()
    call_command("rotate_jwt_keys", "--revoke", kid, stdout=out)
    assert states() == ["revoked", "active"]
    with pytest.raises(CommandError):
        call_command("rotate_jwt_keys", "--revoke", kid, stdout=out)
