"""What lets a person go on: unlocking, and proofs that no stranger can take away."""

import time

import pytest

from accounts.actors import actor_for
from accounts.models import AttemptBucket
from accounts.services import buckets, devices, lockout, login, mfa, stepup
from accounts.services.mfa import CodeRefusedError
from audit.models import AuditRecord
from core import tracing
from core.actors import SYSTEM
from core.errors import NotSignedInError, TooManyError
from tests.accounts.factors import PASSWORD, RP, code_of, with_app

HOME = "192.0.2.1"
ELSEWHERE = "203.0.113.9"
WRONG = "wrong but long enough"


@pytest.fixture
def ann(make_user):
    return make_user(username="ann")


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that tests set."""

    class Clock:
        ahead = 0.0

        def __call__(self):
            return real() + self.ahead

    real = time.time
    moved = Clock()
    monkeypatch.setattr("accounts.services.lockout.time.time", moved)
    return moved


def attempt(name="ann", password=WRONG, *, device="", address=HOME, otp=""):
    with tracing.bind(address=address):
        return login.attempt(
            username=name, password=password, place="login", rp=RP, device=device, otp=otp
        )


def fail(times, name="ann", **how):
    for _ in range(times):
        with pytest.raises(NotSignedInError):
            attempt(name, **how)


def test_unlocking_helps_whoever_mistyped_at_one_address(ann):
    fail(5)
    with pytest.raises(TooManyError):
        attempt(password=PASSWORD)

    lockout.unlock(actor=SYSTEM, user_id=ann.pk)

    assert attempt(password=PASSWORD).user == ann


def test_unlocking_helps_in_browsers_that_are_known_too(ann):
    first = devices.remember("", "ann", epoch=0)
    second = devices.remember("", "ann", epoch=0)
    fail(5, device=first)
    fail(5, device=second, address="192.0.2.2")

    lockout.unlock(actor=SYSTEM, user_id=ann.pk)

    assert attempt(password=PASSWORD, device=first).user == ann
    assert attempt(password=PASSWORD, device=second).user == ann


def test_unlocking_forgets_the_address_of_wrong_codes(ann):
    seed = with_app(ann)
    for number in range(5):
        with pytest.raises(CodeRefusedError):
            attempt(password=PASSWORD, otp=f"00000{number}")

    lockout.unlock(actor=SYSTEM, user_id=ann.pk)

    assert attempt(password=PASSWORD, otp=code_of(seed)).user == ann


def test_unlocking_frees_no_other_address_and_no_other_person(ann, make_user):
    make_user(username="bob")
    for number in range(5):
        fail(1, f"name{number}", address=ELSEWHERE)
    fail(5, "bob", address="198.51.100.7")
    fail(5)

    lockout.unlock(actor=SYSTEM, user_id=ann.pk)

    with pytest.raises(TooManyError, match="from your network"):
        attempt(password=PASSWORD, address=ELSEWHERE)
    with pytest.raises(TooManyError, match="ask an admin"):
        attempt("bob", PASSWORD, address="198.51.100.8")


def test_a_stranger_takes_no_fresh_proof_away(ann):
    fail(5, address=ELSEWHERE)
    with pytest.raises(TooManyError):
        attempt(password=PASSWORD, address="198.51.100.4")

    with tracing.bind(address="198.51.100.4"):
        login.confirm_password(user=ann, password=PASSWORD)


def test_a_stranger_in_the_same_network_takes_none_away_either(ann):
    for number in range(5):
        fail(1, f"name{number}")

    with tracing.bind(address=HOME):
        login.confirm_password(user=ann, password=PASSWORD)


def test_five_wrong_proofs_lock_proving_and_signing_in(ann):
    for _ in range(5):
        with tracing.bind(address=HOME), pytest.raises(NotSignedInError):
            login.confirm_password(user=ann, password=WRONG)

    with tracing.bind(address=HOME), pytest.raises(TooManyError) as refused:
        login.confirm_password(user=ann, password=PASSWORD)
    assert 890 <= refused.value.retry_after <= 900
    with pytest.raises(TooManyError):
        attempt(password=PASSWORD, address=ELSEWHERE)

    lockout.unlock(actor=SYSTEM, user_id=ann.pk)
    with tracing.bind(address=HOME):
        login.confirm_password(user=ann, password=PASSWORD)


def test_a_sign_in_does_not_forget_wrong_proofs_of_another(ann):
    """Whoever took a session cannot have a guess anew each time the owner signs in."""
    for _ in range(4):
        with tracing.bind(address=ELSEWHERE), pytest.raises(NotSignedInError):
            login.confirm_password(user=ann, password=WRONG)
    attempt(password=PASSWORD)

    with tracing.bind(address=ELSEWHERE), pytest.raises(NotSignedInError):
        login.confirm_password(user=ann, password=WRONG)
    with tracing.bind(address=ELSEWHERE), pytest.raises(TooManyError):
        login.confirm_password(user=ann, password=WRONG)


def test_a_locked_address_judges_no_second_factor(ann):
    seed = with_app(ann)
    asked = attempt(password=PASSWORD)
    for number in range(5):
        fail(1, f"name{number}")

    def second(address, device=""):
        with tracing.bind(address=address):
            return login.second_step(
                token=asked.token, rp=RP, place="login", code=code_of(seed), device=device
            )

    before = AuditRecord.objects.count()
    with pytest.raises(TooManyError, match="from your network"):
        second(HOME)

    told = AuditRecord.objects.latest("id")
    assert AuditRecord.objects.count() == before + 1
    assert (told.action, told.outcome) == ("session.refused", "denied")
    # The code was not used up, and a browser that is known goes on.
    assert second(HOME, devices.remember("", "ann", epoch=0)).user == ann


def test_a_fresh_proof_by_code_works_at_a_locked_address(ann):
    seed = with_app(ann)
    for number in range(5):
        fail(1, f"name{number}")

    with tracing.bind(address=HOME):
        assert mfa.prove_by_code(user=ann, given=code_of(seed)) == "otp"


def test_a_clock_that_is_set_back_locks_nobody_for_longer(ann, clock):
    clock.ahead = 86_400
    fail(5)
    clock.ahead = 0

    until = lockout.locked_until("ann", ann.pk)
    assert until.timestamp() - time.time() <= 901
    with pytest.raises(TooManyError) as refused:
        attempt(password=PASSWORD)
    assert refused.value.retry_after <= 900
    with pytest.raises(TooManyError):
        attempt(password=PASSWORD, address=ELSEWHERE)

    clock.ahead = 902
    assert attempt(password=PASSWORD).user == ann
    assert attempt(password=PASSWORD, address=ELSEWHERE).user == ann


def test_a_clock_that_is_set_back_keeps_no_attempt_in_flight(ann, clock):
    clock.ahead = 86_400
    for _ in range(5):
        lockout.reserve_password("ann")
    clock.ahead = 0

    with pytest.raises(Exception, match=r"judged|failed"):
        lockout.reserve_password("ann")
    clock.ahead = 932

    assert attempt(password=PASSWORD).user == ann


def test_a_clock_that_is_set_back_hides_no_failures_of_all(db, clock):
    clock.ahead = 86_400
    lockout.wrong(lockout.Ticket(key="k0", at=0.0))
    clock.ahead = 0

    lockout.wrong(lockout.Ticket(key="k0", at=0.0))

    row = AttemptBucket.objects.get(key=buckets.key_of("all", ""))
    assert row.failures == 1
    assert row.last_at <= time.time()


def test_step_up_asks_for_what_the_person_has(ann):
    from accounts.services import sessions

    session = sessions.begin_api(user=ann).session
    fail(5, address=ELSEWHERE)

    with tracing.bind(address=HOME):
        stepup.prove(user=ann, session=session, rp=RP, password=PASSWORD)

    session.refresh_from_db()
    assert session.reauth_at is not None
    assert actor_for(ann).name == "ann"
