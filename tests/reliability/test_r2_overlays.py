"""What is told of a check beside its state, and who explains whom."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from core.certificates import Certificate
from core.errors import InvalidInputError
from notifications.models import Event
from reliability.engine import flapping
from reliability.engine.batch import Batch
from reliability.engine.strikes import Rules, Standing, State, Tracker, advance, lose
from reliability.models import Alert, Check, CheckState
from reliability.selectors import configuration
from reliability.services import catalogue, results
from tests.reliability.conftest import result_of

AT = datetime(2026, 1, 1, tzinfo=UTC)


# Flapping


def test_the_weights_of_all_changes_are_one_and_the_newest_weighs_most():
    assert flapping.share((1 << 20) - 1) == pytest.approx(1)
    assert flapping.share(0) == 0
    assert flapping.share(1) == pytest.approx(1.2 / 20)
    assert flapping.share(1 << 19) == pytest.approx(0.8 / 20)


def test_only_twenty_changes_are_remembered():
    changes = 0
    for _ in range(40):
        changes = flapping.remember(changes, differs=True)
    assert changes == (1 << 20) - 1


def test_it_takes_more_to_begin_than_to_go_on():
    changes, was, turns = 0, False, []
    for differs in [True] * 12 + [False] * 20:
        changes = flapping.remember(changes, differs=differs)
        now = flapping.flaps(changes, was_flapping=was)
        turns += [now] if now is not was else []
        was = now
    assert turns == [True, False]
    assert not flapping.flaps(0b1111111, was_flapping=False)
    assert flapping.flaps(0b1111111, was_flapping=True)


def test_a_target_that_flaps_is_told_once_and_its_turns_are_not(make_check, held, observe):
    check = make_check(strikes_down=1, strikes_up=1)
    outcomes = [True, False] * 12
    results.store(batch=observe(check, *outcomes), held=held)

    state = CheckState.objects.get()
    assert state.is_flapping
    firing = Alert.objects.get(rule="check_flapping")
    assert firing.state == "firing"
    told = Event.objects.count()

    results.store(batch=observe(check, *outcomes), held=held)
    assert Event.objects.count() == told

    results.store(batch=observe(check, *[True] * 21), held=held)
    assert not CheckState.objects.get().is_flapping
    firing.refresh_from_db()
    assert firing.state == "resolved"


# Definite failures and probes that could not be made


@pytest.mark.parametrize(
    ("at_once", "is_definite", "state"),
    [(True, True, "down"), (True, False, "suspect"), (False, True, "suspect")],
)
def test_a_definite_failure_is_down_at_once_where_the_rules_say_so(at_once, is_definite, state):
    rules = Rules(60, 10, down_at_once=at_once)

    tracker, _ = advance(Tracker(since=AT), rules, ok=False, at=AT, is_definite=is_definite)

    assert tracker.state == state


def test_a_lost_probe_makes_unknown_from_the_first_doubt():
    rules = Rules(60, 10, strikes_down=3)
    tracker, _ = advance(Tracker(since=AT), rules, ok=True, at=AT)
    doubt = AT + timedelta(seconds=60)
    tracker, _ = advance(tracker, rules, ok=False, at=doubt)

    lost, (shift,) = lose(tracker, rules, at=AT + timedelta(seconds=80))

    assert (shift.at, shift.before, shift.after) == (doubt, Standing.UP, Standing.UNKNOWN)
    assert (lost.state, lost.since, lost.streak_fail) == (State.UNKNOWN, doubt, 0)
    assert lose(lost, rules, at=AT + timedelta(seconds=100))[1] == ()


# Certificates


def seen(check, held, not_after, **fields):
    ((target, tracker),) = configuration.watches([check.pk])
    certificate = Certificate(AT, not_after, "ab" * 32) if not_after else None
    result = result_of(check, ok=True, at=timezone.now(), certificate=certificate, **fields)
    tracker, shifts = advance(tracker, target.rules, ok=True, at=result.at)
    batch = Batch()
    batch.note(target, tracker, shifts, result)
    results.store(batch=batch, held=held)


def alerts():
    return list(Alert.objects.order_by("pk").values_list("rule", "state"))


def test_a_certificate_that_ends_soon_is_told_once_and_again_when_renewed(make_check, held):
    check = make_check("https://127.0.0.1:9/", tls_min_days=14)
    now = timezone.now()
    seen(check, held, now + timedelta(days=30))
    assert alerts() == []

    for _ in range(2):
        seen(check, held, now + timedelta(days=5, hours=12))
    assert alerts() == [("certificate_expires", "firing")]
    assert Alert.objects.get().title.endswith("ends in 5 days")
    assert Event.objects.count() == 1
    assert CheckState.objects.get().state == "up"

    seen(check, held, now + timedelta(days=90))
    assert alerts() == [("certificate_expires", "resolved")]


def test_another_target_ends_the_warning(make_check, held, operator):
    check = make_check("https://127.0.0.1:9/", tls_min_days=14)
    seen(check, held, timezone.now() + timedelta(days=5))

    catalogue.update_check(actor=operator, check_id=check.pk, url="http://127.0.0.1:9/")
    assert CheckState.objects.get().cert_not_after is None
    seen(check, held, None)

    assert alerts() == [("certificate_expires", "resolved")]


# Parents


def test_a_check_depends_on_others_and_the_log_tells(make_check, operator):
    parent, child = make_check(), make_check()

    catalogue.update_check(actor=operator, check_id=child.pk, parents=[parent.pk])

    assert list(child.parents.all()) == [parent]
    assert Check.objects.get(pk=child.pk).config_version == 2
    catalogue.update_check(actor=operator, check_id=child.pk, parents=[])
    assert list(child.parents.all()) == []


def test_a_circle_is_refused_however_long(make_check, operator):
    first, second, third = make_check(), make_check(), make_check()
    catalogue.update_check(actor=operator, check_id=second.pk, parents=[first.pk])
    catalogue.update_check(actor=operator, check_id=third.pk, parents=[second.pk])

    for key in (first.pk, third.pk):
        with pytest.raises(InvalidInputError) as refused:
            catalogue.update_check(actor=operator, check_id=first.pk, parents=[key])
        assert list(refused.value.errors) == ["parents"]

    assert list(first.parents.all()) == []


def test_a_parent_that_does_not_exist_is_refused(make_service, operator):
    service = make_service()

    with pytest.raises(InvalidInputError):
        catalogue.create_check(
            actor=operator, service_id=service.pk, url="http://127.0.0.1:9/", parents=[999]
        )

    assert not Check.objects.exists()


# Kinds


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "tcp", "host": "db.example.com"}, "port"),
        ({"kind": "tcp", "port": 5432}, "host"),
        ({"kind": "http"}, "url"),
        ({"kind": "icmp", "host": "169.254.169.254"}, "host"),
        ({"kind": "tls", "host": "0x7f.1"}, "host"),
        ({"kind": "dns", "host": "a.example", "dns_server": "ns.example.com"}, "dns_server"),
        ({"kind": "dns", "host": "a.example", "dns_server": "169.254.169.254"}, "dns_server"),
        ({"kind": "dns", "host": "a.example", "dns_server": "192.168.1.1:99999"}, "dns_server"),
        ({"kind": "gopher", "host": "a.example"}, "kind"),
    ],
)
def test_what_a_kind_cannot_do_without_is_named(make_service, operator, fields, field):
    service = make_service()

    with pytest.raises(InvalidInputError) as refused:
        catalogue.create_check(actor=operator, service_id=service.pk, **fields)

    assert field in refused.value.errors
    assert not Check.objects.exists()


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"kind": "tcp", "host": "::1", "port": 5432}, "[::1]:5432"),
        ({"kind": "tls", "host": "a.example"}, "a.example:443"),
        ({"kind": "dns", "host": "a.example", "dns_type": "MX"}, "MX a.example"),
        ({"kind": "icmp", "host": "10.0.0.1"}, "10.0.0.1"),
    ],
)
def test_a_check_without_a_name_is_called_by_what_it_asks(make_service, operator, fields, shown):
    check = catalogue.create_check(actor=operator, service_id=make_service().pk, **fields)

    assert (check.label, check.shown_url) == (shown, shown)
    assert [target.kind for target in configuration.targets()] == [fields["kind"]]


def test_tags_are_kept_once(make_check):
    assert make_check(tags=["eu", " eu ", "db"]).tags == ["eu", "db"]


def test_a_body_is_not_told_to_the_log(make_check):
    make_check(method="POST", body="token=hunter22")

    told = AuditRecord.objects.get(action="check.created").payload
    assert "hunter22" not in told
    assert json.loads(told)["after"]["body"] == "[masked]"
