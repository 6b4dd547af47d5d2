"""Five failures, fifteen minutes: by name, by address, by device, and for the second factor."""

import time

import pytest
from django.conf import settings

from accounts import signals
from accounts.models import AttemptBucket
from accounts.services import buckets, devices, lockout, login
from accounts.services.mfa import CodeRefusedError
from audit.models import AuditRecord
from core import tracing
from core.actors import SYSTEM
from core.errors import BusyError, NotSignedInError, TooManyError
from tests.accounts.factors import PASSWORD, RP, code_of, with_app

WRONG = "wrong but long enough"


@pytest.fixture
def ann(make_user):
    return make_user(username="ann")


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that tests set forward."""

    class Clock:
        def __init__(self):
            self.ahead = 0.0

        def __call__(self):
            return real() + self.ahead

    real = time.time
    moved = Clock()
    monkeypatch.setattr("accounts.services.lockout.time.time", moved)
    return moved


def attempt(name="ann", password=WRONG, *, device="", address="192.0.2.1"):
    with tracing.bind(address=address):
        return login.attempt(username=name, password=password, place="login", rp=RP, device=device)


def fail(times, name="ann", **how):
    for number in range(times):
        with pytest.raises(NotSignedInError):
            attempt(name, **{"address": f"198.51.100.{number}", **how})


def test_after_five_failures_the_right_password_must_wait(ann):
    fail(5)

    with pytest.raises(TooManyError) as refused:
        attempt(password=PASSWORD)

    assert 890 <= refused.value.retry_after <= 900
    assert "Try again in 15 minutes" in refused.value.message
    assert (refused.value.status, refused.value.code) == (429, "locked")


def test_four_failures_do_not_lock_and_a_sign_in_forgets_them(ann):
    fail(4)
    assert attempt(password=PASSWORD).user == ann

    fail(4)

    assert attempt(password=PASSWORD).user == ann


def test_fifteen_quiet_minutes_unlock(ann, clock):
    fail(5)
    clock.ahead = 898
    with pytest.raises(TooManyError, match="Try again in a minute"):
        attempt(password=PASSWORD)

    clock.ahead = 902

    assert attempt(password=PASSWORD).user == ann


def test_attempts_while_locked_do_not_prolong_it(ann, clock):
    fail(5)
    clock.ahead = 600
    for _ in range(10):
        with pytest.raises(TooManyError):
            attempt()

    clock.ahead = 902

    assert attempt(password=PASSWORD).user == ann


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_a_locked_answer_computes_no_hash_and_writes_no_counter(ann, monkeypatch, name):
    fail(5, name)
    before = list(AttemptBucket.objects.order_by("key").values())
    monkeypatch.setattr(
        "accounts.services.passwords.verify_password", lambda *_: pytest.fail("hashed")
    )

    with pytest.raises(TooManyError):
        attempt(name)

    assert list(AttemptBucket.objects.order_by("key").values()) == before


def test_five_failures_from_one_address_lock_the_address_and_no_success_helps(ann, make_user):
    make_user(username="bob")
    for number in range(4):
        fail(1, f"name{number}", address="192.0.2.9")
    assert attempt("bob", PASSWORD, address="192.0.2.9").user.username == "bob"
    fail(1, "name5", address="192.0.2.9")

    with pytest.raises(TooManyError, match="from your network"):
        attempt("bob", PASSWORD, address="192.0.2.9")

    assert attempt("bob", PASSWORD, address="192.0.2.10").user.username == "bob"


def test_the_limit_of_an_address_can_be_raised(ann, settings):
    settings.OPS_LOCKOUT_ADDRESS_FAILURES = 7
    for number in range(6):
        fail(1, f"name{number}", address="192.0.2.9")

    assert attempt(password=PASSWORD, address="192.0.2.9").user == ann


def test_an_ipv6_subscriber_is_one_address(ann):
    for number in range(5):
        fail(1, f"name{number}", address=f"2001:db8:1:2::{number + 1:x}")

    with pytest.raises(TooManyError):
        attempt(password=PASSWORD, address="2001:db8:1:2:ffff::1")
    assert attempt(password=PASSWORD, address="2001:db8:1:3::1").user == ann


def test_a_known_browser_is_judged_by_its_own_bucket(ann):
    known = devices.remember("", "ann", epoch=0)
    fail(5)

    assert attempt(password=PASSWORD, device=known).user == ann


def test_a_known_browser_locks_itself_and_its_failures_count_on_the_name(ann):
    known = devices.remember("", "ann", epoch=0)
    fail(5, device=known)

    with pytest.raises(TooManyError):
        attempt(password=PASSWORD, device=known)
    with pytest.raises(TooManyError):
        attempt(password=PASSWORD)


@pytest.mark.parametrize("cookie", ["", "x", "a" * 22, f"{'a' * 22}.{'b' * 22}", "é" * 45])
def test_a_cookie_that_was_made_up_is_no_known_browser(ann, cookie):
    assert devices.known(cookie, "ann", epoch=0) == ""


def test_a_browser_is_known_for_the_names_that_signed_in_and_keeps_four():
    cookie = ""
    for number in range(6):
        cookie = devices.remember(cookie, f"name{number}", epoch=0)

    known = [number for number in range(6) if devices.known(cookie, f"name{number}", epoch=0)]

    assert known == [2, 3, 4, 5]
    assert "name5" not in cookie


def test_the_second_factor_has_a_bucket_of_its_own(ann):
    seed = with_app(ann)
    for number in range(5):
        with tracing.bind(address=f"198.51.100.{number}"), pytest.raises(CodeRefusedError):
            login.attempt(
                username="ann", password=PASSWORD, place="login", rp=RP, otp=f"00000{number}"
            )

    with pytest.raises(TooManyError):
        login.attempt(username="ann", password=PASSWORD, place="login", rp=RP, otp=code_of(seed))

    # The password is judged still: its bucket is another.
    asked = login.attempt(username="ann", password=PASSWORD, place="login", rp=RP)
    assert asked.methods == ("otp",)


def test_fifty_wrong_codes_a_day_are_the_end_of_the_day(ann, clock):
    with_app(ann)
    # The second half of the day, so that all tries fall on one day.
    clock.ahead = (86_400 - time.time() % 86_400) + 10
    for round_ in range(10):
        for _ in range(5):
            ticket = lockout.reserve_second_factor(ann.pk, name="ann")
            lockout.wrong(ticket)
        clock.ahead += 901
        if round_ < 9:
            lockout.give_back(lockout.reserve_second_factor(ann.pk, name="ann"))

    with pytest.raises(TooManyError) as refused:
        lockout.reserve_second_factor(ann.pk, name="ann")

    assert refused.value.retry_after > 60_000


def test_an_attempt_that_was_killed_counts_as_a_failure(ann, clock):
    for _ in range(5):
        lockout.reserve_password("ann")
    with pytest.raises(BusyError):
        lockout.reserve_password("ann")
    clock.ahead = 31

    with pytest.raises(TooManyError) as refused:
        attempt(password=PASSWORD)

    assert 860 <= refused.value.retry_after <= 900
    clock.ahead = 902
    assert attempt(password=PASSWORD).user == ann


def test_an_attempt_that_ends_too_late_frees_nobody_elses_place(db, clock):
    late = lockout.reserve_password("ann")
    clock.ahead = 29
    for _ in range(4):
        lockout.reserve_password("ann")
    clock.ahead = 31

    lockout.right(late)

    assert AttemptBucket.objects.get(key=late.key).pending == 5


def test_an_admin_unlocks_and_it_is_on_the_record(ann, clock):
    fail(5)
    until = lockout.locked_until("ann", ann.pk)
    assert 890 <= until.timestamp() - time.time() <= 900

    lockout.unlock(actor=SYSTEM, user_id=ann.pk)

    assert lockout.locked_until("ann", ann.pk) is None
    assert attempt(password=PASSWORD).user == ann
    assert AuditRecord.objects.filter(action="user.unlocked", target_id=str(ann.pk)).count() == 1


@pytest.mark.parametrize(("name", "told"), [("ann", "ann"), ("nobody", "")])
def test_the_failure_that_locks_is_told_once(ann, name, told, django_capture_on_commit_callbacks):
    heard = []

    def hear(name, place, minutes, **_):
        heard.append((name, place, minutes))

    signals.account_locked.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        fail(5, name)
        with pytest.raises(TooManyError):
            attempt(name)

    assert heard == [(told, "password", 15)]


def test_a_thousand_failures_in_five_minutes_are_told_once(
    db, clock, django_capture_on_commit_callbacks
):
    heard = []

    def hear(failures, minutes, **_):
        heard.append((failures, minutes))

    signals.many_failures.connect(hear)
    with django_capture_on_commit_callbacks(execute=True):
        for number in range(1_002):
            ticket = lockout.Ticket(key=f"k{number % 7}", at=0.0)
            lockout.wrong(ticket)
    clock.ahead = 301
    with django_capture_on_commit_callbacks(execute=True):
        lockout.wrong(lockout.Ticket(key="k0", at=0.0))

    assert heard == [(1_000, 5)]


def test_old_buckets_are_deleted(ann, clock):
    fail(2)
    assert lockout.clear_old() == 0
    clock.ahead = 3 * 86_400

    assert lockout.clear_old() >= 3

    assert AttemptBucket.objects.count() == 0


def test_the_table_tells_no_names(ann):
    fail(1)

    assert "ann" not in str(list(AttemptBucket.objects.values_list("key")))
    assert settings.KEYRING.ensure(buckets.PEPPER)
