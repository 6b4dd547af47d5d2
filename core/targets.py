"""Which URLs can be a target of the platform's own requests."""

import functools
import re
from ipaddress import ip_address
from typing import ClassVar

from yarl import URL

from core.addresses import NO_EXCEPTIONS, Allow, Policy, is_allowed
from core.errors import InvalidInputError
from core.masking import HIDDEN

MAX_URL_LENGTH = 2000

_USER_INFO = re.compile(r"[^/]*//[^/?#]*@")
_CAN_BE_NUMERIC = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)


class InvalidTargetError(InvalidInputError):
    """The URL cannot be a target: wrong scheme, credentials, no usable host."""

    code: ClassVar[str] = "invalid-target"
    title: ClassVar[str] = "This URL cannot be used"


class RefusedTargetError(InvalidInputError):
    """The outgoing policy does not let the platform connect to this address."""

    code: ClassVar[str] = "refused-target"
    title: ClassVar[str] = "The outgoing policy refuses this address"

    def __init__(self, policy: Policy) -> None:
        # The text must not tell which address a name has inside the network.
        super().__init__(
            f"The outgoing policy “{policy}” refuses this address; "
            "OPS_OUTGOING_ALLOW lists the exceptions."
        )


def shown_url(url: str) -> str:
    """Return a URL as everybody may read it: its query often holds a token of any name."""
    page, *rest = re.split(r"[?#]", url, maxsplit=1)
    return f"{page}?{HIDDEN}" if rest else page


@functools.lru_cache(maxsize=16_384)
def check_url(url: str, *, policy: Policy | None = None, allow: Allow = NO_EXCEPTIONS) -> URL:
    """Return the parsed URL, or refuse what can be refused without a lookup.

    With a policy, a literal address is judged too. Names are judged when they are connected to.
    The same URLs are asked for again and again, hence the cache.
    """
    if not 0 < len(url) <= MAX_URL_LENGTH or not url.isprintable() or {*url} & {" ", "\\"}:
        message = f"A URL has 1 to {MAX_URL_LENGTH} characters, without spaces or backslashes."
        raise InvalidTargetError(message)
    try:
        parsed = URL(url)
        raw_host, port = parsed.raw_host or "", parsed.port
    except ValueError as error:
        message = "This is not a URL."
        raise InvalidTargetError(message) from error
    if parsed.scheme not in {"http", "https"}:
        message = "Only http:// and https:// URLs are possible."
        raise InvalidTargetError(message)
    if _USER_INFO.match(url):
        message = "A URL must not contain credentials."
        raise InvalidTargetError(message)
    host = raw_host.rstrip(".")
    if not host or not port:
        message = "The URL names no host, or an impossible port."
        raise InvalidTargetError(message)
    try:
        address = ip_address(host)
    except ValueError:
        if _CAN_BE_NUMERIC.fullmatch(host):
            # Decimal, octal and shortened forms hide an address from whoever reads the URL.
            message = "Write an address as four decimal numbers, or as IPv6 in brackets."
            raise InvalidTargetError(message) from None
    else:
        if host != raw_host:
            # As a name it would pass here and fail at every request.
            message = "An address has no dot at its end."
            raise InvalidTargetError(message)
        if policy and not is_allowed(
            str(address), port=port, policy=policy, allow=allow, host=host
        ):
            raise RefusedTargetError(policy)
    return parsed
