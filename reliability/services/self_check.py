"""The platform watches itself."""

from __future__ import annotations

import logging
from typing import Final

from django.conf import settings
from django.db import transaction

from core.actors import SYSTEM
from core.errors import DomainError
from reliability.models import PlatformCheck, Service
from reliability.services import catalogue

logger = logging.getLogger(__name__)

NAME: Final = "OpsPlatform"
PATH: Final = "/healthz"


def ensure_self_check() -> None:
    """Give the platform a check of its own address, once; follow BASE_URL when that changes.

    A check that an operator deleted does not come back, and one whose URL an operator changed is
    left alone. A BASE_URL that cannot be checked is logged and stops nobody.
    """
    url = settings.BASE_URL.rstrip("/") + PATH
    try:
        with transaction.atomic():
            made = _made()
            if made is None:
                _create(url)
            elif made.url != url:
                _follow(made, url)
    except DomainError as error:
        logger.warning("The platform cannot check itself at %s: %s", url, error.message)


def _made() -> PlatformCheck | None:
    # Operators may have given the check headers, which need not unseal here.
    found = PlatformCheck.objects.select_related("check_made").defer("check_made__headers")
    return found.select_for_update(of=("self",)).first()


def platform_service() -> Service:
    """Return the service that stands for the platform itself; it is added if it is missing."""
    return Service.objects.filter(name__iexact=NAME).first() or catalogue.create_service(
        actor=SYSTEM, name=NAME, owner="the operators", tier="important", url=settings.BASE_URL
    )


def _create(url: str) -> None:
    service = platform_service()
    check = catalogue.create_check(actor=SYSTEM, service_id=service.pk, name="health", url=url)
    PlatformCheck.objects.create(check_made=check, url=url)


def _follow(made: PlatformCheck, url: str) -> None:
    check = made.check_made
    if check is not None and check.url == made.url:
        catalogue.update_check(actor=SYSTEM, check_id=check.pk, url=url)
    made.url = url
    made.save(update_fields=["url"])
