"""Codes of apps: the RFC's vectors, one step early or late, each code once."""

import base64

import pytest

from accounts.actors import actor_for
from accounts.engine import totp as codes
from accounts.models import LoginChallenge, TOTPDevice
from accounts.services import challenges, login, recovery, totp
from accounts.services.mfa import CodeRefusedError
from audit.models import AuditRecord
from core.crypto import UnsealError
from core.errors import InvalidInputError, InvalidTransitionError, NotSignedInError
from tests.accounts.factors import PASSWORD, RP, code_of, with_app, with_codes

SHA1 = b"12345678901234567890"
SHA256 = b"12345678901234567890123456789012"
SHA512 = b"1234567890" * 6 + b"1234"


@pytest.mark.parametrize(
    ("at", "sha1", "sha256", "sha512"),
    [
        (59, "94287082", "46119246", "90693936"),
        (1111111109, "07081804", "68084774", "25091201"),
        (1111111111, "14050471", "67062674", "99943326"),
        (1234567890, "89005924", "91819424", "93441116"),
        (2000000000, "69279037", "90698825", "38618901"),
        (20000000000, "65353130", "77737706", "47863826"),
    ],
)
def test_the_vectors_of_rfc_6238_hold(at, sha1, sha256, sha512):
    step = codes.step_of(at)

    assert codes.code(SHA1, step, digits=8) == sha1
    assert codes.code(SHA256, step, digits=8, algorithm="sha256") == sha256
    assert codes.code(SHA512, step, digits=8, algorithm="sha512") == sha512


def test_one_step_early_and_late_is_accepted_two_are_not():
    at = 1_111_111_111.0
    now = codes.step_of(at)

    found = {
        offset: codes.match(SHA1, codes.code(SHA1, now + offset), at) for offset in range(-2, 3)
    }

    assert found == {-2: None, -1: now - 1, 0: now, 1: now + 1, 2: None}


def test_the_address_for_apps_is_quoted_and_the_seed_readable():
    address = codes.address(SHA1, issuer="OpsPlatform", name="ann@example.org:x")

    assert address == (
        "otpauth://totp/OpsPlatform:ann%40example.org%3Ax"
        f"?secret={base64.b32encode(SHA1).decode()}&issuer=OpsPlatform"
    )
    assert codes.written(SHA1) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


def test_an_app_is_added_by_its_first_code_and_the_seed_is_sealed(make_user):
    user = make_user()

    seed = with_app(user, label="Phone")

    device = TOTPDevice.objects.get()
    assert (device.label, device.user) == ("Phone", user)
    assert base64.b32encode(seed).decode() not in device.sealed_seed
    assert seed not in base64.urlsafe_b64decode(device.sealed_seed.rpartition(".")[2])
    assert AuditRecord.objects.filter(action="authenticator.added").count() == 1
    assert code_of(seed) not in AuditRecord.objects.get(action="authenticator.added").payload


def test_a_wrong_first_code_adds_nothing_and_may_be_corrected(make_user):
    user = make_user()
    token, seed = totp.begin(user=user, session=None)
    given = {"actor": None, "user": user, "session": None, "token": token}

    with pytest.raises(InvalidInputError):
        totp.confirm(**given, code="000000")
    assert TOTPDevice.objects.count() == 0

    given["actor"] = actor_for(user)
    totp.confirm(**given, code=code_of(seed))
    with pytest.raises(InvalidTransitionError):
        totp.confirm(**given, code=code_of(seed, steps=1))
    assert TOTPDevice.objects.count() == 1


def test_nobody_confirms_the_app_of_another(make_user):
    ann, bob = make_user(), make_user()
    token, seed = totp.begin(user=ann, session=None)

    with pytest.raises(InvalidTransitionError):
        totp.confirm(actor=None, user=bob, session=None, token=token, code=code_of(seed))

    assert TOTPDevice.objects.count() == 0


def test_a_seed_copied_to_another_row_does_not_open_there(make_user):
    ann, bob = make_user(), make_user()
    with_app(ann)
    with_app(bob)
    stolen = TOTPDevice.objects.get(user=bob)
    TOTPDevice.objects.filter(user=ann).update(sealed_seed=stolen.sealed_seed)

    with pytest.raises(UnsealError):
        totp.verify(user=ann, code="123456")


def test_a_code_works_once_and_an_older_one_no_more(make_user):
    user = make_user()
    seed = with_app(user)

    # Taken once: while the test runs, the next half-minute may begin.
    older, newer = code_of(seed), code_of(seed, steps=1)

    assert totp.verify(user=user, code=newer) is True
    assert totp.verify(user=user, code=newer) is False
    assert totp.verify(user=user, code=older) is False


def test_a_code_ends_the_sign_in_that_the_password_began(make_user):
    user = make_user(username="ann")
    seed = with_app(user)
    asked = login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)
    assert asked.methods == ("otp",)

    found = login.second_step(token=asked.token, rp=RP, place="login", code=code_of(seed))

    assert (found.user, found.methods) == (user, ("pwd", "otp", "mfa"))
    assert found.mfa_at is not None


def test_a_token_of_the_second_step_works_once(make_user):
    user = make_user(username="ann")
    seed = with_app(user)
    asked = login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)
    with pytest.raises(CodeRefusedError):
        login.second_step(token=asked.token, rp=RP, place="login", code="000000")
    login.second_step(token=asked.token, rp=RP, place="login", code=code_of(seed))

    with pytest.raises(NotSignedInError, match="Begin again"):
        login.second_step(token=asked.token, rp=RP, place="login", code=code_of(seed, steps=1))


def test_a_token_is_not_kept_in_the_clear_and_runs_out(make_user):
    user = make_user(username="ann")
    with_app(user)
    asked = login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)
    assert asked.token not in str(list(LoginChallenge.objects.values()))

    LoginChallenge.objects.update(expires_at=user.created_at)

    assert login.waiting(asked.token) is None
    assert challenges.clear_old() >= 1


def test_a_recovery_code_works_once_in_any_spelling(make_user):
    user = make_user(username="ann")
    with_app(user)
    made = with_codes(user)
    assert (len(made), len(set(made)), {len(code) for code in made}) == (10, 10, {19})
    given = made[0].upper().replace("-", " ")

    found = login.attempt(username="ann", password=PASSWORD, place="login", rp=RP, otp=given)

    assert found.methods == ("pwd", "recovery", "mfa")
    assert recovery.left(user) == 9
    with pytest.raises(CodeRefusedError):
        login.attempt(username="ann", password=PASSWORD, place="login", rp=RP, otp=made[0])
    told = AuditRecord.objects.filter(action__startswith="recovery_code").values_list("payload")
    assert not [code for code in made if code in str(list(told))]


def test_new_recovery_codes_end_the_old_ones(make_user):
    user = make_user(username="ann")
    with_app(user)
    old = with_codes(user)
    new = recovery.renew(actor=actor_for(user), user=user)

    assert recovery.use(actor=actor_for(user), user=user, given=old[0]) is False
    assert recovery.use(actor=actor_for(user), user=user, given=new[0]) is True
