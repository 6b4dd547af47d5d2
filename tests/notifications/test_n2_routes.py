"""Routes: asked in their order, changed by audited services, tried without effect."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditRecord
from core.actors import SYSTEM
from core.errors import InvalidInputError, InvalidTransitionError
from notifications.engine.matching import AlertFacts
from notifications.models import Event, Group, Notification, Route, Silence
from notifications.selectors.routing import plan
from notifications.services import routes, silences
from tests.notifications.threads import make_route, tell

pytestmark = pytest.mark.django_db

SHOP = AlertFacts(kind="check.down", severity="warning", service="shop", dedup_key="check:1")


def channels_told() -> list[str]:
    return sorted(Notification.objects.values_list("channel__name", flat=True))


def test_first_match_ends_the_search(make_webhook):
    first, second = make_webhook(name="a"), make_webhook(name="b")
    make_route(first)
    make_route(second, name="Shop too")
    tell(1)

    assert channels_told() == ["a"]


def test_route_that_goes_on_lets_the_others_be_asked(make_webhook):
    make_route(make_webhook(name="a"), go_on=True)
    make_route(make_webhook(name="b"), name="Shop too")
    tell(1)

    assert channels_told() == ["a", "b"]


def test_order_decides_and_can_be_changed(make_webhook):
    make_route(make_webhook(name="a"))
    second = make_route(make_webhook(name="b"), name="Shop too")
    assert routes.move(actor=SYSTEM, route_id=second.pk, up=True)
    assert not routes.move(actor=SYSTEM, route_id=second.pk, up=True)
    tell(1)

    assert channels_told() == ["b"]
    order = list(Route.objects.values_list("name", "position"))
    assert order[:2] == [("Shop too", 10), ("Shop", 20)]


def test_route_that_is_switched_off_is_not_asked(make_webhook):
    route = make_route(make_webhook(name="a"))
    routes.update(actor=SYSTEM, route_id=route.pk, enabled=False)
    tell(1)

    assert Group.objects.get().route_name == "Everything else"


def test_default_route_leaves_out_what_is_for_people(make_webhook, make_mail_channel):
    make_webhook(name="a")
    make_mail_channel(name="p", is_for_people=True)
    tell(1)

    assert channels_told() == ["a"]


def test_default_route_can_have_channels_of_its_own(make_webhook):
    make_webhook(name="a")
    chosen = make_webhook(name="b")
    default = routes.ensure_default()
    routes.update(actor=SYSTEM, route_id=default.pk, channels=[chosen.pk])
    tell(1)

    assert channels_told() == ["b"]


def test_default_route_is_made_once():
    assert routes.ensure_default() == routes.ensure_default()
    assert Route.objects.filter(is_default=True).count() == 1
    assert AuditRecord.objects.filter(action="route.created").count() == 1


def test_default_route_stays_what_it_is():
    default = routes.ensure_default()
    before = Route.objects.values().get()
    matchers = [{"field": "service", "op": "=", "values": ["shop"]}]

    for act in (
        lambda: routes.delete(actor=SYSTEM, route_id=default.pk),
        lambda: routes.update(actor=SYSTEM, route_id=default.pk, matchers=matchers),
        lambda: routes.update(actor=SYSTEM, route_id=default.pk, enabled=False),
        lambda: routes.move(actor=SYSTEM, route_id=default.pk, up=True),
    ):
        with pytest.raises(InvalidTransitionError):
            act()
    assert Route.objects.values().get() == before


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"matchers": []}, "matchers"),
        ({"matchers": [{"field": "service", "op": "~", "values": ["x"]}]}, "matchers"),
        ({"channels": []}, "channels"),
        ({"channels": ["6a3c2b50-7b60-4b5e-9a53-0d6a4b4a1f00"]}, "channels"),
        ({"group_by": ["status"]}, "group_by"),
        ({"group_wait_seconds": 4_000}, "group_wait_seconds"),
        ({"name": ""}, "name"),
        ({"chain": 4711}, "chain"),
    ],
)
def test_unusable_route_is_refused(make_webhook, fields, wrong):
    with pytest.raises(InvalidInputError) as refused:
        make_route(make_webhook(), **fields)

    assert list(refused.value.errors) == [wrong]
    assert Route.objects.count() == 0


def test_two_routes_have_two_names(make_webhook):
    channel = make_webhook()
    make_route(channel)
    with pytest.raises(InvalidInputError) as refused:
        make_route(channel)

    assert list(refused.value.errors) == ["name"]
    assert Route.objects.count() == 1


def test_conditions_that_cannot_be_read_stop_nobody_else(make_webhook, caplog):
    make_webhook(name="a")
    Route.objects.bulk_create([Route(name="Broken", matchers=[{"field": "?"}])])
    tell(1)

    assert channels_told() == ["a"]
    assert "the conditions of Broken cannot be read" in caplog.text


def test_trying_tells_what_would_happen_and_changes_nothing(make_webhook):
    make_route(make_webhook(name="a"), group_wait_seconds=30)
    make_route(make_webhook(name="b"), name="Shop too")
    now = timezone.now()

    found = plan(SHOP, at=now)

    assert [(one.route.name, one.is_taken, one.why) for one in found.tried] == [
        ("Shop", True, "It is for alerts of which service is shop."),
        ("Shop too", False, "A route above has ended the search."),
        ("Everything else", False, "A route above has ended the search."),
    ]
    (told,) = found.told
    assert (told.shared, told.first_at) == ({"service": "shop"}, now + timedelta(seconds=30))
    assert [one.channel.name for one in told.reached] == ["a"]
    assert (Route.objects.count(), Event.objects.count(), Group.objects.count()) == (2, 0, 0)


def test_trying_says_what_does_not_fit_and_that_nobody_is_told():
    found = plan(SHOP, at=timezone.now())

    assert [(one.route.name, one.is_taken) for one in found.tried] == [("Everything else", True)]
    assert found.told[0].trouble == "No channel is enabled: nobody would be told."


def test_trying_names_the_condition_that_is_not_met(make_webhook):
    make_route(make_webhook())
    facts = AlertFacts(kind="check.down", severity="warning", service="bank", dedup_key="x")

    first, second = plan(facts, at=timezone.now()).tried

    assert (first.is_taken, first.why) == (False, "The alert does not meet: service is shop.")
    assert second.is_taken


def test_trying_finds_the_silence(make_webhook):
    make_route(make_webhook())
    ends_at = timezone.now() + timedelta(hours=1)
    matchers = [{"field": "service", "op": "prefix", "values": ["sh"]}]
    silences.create(actor=SYSTEM, matchers=matchers, ends_at=ends_at, comment="Moving.")

    found = plan(SHOP, at=timezone.now())

    assert (found.silence, list(found.told)) == (Silence.objects.get(), [])


def test_addresses_are_masked_for_those_who_may_not_see_them(make_mail_channel):
    make_route(make_mail_channel("ada@example.com"))

    (masked,) = plan(SHOP, at=timezone.now()).told[0].reached
    (shown,) = plan(SHOP, at=timezone.now(), sees_recipients=True).told[0].reached

    assert (masked.recipient == "ada@example.com", shown.recipient) == (False, "ada@example.com")
