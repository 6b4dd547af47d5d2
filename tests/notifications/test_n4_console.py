"""The outbox and the channels in the console."""

import re

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditRecord
from core.adminlists import BoundedPaginator
from notifications.models import Channel, Event, Notification
from notifications.services.senders import webhook_config
from tests.notifications.conftest import alert_to, break_seal, raise_alert, route_all
from tests.notifications.queued import queue
from tests.notifications.receivers import Answer

pytestmark = pytest.mark.django_db

QUEUE = "admin:notifications_notification_changelist"
CHANNELS = "admin:notifications_channel_changelist"
URL = "https://hooks.example.com/services/t0p-s3cret"
SETTINGS = {"name": "chat", "enabled": "on", "timeout_seconds": "10", "max_parallel": "10"}


@pytest.fixture
def as_role(console, make_user):
    return lambda role: console(make_user(role=role))


def act(client, page: str, action: str, *rows, confirmed: bool = True):
    """Choose an action for rows, and confirm it as the page that asks does."""
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(reverse(page), data | ({"confirmed": "yes"} if confirmed else {}))


def change_page(channel: Channel) -> str:
    return reverse("admin:notifications_channel_change", args=[channel.pk])


def test_queue_tells_state_and_reason(as_role, make_webhook):
    message = alert_to(make_webhook(name="chat"))
    Notification.objects.update(state="dead", last_error="The receiver answered 401.")

    page = as_role("operator").get(reverse(QUEUE)).content.decode()

    for told in (message.title, "Dead", "chat", "The receiver answered 401."):
        assert told in page


def test_queue_costs_the_same_for_one_row_and_for_forty(as_role, make_webhook):
    channel = make_webhook()
    client = as_role("operator")
    client.get(reverse(QUEUE))  # the first page of a session also writes its CSRF secret
    costs = []
    for count in (1, 40):
        queue(channel, count)
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse(QUEUE))
        costs.append(len(queries))
        lists = [q["sql"] for q in queries if 'FROM "notifications_notification"' in q["sql"]]
        assert not any('"payload"' in sql for sql in lists)

    assert costs[0] == costs[1]
    assert Notification.objects.filter(channel=channel).count() == 41


def test_count_of_a_huge_queue_is_bounded(as_role, make_webhook, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "most", 3)
    alert_to(make_webhook())
    client = as_role("operator")

    with CaptureQueriesContext(connection) as queries:
        client.get(reverse(QUEUE))

    counts = [q["sql"] for q in queries if "COUNT(" in q["sql"] and "notifications_" in q["sql"]]
    assert any("LIMIT 4)" in sql for sql in counts)
    assert all("LIMIT" in sql for sql in counts)


def test_message_page_shows_payload_and_attempts(as_role, make_mail_channel):
    message = alert_to(make_mail_channel("ada@example.com"), body="<b>HTTP 500</b>")
    now = timezone.now()
    message.history.create(
        number=1, started_at=now, ended_at=now, outcome="retry", detail="It answered 451."
    )

    url = reverse("admin:notifications_notification_change", args=[message.pk])
    page = as_role("auditor").get(url).content.decode()

    assert "It answered 451." in page
    assert "&lt;b&gt;HTTP 500&lt;/b&gt;" in page
    assert "a…@example.com" in page
    assert "ada@example.com" not in page


def test_retry_asks_first(as_role, make_webhook):
    message = alert_to(make_webhook())
    Notification.objects.update(state="dead", last_error="No.")

    page = act(as_role("operator"), QUEUE, "retry", message, confirmed=False)

    assert b"Try these messages again?" in page.content
    message.refresh_from_db()
    assert message.state == "dead"


def test_confirmed_retry_queues_dead_messages_and_tells_the_rest(as_role, make_webhook):
    channel = make_webhook()
    dead, waiting = alert_to(channel, dedup_key="a"), alert_to(channel, dedup_key="b")
    Notification.objects.filter(pk=dead.pk).update(state="dead", last_error="No.")

    answer = act(as_role("operator"), QUEUE, "retry", dead, waiting)

    dead.refresh_from_db()
    assert dead.state == "pending"
    told = [str(message) for message in get_messages(answer.wsgi_request)]
    assert told[0] == "1 done."
    assert told[1].startswith("1 left as they were: Only a dead message")
    assert AuditRecord.objects.filter(action="notification.retried").count() == 1


def test_resend_and_cancel_work_on_many(as_role, make_webhook):
    channel = make_webhook()
    rows = [alert_to(channel, dedup_key=f"check:{number}") for number in range(3)]
    client = as_role("operator")

    act(client, QUEUE, "cancel", *rows[:2])
    Notification.objects.filter(pk=rows[2].pk).update(state="sent", sent_at=timezone.now())
    act(client, QUEUE, "resend", rows[2])

    states = Notification.objects.order_by("id").values_list("state", flat=True)
    assert list(states) == ["cancelled", "cancelled", "sent", "pending"]


@pytest.mark.parametrize("action", ["retry", "resend", "cancel"])
def test_auditor_changes_nothing(as_role, make_webhook, action):
    message = alert_to(make_webhook())
    before = Notification.objects.values().get()

    act(as_role("auditor"), QUEUE, action, message)

    assert Notification.objects.values().get() == before


def test_alert_that_reached_nobody_says_so(as_role):
    event = raise_alert()
    route_all()
    client = as_role("operator")

    page = client.get(reverse("admin:notifications_event_changelist")).content.decode()
    assert "Reached nobody" in page
    url = reverse("admin:notifications_event_change", args=[event.pk])
    assert client.get(url).status_code == 200


def test_adding_begins_with_the_kind(as_role):
    page = as_role("admin").get(reverse("admin:notifications_channel_add")).content.decode()

    assert "?kind=email" in page
    assert "?kind=webhook" in page


def test_new_webhook_shows_its_secret_once(as_role):
    client = as_role("admin")
    url = reverse("admin:notifications_channel_add") + "?kind=webhook"

    shown = client.post(url, SETTINGS | {"url": URL})

    channel = Channel.objects.get()
    [secret] = webhook_config(channel).secrets
    assert secret in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    for page in (change_page(channel), reverse(CHANNELS)):
        content = client.get(page).content.decode()
        assert secret not in content
        assert "t0p-s3cret" not in content
    assert AuditRecord.objects.get(action="channel.created").actor_kind == "user"


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("webhook", {"url": "http://10.0.0.1/"}, "OPS_OUTGOING_ALLOW"),
        ("webhook", {"url": "ftp://example.com/"}, "Only http:// and https://"),
        ("webhook", {"url": ""}, "This field is required."),
        ("webhook", {"url": URL, "name": "OPS_ALERT_EMAILS"}, "This name belongs"),
        ("webhook", {"url": URL, "name": "taken"}, "already exists"),
        ("webhook", {"url": URL, "timeout_seconds": "31"}, "less than or equal to 30"),
        ("email", {"recipients": "ada@example.com\nbob"}, "is no address"),
        ("email", {"recipients": " \n "}, "This field is required."),
    ],
)
def test_unusable_settings_are_told_beside_their_field(as_role, make_webhook, kind, given, told):
    make_webhook(name="taken")
    url = reverse("admin:notifications_channel_add") + f"?kind={kind}"

    page = as_role("admin").post(url, SETTINGS | given)

    assert page.status_code == 200
    errors = re.findall(r'<ul class="errorlist".*?</ul>', page.content.decode(), re.DOTALL)
    assert any(told in error for error in errors)
    assert Channel.objects.count() == 1


def test_mail_channel_is_added_with_an_address_a_line(as_role):
    url = reverse("admin:notifications_channel_add") + "?kind=email"

    as_role("admin").post(url, SETTINGS | {"recipients": "ada@example.com\r\nbob@example.com, "})

    assert Channel.objects.get().config == {"recipients": ["ada@example.com", "bob@example.com"]}


def test_empty_url_keeps_the_present_one(as_role, make_webhook):
    channel = make_webhook(URL)
    secrets = webhook_config(channel).secrets
    client = as_role("admin")
    assert "https://hooks.example.com" in client.get(change_page(channel)).content.decode()

    client.post(change_page(channel), SETTINGS | {"name": "renamed", "url": ""})

    stored = Channel.objects.get()
    assert stored.name == "renamed"
    assert (webhook_config(stored).url, webhook_config(stored).secrets) == (URL, secrets)


def test_addresses_can_be_read_and_changed_by_who_decides(as_role, make_mail_channel):
    channel = make_mail_channel("ada@example.com")
    client = as_role("admin")
    assert "ada@example.com" in client.get(change_page(channel)).content.decode()

    client.post(change_page(channel), SETTINGS | {"recipients": "eve@example.com"})

    assert Channel.objects.get().config == {"recipients": ["eve@example.com"]}


def test_auditor_sees_a_channel_without_its_settings(as_role, make_mail_channel):
    channel = make_mail_channel("ada@example.com")
    client = as_role("auditor")

    page = client.get(change_page(channel)).content.decode()

    assert "a…@example.com" in page
    assert "ada@example.com" not in page
    assert "Send a test" not in page


def test_settings_that_the_keyring_cannot_open_are_entered_again(as_role, make_mail_channel):
    channel = make_mail_channel()
    break_seal(channel)
    client = as_role("admin")

    assert client.get(reverse(CHANNELS)).status_code == 200
    assert client.get(reverse(QUEUE)).status_code == 200
    assert client.get(change_page(channel)).status_code == 200
    client.post(change_page(channel), SETTINGS | {"recipients": "eve@example.com"})

    assert Channel.objects.get().config == {"recipients": ["eve@example.com"]}


def test_channel_of_the_environment_is_shown_and_not_edited(as_role, make_webhook):
    channel = make_webhook()
    Channel.objects.update(managed_by="environment")
    before = Channel.objects.values().get()
    client = as_role("admin")

    page = client.get(change_page(channel)).content.decode()
    assert 'name="_save"' not in page
    assert "Send a test" in page
    assert client.post(change_page(channel), SETTINGS | {"url": URL}).status_code == 403
    url = reverse("admin:notifications_channel_delete", args=[channel.pk])
    assert client.post(url, {"post": "yes"}).status_code == 403

    assert Channel.objects.values().get() == before


def test_channel_is_deleted_after_a_question(as_role, make_webhook):
    channel = make_webhook()
    message = alert_to(channel)
    url = reverse("admin:notifications_channel_delete", args=[channel.pk])
    client = as_role("admin")
    assert client.get(url).status_code == 200
    assert Channel.objects.count() == 1

    client.post(url, {"post": "yes"})

    assert Channel.objects.count() == 0
    message.refresh_from_db()
    assert message.state == "cancelled"


def test_test_asks_then_tells_the_answer(as_role, make_webhook, receiver):
    channel = make_webhook(receiver.url, name="chat")
    receiver.answers = [Answer(403, b"<i>who are you</i>")]
    client = as_role("admin")

    asked = act(client, CHANNELS, "send_test", channel, confirmed=False)
    assert b"Send a test?" in asked.content
    assert receiver.requests == []

    told = act(client, CHANNELS, "send_test", channel).content.decode()
    assert "The receiver answered 403" in told
    assert "&lt;i&gt;who are you&lt;/i&gt;" in told


def test_drill_copy_tells_why_no_test_is_sent(as_role, make_webhook, settings):
    channel = make_webhook()
    client = as_role("admin")
    settings.OPS_MODE = "drill"

    page = act(client, CHANNELS, "send_test", channel).content.decode()

    assert "This is a copy for a drill" in page
    assert Notification.objects.count() == 0


def test_new_secret_is_shown_once(as_role, make_webhook, make_mail_channel):
    hook, mail = make_webhook(name="chat"), make_mail_channel(name="team")

    page = act(as_role("admin"), CHANNELS, "rotate_secrets", hook, mail).content.decode()

    new, _old = webhook_config(Channel.objects.get(pk=hook.pk)).secrets
    assert new in page
    assert "Only webhooks are signed." in page


def test_lost_signing_secret_is_told_not_replaced_in_silence(as_role, make_webhook):
    channel = make_webhook()
    break_seal(channel)
    client = as_role("admin")

    page = client.post(change_page(channel), SETTINGS | {"url": URL}, follow=True)

    assert "delete the channel and add it again" in page.content.decode()
    assert Channel.objects.get().revision == 1


@pytest.mark.parametrize("action", ["send_test", "rotate_secrets"])
def test_auditor_neither_tests_nor_rotates(as_role, make_webhook, receiver, action):
    channel = make_webhook(receiver.url)

    act(as_role("auditor"), CHANNELS, action, channel)

    assert receiver.requests == []
    assert Channel.objects.get().revision == 1


def test_rows_of_alerts_and_messages_cannot_be_edited(as_role, make_webhook):
    message = alert_to(make_webhook())
    client = as_role("admin")
    url = reverse("admin:notifications_notification_change", args=[message.pk])

    assert client.post(url, {"state": "sent"}).status_code == 405
    assert client.get(reverse("admin:notifications_notification_add")).status_code == 403
    assert Event.objects.count() == Notification.objects.count() == 1
