"""Whoever opens a link that was sent to somebody else is led to the thread, not to its content."""

import pytest

from tests.notifications.escalations import person
from tests.notifications.test_n2_acknowledge_link import path_of, thread

pytestmark = pytest.mark.django_db


def test_somebody_else_who_is_signed_in_is_led_to_the_thread(make_user, console):
    ada, bob = person(make_user, "ada"), person(make_user, "bob")
    group = thread(title="secret thing")

    page = console(bob).get(path_of(group, ada))

    assert page.status_code == 403
    text = page.content.decode()
    assert "acknowledge it there in your own name" in text
    assert f'href="/admin/notifications/group/{group.pk}/change/"' in text
    assert "secret thing" not in text
    group.refresh_from_db()
    assert group.acked_at is None
