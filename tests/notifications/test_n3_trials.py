"""After a pause one message goes out on trial, and only one that may go."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.models import Channel, Notification
from notifications.services import claims
from tests.notifications.conftest import alert_to, raise_alert, route_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(make_webhook) -> Channel:
    """Return a channel whose pause after failures is over."""
    channel = make_webhook()
    Channel.objects.update(fails=5, open_until=timezone.now() - timedelta(seconds=1))
    channel.refresh_from_db()
    return channel


def block(channel: Channel) -> None:
    """Leave one message that waits for its next try, and one that must wait for the first."""
    first = alert_to(channel, transition_seq=1)
    alert_to(channel, transition_seq=2, status="resolved")
    later = timezone.now() + timedelta(minutes=5)
    Notification.objects.filter(pk=first.pk).update(next_at=later)


def test_no_trial_is_spent_on_what_must_wait(channel):
    block(channel)

    assert claims.claim(channel_id=channel.pk) is None

    before = channel.open_until
    channel.refresh_from_db()
    assert channel.open_until == before


def test_no_worker_is_started_for_what_must_wait(channel):
    block(channel)
    assert claims.channels_due() == []

    raise_alert(dedup_key="check:2")
    route_all()

    assert claims.channels_due() == [channel.pk]


def test_of_two_who_saw_the_pause_end_one_takes_the_trial(channel):
    alert_to(channel)
    seen_by_both = Channel.objects.get()

    assert claims._take_trial(seen_by_both)
    assert not claims._take_trial(seen_by_both)
