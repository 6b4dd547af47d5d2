"""Whoever visits the pages that are measured."""

from __future__ import annotations

from typing import Any


def signed_in() -> Any:  # noqa: ANN401
    """Return a client with the session of an admin."""
    from django.contrib.auth.models import Group
    from django.test import Client

    from accounts.models import User
    from audit.services.acts import unwatched

    with unwatched("set-up of a benchmark"):
        user = User.objects.create_user(username="benchmark", password="a good long password")  # noqa: S106
        user.is_staff = True
        user.save()
        user.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(user)
    return client


def prepare() -> None:
    """Set up an empty platform in this process, which answers anybody as often as they ask."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ALLOWED_HOSTS = ["*"]
    settings.OPS_RATE_LIMIT = 1_000_000_000
    call_command("migrate", verbosity=0)
