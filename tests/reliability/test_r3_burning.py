"""What an objective says while it burns, and what it watches when its checks are deleted."""

import json

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from reliability.models import SLO, Alert
from reliability.selectors import objectives
from reliability.services import catalogue, guard
from reliability.services import objectives as changes
from tests.reliability.pasts import DAY, HOUR, MINUTE, each_minute, probed, stood

LIST = "/admin/reliability/slo/"


@pytest.fixture
def admin(console, make_user):
    return console(make_user(role="admin"))


def down_for(check, lasting, *, history=40 * DAY, probes=True):
    """Give a check a past that ends down; return its objective and the moment."""
    now = timezone.now()
    stood(check, now, ("up", history), ("down", lasting))
    if probes:
        probed(check, each_minute(now, lasting), ok=False)
    return SLO.objects.get(service=check.service), now


def test_an_objective_that_burns_does_not_say_release_as_usual(make_check, admin, api, make_user):
    slo, now = down_for(make_check(), 10 * MINUTE)
    assert objectives.standing(slo, now=now).consequence == "Release as usual."

    guard.watch_fast(with_events=False, now=now)

    found = objectives.standing(slo, now=now)
    assert (found.state, found.burning) == ("ok", "slo_fast_burn")
    assert found.consequence == objectives.BURNING["slo_fast_burn"]
    for path in (LIST, f"{LIST}{slo.pk}/"):
        assert "Burns fast" in admin.get(path).content.decode()
    text = admin.get(f"{LIST}{slo.pk}/").content.decode()
    assert "Burning: the budget goes far faster" in text
    assert "Release as usual." not in text
    api.force_authenticate(make_user("reliability.view_slo"))
    (told,) = api.get("/api/ops/slo/status").data["results"]
    assert (told["state"], told["burning"]) == ("ok", "slo_fast_burn")


def test_a_spent_budget_that_burns_says_both(make_check):
    slo, now = down_for(make_check(), 5 * HOUR)

    guard.guard(now=now)

    text = objectives.standing(slo, now=now).consequence
    assert text == f"{objectives.BURNING['slo_fast_burn']} {objectives.CONSEQUENCES['exhausted']}"


@pytest.mark.parametrize(
    ("history", "probes", "why"),
    [
        (40 * DAY, False, "Held back: fewer than 3 bad probes in 2 different minutes"),
        (50 * MINUTE, True, "Held back: no history for all of the last hour"),
    ],
)
def test_a_rate_that_is_too_high_says_why_nobody_is_woken(make_check, admin, history, probes, why):
    slo, now = down_for(make_check(), 10 * MINUTE, history=history, probes=probes)

    guard.watch_fast(with_events=False, now=now)

    text = admin.get(f"{LIST}{slo.pk}/").content.decode()
    assert '<span class="badge badge-warn">Too fast</span>' in text
    assert why in text
    assert not Alert.objects.exists()


def test_a_rate_that_wakes_people_is_red(make_check, admin):
    slo, _ = down_for(make_check(), 10 * MINUTE)

    text = admin.get(f"{LIST}{slo.pk}/").content.decode()

    assert '<span class="badge badge-bad">Too fast</span>' in text


@pytest.mark.parametrize(("policy", "fires"), [("ignore", False), ("good", False), ("bad", True)])
def test_unknown_time_that_counts_as_bad_raises_an_alert(make_check, operator, policy, fires):
    check, now = make_check(), timezone.now()
    slo = SLO.objects.get(service=check.service)
    changes.update(actor=operator, slo_id=slo.pk, unknown_policy=policy)
    stood(check, now, ("up", 40 * DAY), ("unknown", 10 * HOUR))

    guard.watch_fast(with_events=False, now=now)

    assert Alert.objects.filter(slo=slo, rule="slo_fast_burn").exists() is fires


def test_an_objective_whose_checks_are_deleted_does_not_widen(make_check, operator, admin):
    named = make_check()
    other = catalogue.create_check(
        actor=operator, service_id=named.service_id, url="http://127.0.0.1:9/other"
    )
    slo = SLO.objects.get(service=named.service)
    changes.update(actor=operator, slo_id=slo.pk, checks=[named.pk])
    now = timezone.now()
    stood(named, now, ("up", 40 * DAY))
    stood(other, now, ("up", 40 * DAY))
    label = named.label

    catalogue.delete_check(actor=operator, check_id=named.pk)

    slo.refresh_from_db()
    found = objectives.standing(slo, now=now)
    assert (found.state, found.sli, slo.names_checks) == ("insufficient", None, True)
    told = AuditRecord.objects.filter(action="slo.updated").order_by("-pk")[0]
    after = json.loads(told.payload)["after"]
    assert after == {"checks": [], "check_deleted": label}
    assert "those that it named were deleted" in admin.get(f"{LIST}{slo.pk}/").content.decode()
    form = admin.get(f"{LIST}{slo.pk}/change/").content.decode()
    assert "The checks that it named were deleted" in form

    # A change of something else keeps it narrow; only naming none widens it.
    changes.update(actor=operator, slo_id=slo.pk, name="Narrow")
    assert objectives.standing(slo, now=now).state == "insufficient"
    changes.update(actor=operator, slo_id=slo.pk, checks=[])
    slo.refresh_from_db()
    assert (objectives.standing(slo, now=now).state, slo.names_checks) == ("ok", False)
