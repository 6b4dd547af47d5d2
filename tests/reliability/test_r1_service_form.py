"""The form of a service holds its checks over HTTP, and leads to all others."""

from __future__ import annotations

import pytest
from django.urls import reverse

from reliability.models import Check

pytestmark = pytest.mark.django_db

ANOTHER = {"url": "", "host": "127.0.0.1"}


@pytest.fixture
def form(console, make_user):
    """Return a function that opens the form of a service as an admin."""
    client = console(make_user(role="admin"))
    return lambda service: client.get(
        reverse("admin:reliability_service_change", args=[service.pk])
    ).content.decode()


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (0, "Checks of other kinds have pages of their own"),
        (1, "1 of another kind has a page of its own"),
        (2, "2 of another kind have pages of their own"),
    ],
)
def test_the_form_tells_of_checks_it_does_not_hold(form, make_check, others, words):
    service = make_check().service
    for number in range(others):
        make_check(service=service, name=f"Port {number}", kind="tcp", port=80, **ANOTHER)

    text = form(service)

    assert words in text
    assert f'href="/admin/reliability/check/?service__id__exact={service.pk}"' in text
    assert f'href="/admin/reliability/check/add/?service={service.pk}"' in text


def test_a_form_without_checks_tells_where_they_are(form, make_check):
    service = make_check().service
    Check.objects.bulk_create(
        Check(service=service, url="http://127.0.0.1/", name=str(number)) for number in range(20)
    )

    assert "Each of its 21 checks is edited on a page of its own" in form(service)
