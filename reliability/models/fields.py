"""What fields of services, checks and plans may contain."""

import ipaddress
import re
import zoneinfo
from collections.abc import Container
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError

from core.addresses import Allow, Policy, is_allowed
from core.errors import DomainError
from core.targets import RefusedTargetError, check_url
from reliability.engine import assertions, recurrence
from reliability.engine.probe import parse_accept
from reliability.engine.probes.base import DNS_PORT

MAX_HEADERS: Final = 20
MAX_HEADER_VALUE: Final = 2000
MAX_ASSERTIONS: Final = 20
MAX_TAGS: Final = 20
MAX_TAG: Final = 50

_CAN_BE_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:0x[0-9a-fA-F]*|[0-9]+)")
_HOST_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
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


def validate_host(value: str) -> None:
    """Refuse what is neither a name nor an address; numbers that look like one deceive."""
    name = value.removesuffix(".")
    is_numeric = bool(_CAN_BE_NUMERIC.fullmatch(name))
    if not _is_address(value) and (
        is_numeric or not all(map(_HOST_LABEL.fullmatch, name.split(".")))
    ):
        message = "Give a name such as db.example.com, or an address, without scheme and port."
        raise ValidationError(message, code="bad_host")


def parse_name_server(value: str) -> tuple[str, int]:
    """Read the address of a name server, with its port if that is another; raises ValueError."""
    if _is_address(value):
        return value, DNS_PORT
    host, _, port = value.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port) < 2**16
    if not is_port or not _is_address(bare):
        message = "Give an address such as 192.0.2.53 or 192.0.2.53:5353."
        raise ValueError(message)
    return bare, int(port)


def validate_name_server(value: str) -> None:
    """Refuse what is no address of a name server: a name would have to be looked up itself."""
    if value:
        try:
            parse_name_server(value)
        except ValueError as error:
            raise ValidationError(str(error), code="bad_address") from error


def validate_reachable(field: str, host: str, port: int) -> None:
    """Refuse a literal address that the outgoing policy refuses; names are judged when asked."""
    allow = Allow.parse(settings.OPS_OUTGOING_ALLOW)
    policy = Policy.MONITOR
    if _is_address(host) and not is_allowed(host, port=port, policy=policy, allow=allow, host=host):
        error = RefusedTargetError(policy)
        raise ValidationError({field: ValidationError(error.message, code=error.code)})


def validate_assertions(value: object) -> None:
    """Refuse conditions that could never be judged."""
    if not isinstance(value, list) or len(value) > MAX_ASSERTIONS:
        message = f"Give at most {MAX_ASSERTIONS} conditions as a list."
        raise ValidationError(message, code="bad_assertions")
    if not assertions.is_storable(value):
        message = "A value has no NUL characters, and its numbers are finite and fit 64 bits."
        raise ValidationError(message, code="bad_assertions")
    try:
        assertions.parse(value)
    except ValueError as error:
        raise ValidationError(str(error), code="bad_assertions") from error


def validate_tags(value: object) -> None:
    """Refuse anything but a few short words."""
    if (
        not isinstance(value, list)
        or len(value) > MAX_TAGS
        or not all(
            isinstance(tag, str) and 0 < len(tag.strip()) <= MAX_TAG and tag.isprintable()
            for tag in value
        )
    ):
        message = f"Give at most {MAX_TAGS} tags of 1 to {MAX_TAG} characters."
        raise ValidationError(message, code="bad_tags")


def validate_cron(value: str) -> None:
    """Refuse cron expressions that cannot be read, or that never come true."""
    if value:
        try:
            recurrence.check_cron(value)
        except ValueError as error:
            raise ValidationError(str(error), code="bad_cron") from error


def validate_time_zone(value: str) -> None:
    """Refuse names that are no time zone here."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = "Give a time zone such as Europe/Berlin, or UTC."
        raise ValidationError(message, code="bad_time_zone") from error


def validate_weekdays(value: object) -> None:
    """Refuse anything but days of the week, 0 for Monday."""
    _validate_numbers(value, range(7), "Give days of the week: 0 for Monday to 6 for Sunday.")


def validate_month_days(value: object) -> None:
    """Refuse anything but days of a month, -1 for the last."""
    message = "Give days of the month: 1 to 31, or -1 for the last."
    _validate_numbers(value, {-1, *range(1, 32)}, message)


def _validate_numbers(value: object, allowed: Container[int], message: str) -> None:
    if (
        not isinstance(value, list)
        or not all(type(day) is int and day in allowed for day in value)
        or len(set(value)) != len(value)
    ):
        raise ValidationError(message, code="bad_days")


def _is_address(value: str) -> bool:
    if "%" in value:
        # A scope names an interface of one machine; nothing here can ask it.
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
