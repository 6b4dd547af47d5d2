"""What fields of services and checks may contain."""

import re
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError

from core.addresses import Allow, Policy
from core.errors import DomainError
from core.targets import check_url
from reliability.engine.probe import parse_accept

MAX_HEADERS: Final = 20
MAX_HEADER_VALUE: Final = 2000

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# The client sets these itself; other values would break the exchange.
_OWN_HEADERS: Final = frozenset({"content-length", "transfer-encoding", "connection", "upgrade"})


def validate_line(value: str) -> None:
    """Refuse line breaks, NUL and invisible characters, which deceive whoever reads a list."""
    if not value.isprintable():
        message = "Use one line of printable characters."
        raise ValidationError(message, code="not_printable")


def validate_target(value: str) -> None:
    """Refuse URLs that a check could never ask."""
    try:
        check_url(value, policy=Policy.MONITOR, allow=Allow.parse(settings.OPS_OUTGOING_ALLOW))
    except DomainError as error:
        raise ValidationError(error.message, code=error.code) from error


def validate_web_url(value: str) -> None:
    """Refuse what is no plain web address; it is shown as a link and never asked."""
    try:
        check_url(value)
    except DomainError as error:
        raise ValidationError(error.message, code=error.code) from error


def validate_accept(value: str) -> None:
    """Refuse status ranges that cannot be read."""
    try:
        parse_accept(value)
    except ValueError as error:
        raise ValidationError(str(error), code="bad_range") from error


def validate_headers(value: object) -> None:
    """Refuse anything but a few plain headers."""
    if not isinstance(value, dict) or len(value) > MAX_HEADERS:
        message = f"Give at most {MAX_HEADERS} headers as an object of names and values."
        raise ValidationError(message, code="bad_headers")
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            message = "A header name has letters, digits and hyphens."
            raise ValidationError(message, code="bad_headers")
        if name.lower() in _OWN_HEADERS:
            message = f"The header {name} is set by the client itself."
            raise ValidationError(message, code="bad_headers")
        if not isinstance(text, str) or not text.isprintable() or len(text) > MAX_HEADER_VALUE:
            message = f"The value of {name} must be one line of text."
            raise ValidationError(message, code="bad_headers")
