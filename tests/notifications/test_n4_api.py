"""Messages and channels by API: who may, what is shown, what it costs."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import AuditRecord
from notifications.models import Channel, Notification
from notifications.services.senders import webhook_config
from tests.notifications.conftest import alert_to, raise_alert, route_all
from tests.notifications.receivers import Answer

pytestmark = pytest.mark.django_db

MESSAGES = "/api/notifications/"
CHANNELS = "/api/notifications/channels/"
URL = "https://hooks.example.com/services/t0p-s3cret"


@pytest.fixture
def as_role(api, make_user):
    def sign_in(role: str):
        api.force_authenticate(make_user(role=role))
        return api

    return sign_in


def many(channel: Channel, count: int) -> None:
    """Fill the outbox directly: a thousand alerts would only test `emit` again."""
    alert_to(channel)
    row = Notification.objects.values().get()
    del row["id"]
    Notification.objects.bulk_create(
        Notification(**row | {"idempotency_key": f"key-{number}", "seq": number + 2})
        for number in range(count - 1)
    )


def test_list_shows_messages_newest_first_without_their_payload(as_role, make_webhook):
    channel = make_webhook(name="chat")
    first = alert_to(channel, dedup_key="check:1")
    second = alert_to(channel, dedup_key="check:2")

    page = as_role("operator").get(MESSAGES).json()

    assert [row["id"] for row in page["results"]] == [second.pk, first.pk]
    assert page["results"][0]["channel_name"] == "chat"
    assert "payload" not in page["results"][0]


@pytest.mark.parametrize("rows", [1, 60])
def test_list_costs_one_query_for_any_number_of_rows(as_role, make_webhook, rows):
    many(make_webhook(), rows)
    client = as_role("operator")

    with CaptureQueriesContext(connection) as queries:
        assert client.get(MESSAGES).status_code == 200

    asked = [query["sql"] for query in queries if "notifications_" in query["sql"]]
    assert len(asked) == 1
    assert '"payload"' not in asked[0]
    assert '"config"' not in asked[0]


def test_thousand_messages_are_read_in_keyset_pages(as_role, make_webhook):
    many(make_webhook(), 1_000)
    client, seen, url = as_role("operator"), set(), f"{MESSAGES}?page_size=200"

    with CaptureQueriesContext(connection) as queries:
        while url:
            page = client.get(url).json()
            seen |= {row["id"] for row in page["results"]}
            url = page["next"]

    asked = [
        query["sql"] for query in queries if 'FROM "notifications_notification"' in query["sql"]
    ]
    assert (len(seen), len(asked)) == (1_000, 5)
    assert not any("OFFSET" in sql or "COUNT(" in sql for sql in asked)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=dead", ["dead"]),
        ("severity=warning", ["pending"]),
        ("state=sent", []),
    ],
)
def test_list_is_narrowed_by_exact_values(as_role, make_webhook, query, expected):
    channel = make_webhook()
    alert_to(channel, dedup_key="check:1", severity="warning")
    dead = alert_to(channel, dedup_key="check:2")
    Notification.objects.filter(pk=dead.pk).update(state="dead", last_error="No.")

    page = as_role("operator").get(f"{MESSAGES}?{query}").json()

    assert [row["state"] for row in page["results"]] == expected


@pytest.mark.parametrize("query", ["state=lost", "channel=1", "event=-1", "severity=fatal"])
def test_nonsense_in_a_filter_is_refused_by_name(as_role, query):
    answer = as_role("operator").get(f"{MESSAGES}?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


def test_one_message_shows_its_payload_and_history(as_role, make_webhook):
    message = alert_to(make_webhook())
    message.history.create(
        number=1,
        started_at=timezone.now(),
        ended_at=timezone.now(),
        outcome="retry",
        status_code=500,
        excerpt="down",
    )

    shown = as_role("operator").get(f"{MESSAGES}{message.pk}/").json()

    assert shown["payload"]["title"] == "shop is down"
    [attempt] = shown["history"]
    assert (attempt["outcome"], attempt["status_code"], attempt["excerpt"]) == (
        "retry",
        500,
        "down",
    )


@pytest.mark.parametrize(
    ("role", "shown"), [("operator", "a…@example.com"), ("admin", "ada@example.com")]
)
def test_address_is_shown_to_whoever_decides_about_it(as_role, make_mail_channel, role, shown):
    message = alert_to(make_mail_channel("ada@example.com"))
    client = as_role(role)

    listed = client.get(MESSAGES).json()["results"][0]["recipient"]
    detailed = client.get(f"{MESSAGES}{message.pk}/").json()["recipient"]

    assert (listed, detailed) == (shown, shown)


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("admin", 200),
        ("operator", 200),
        ("manager", 200),
        ("engineer", 200),
        ("auditor", 200),
        ("analyst", 403),
        ("user", 403),
    ],
)
def test_who_may_read_messages(as_role, role, status):
    assert as_role(role).get(MESSAGES).status_code == status


def test_nobody_reads_nothing(api):
    assert api.get(MESSAGES).status_code == 401
    assert api.get(CHANNELS).status_code == 401


@pytest.mark.parametrize(
    ("role", "status"),
    [("admin", 201), ("operator", 201), ("manager", 403), ("auditor", 403), ("engineer", 403)],
)
def test_who_may_send_again(as_role, make_webhook, role, status):
    message = alert_to(make_webhook())
    Notification.objects.update(state="sent", sent_at=timezone.now())

    answer = as_role(role).post(f"{MESSAGES}{message.pk}/resend/")

    assert answer.status_code == status
    assert Notification.objects.count() == (2 if status == 201 else 1)


def test_dead_message_is_tried_again_by_api(as_role, make_webhook):
    message = alert_to(make_webhook())
    Notification.objects.update(state="dead", last_error="No.")

    answer = as_role("operator").post(f"{MESSAGES}{message.pk}/retry/")

    assert (answer.status_code, answer.json()["state"]) == (200, "pending")
    entry = AuditRecord.objects.get(action="notification.retried")
    assert entry.actor_kind == "user"


def test_act_in_the_wrong_state_is_a_conflict(as_role, make_webhook):
    message = alert_to(make_webhook())

    answer = as_role("operator").post(f"{MESSAGES}{message.pk}/retry/")

    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:opsplatform:problem:invalid-transition",
    )


def test_waiting_message_is_cancelled_by_api(as_role, make_webhook):
    message = alert_to(make_webhook())

    answer = as_role("operator").post(f"{MESSAGES}{message.pk}/cancel/")

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


@pytest.mark.parametrize("key", ["999999", "9" * 18])
def test_unknown_message_is_not_found(as_role, key):
    assert as_role("operator").get(f"{MESSAGES}{key}/").status_code == 404
    assert as_role("operator").post(f"{MESSAGES}{key}/retry/").status_code == 404


def test_webhook_is_added_and_its_secret_told_once(as_role):
    client = as_role("admin")

    made = client.post(
        CHANNELS, {"kind": "webhook", "name": "chat", "config": {"url": URL}}, format="json"
    )

    assert made.status_code == 201
    channel = Channel.objects.get()
    assert (made.json()["signing_secret"],) == webhook_config(channel).secrets
    shown = client.get(f"{CHANNELS}{channel.pk}/")
    assert shown.json()["target"] == "https://hooks.example.com"
    assert "config" not in shown.json()
    assert "signing_secret" not in shown.json()
    assert "t0p-s3cret" not in made.content.decode() + shown.content.decode()


def test_mail_channel_is_added(as_role):
    body = {"kind": "email", "name": "team", "config": {"recipients": ["ada@example.com"]}}

    made = as_role("admin").post(CHANNELS, body, format="json")

    assert (made.status_code, made.json()["signing_secret"]) == (201, "")
    assert Channel.objects.get().config == {"recipients": ["ada@example.com"]}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"config": {"url": "http://10.0.0.1/"}}, "config.url"),
        ({"config": {"url": "file:///etc/passwd"}}, "config.url"),
        ({"config": {}}, "config.url"),
        ({"config": "https://example.com"}, "config.non_field_errors"),
        ({"kind": "email", "config": {"recipients": "ada"}}, "config.recipients"),
        ({"kind": "email", "config": {"recipients": ["ada"]}}, "config.recipients"),
        ({"kind": "pigeon"}, "kind"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"max_parallel": "many"}, "max_parallel"),
        ({"name": ""}, "name"),
        ({"name": "taken"}, "name"),
    ],
)
def test_unusable_channel_is_refused_by_field(as_role, make_webhook, changes, field):
    make_webhook(name="taken")
    body = {"kind": "webhook", "name": "chat", "config": {"url": URL}}

    answer = as_role("admin").post(CHANNELS, body | changes, format="json")

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert Channel.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field", "told"),
    [
        ({"timeout": 5}, "timeout", "There is no such field."),
        ({"target": "x"}, "target", "This field cannot be set."),
        ({"fails": 0}, "fails", "This field cannot be set."),
        ({"config": {"url": URL, "secret": "x"}}, "config.secret", "There is no such field."),
        (
            {"config": {"url": URL, "recipients": ["ada@example.com"]}},
            "config.recipients",
            "A channel of kind webhook has no such setting.",
        ),
        (
            {"kind": "email", "config": {"url": URL, "recipients": ["ada@example.com"]}},
            "config.url",
            "A channel of kind email has no such setting.",
        ),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(as_role, changes, field, told):
    body = {"kind": "webhook", "name": "chat", "config": {"url": URL}}

    answer = as_role("admin").post(CHANNELS, body | changes, format="json")

    assert (answer.status_code, answer.json()["errors"]) == (400, {field: [told]})
    assert Channel.objects.count() == 0


def test_an_unknown_setting_leaves_a_change_undone(as_role, make_webhook):
    channel = make_webhook(timeout_seconds=7)
    body = {"timeout_seconds": 9, "parallel": 3}

    answer = as_role("admin").patch(f"{CHANNELS}{channel.pk}/", body, format="json")

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["parallel"])
    assert Channel.objects.get().timeout_seconds == 7


def test_given_settings_are_changed_and_the_others_kept(as_role, make_webhook):
    channel = make_webhook(URL, timeout_seconds=7)

    answer = as_role("admin").patch(f"{CHANNELS}{channel.pk}/", {"name": "new"}, format="json")

    assert answer.status_code == 200
    stored = Channel.objects.get()
    assert (stored.name, stored.timeout_seconds) == ("new", 7)
    assert webhook_config(stored).url == URL


def test_kind_of_a_channel_stays(as_role, make_webhook):
    channel = make_webhook()

    answer = as_role("admin").patch(f"{CHANNELS}{channel.pk}/", {"kind": "email"}, format="json")

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["kind"])


def test_channel_is_deleted(as_role, make_webhook):
    channel = make_webhook()

    assert as_role("admin").delete(f"{CHANNELS}{channel.pk}/").status_code == 204
    assert Channel.objects.count() == 0


def test_channel_of_the_environment_cannot_be_changed(as_role, make_webhook):
    channel = make_webhook()
    Channel.objects.update(managed_by="environment")

    client = as_role("admin")

    assert client.patch(f"{CHANNELS}{channel.pk}/", {"name": "x"}).status_code == 409
    assert client.delete(f"{CHANNELS}{channel.pk}/").status_code == 409
    assert Channel.objects.get().name == channel.name


def test_test_returns_what_the_receiver_answers(as_role, make_webhook, receiver):
    channel = make_webhook(receiver.url)
    receiver.answers = [Answer(418, b"short and stout")]

    answer = as_role("admin").post(f"{CHANNELS}{channel.pk}/test/")

    assert answer.status_code == 200
    [result] = answer.json()
    assert (result["delivered"], result["status_code"]) == (False, 418)
    assert result["excerpt"] == "short and stout"
    assert result["detail"] == "The receiver answered 418."


def test_new_secret_is_told_once(as_role, make_webhook):
    channel = make_webhook()

    answer = as_role("admin").post(f"{CHANNELS}{channel.pk}/rotate-secret/")

    secrets = webhook_config(Channel.objects.get()).secrets
    assert answer.json() == {"signing_secret": secrets[0]}
    assert len(secrets) == 2


@pytest.mark.parametrize("role", ["operator", "engineer", "auditor", "manager"])
def test_only_admins_change_channels(as_role, make_webhook, role):
    channel = make_webhook()
    client = as_role(role)
    before = list(Channel.objects.values()), AuditRecord.objects.count()

    refused = [
        client.post(CHANNELS, {"kind": "email"}, format="json"),
        client.patch(f"{CHANNELS}{channel.pk}/", {"name": "x"}, format="json"),
        client.delete(f"{CHANNELS}{channel.pk}/"),
        client.post(f"{CHANNELS}{channel.pk}/test/"),
        client.post(f"{CHANNELS}{channel.pk}/rotate-secret/"),
    ]

    assert {answer.status_code for answer in refused} == {403}
    assert (list(Channel.objects.values()), AuditRecord.objects.count()) == before


def test_event_filter_finds_all_messages_of_an_alert(as_role, make_webhook):
    make_webhook()
    make_webhook()
    event = raise_alert()
    raise_alert(dedup_key="check:2")
    route_all()

    page = as_role("operator").get(f"{MESSAGES}?event={event.pk}").json()

    assert {row["event"] for row in page["results"]} == {event.pk}
    assert len(page["results"]) == 2
