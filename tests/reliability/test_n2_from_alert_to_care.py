"""From an alert over its escalation to the link in a mail, and back to the incident."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes, policy

import pytest

from core.actors import SYSTEM
from notifications.models import EscalationRun, Group, Notification
from notifications.services import acknowledgements, escalation, routes
from notifications.services.dispatch import Dispatcher
from reliability.models import Incident
from reliability.services import incidents
from tests.notifications.conftest import mailbox, route_all
from tests.notifications.escalations import chain, pass_time, people_mail, person

__all__ = ["mailbox"]


def dispatch():
    async def once():
        dispatcher = Dispatcher()
        await dispatcher()
        await dispatcher.drain()
        await dispatcher.close()

    asyncio.run(once())


@pytest.mark.django_db(transaction=True)
def test_the_link_of_a_mail_ends_the_escalation_and_acknowledges_the_incident(
    make_user, mailbox, client
):
    people_mail()
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    duty = chain({"wait_seconds": 0, "people": [ada.pk]}, {"people": [bob.pk]})
    routes.create(
        actor=SYSTEM,
        name="Platform",
        matchers=[{"field": "severity", "op": "=", "values": ["critical"]}],
        chain=duty.pk,
        group_by=["alert"],
        group_interval_seconds=0,
    )
    incident = incidents.open_own(
        actor=SYSTEM, key="x", title="The log is damaged", detail="It is."
    )
    assert incident is not None
    route_all()
    run = pass_time(EscalationRun.objects.get())
    dispatch()

    [mail] = mailbox.mails
    assert mail.rcpt_tos == ["ada@example.com"]
    text = message_from_bytes(mail.content, policy=policy.default).get_body(("plain",))
    found = re.search(r"/ack/[\w-]+", text.get_content())
    assert found is not None
    assert "Nobody has acknowledged this yet. Step 1 of Duty." in text.get_content()
    # Whoever may read messages must not be able to act in her name.
    stored = Notification.objects.exclude(channel=None).get()
    assert "/ack/" not in str(stored.payload)

    assert client.get(found[0]).status_code == 200
    assert Incident.objects.get().state == "triggered"
    assert "Thank you, ada." in client.post(found[0]).text

    incident = Incident.objects.get()
    assert (incident.state, incident.owner) == ("acknowledged", ada)
    run.refresh_from_db()
    assert run.state == "acknowledged"
    group = Group.objects.get()
    assert (group.acked_by, group.ack_expires_at) == (ada, None)
    escalation.tick()
    acknowledgements.expire()
    dispatch()
    assert len(mailbox.mails) == 1

    incidents.resolve(actor=SYSTEM, incident_id=incident.pk, reason="Repaired.")
    route_all()
    dispatch()
    # Whoever was told that it holds is told that it is over.
    assert [mail.rcpt_tos for mail in mailbox.mails] == [["ada@example.com"], ["ada@example.com"]]
