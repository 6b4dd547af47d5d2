"""What is asked, and what was found: the values that every kind of probe takes and returns."""

import enum
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from yarl import URL

from core.http import Certificate, Phases
from reliability.engine.assertions import Assertion
from reliability.engine.strikes import Rules

# Twice what is kept: secrets are masked first, and one must not be cut in two before that.
EXCERPT_BYTES = 8192
DETAIL_CHARACTERS = 200
TLS_PORT = 443
DNS_PORT = 53

FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

StatusRanges = tuple[tuple[int, int], ...]


class Failure(enum.StrEnum):
    """Why a check failed; the first five are those of the exchange itself.

    MISSED, REPORTED and OVERRUN are of heartbeats. SETUP means that this machine cannot ask: it
    says nothing about the target.
    """

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    REFUSED = "refused"
    STATUS = "status"
    BODY = "body"
    ASSERTION = "assertion"
    RECORD = "record"
    EXPIRY = "expiry"
    MISSED = "missed"
    REPORTED = "reported"
    OVERRUN = "overrun"
    SETUP = "setup"


@dataclass(frozen=True, slots=True)
class Target:
    """What the engine needs to know about one check; each kind reads its own fields."""

    check_id: int
    config_version: int
    url: str
    rules: Rules
    retry_seconds: float
    kind: str = "http"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    accept: StatusRanges = ((200, 399),)
    body_contains: str = ""
    assertions: tuple[Assertion, ...] = ()
    follow_redirects: bool = True
    verify_tls: bool = True
    tls_min_days: int = 0
    name: str = ""
    port: int | None = None
    family: str = "any"
    dns_type: str = "A"
    dns_expected: frozenset[str] = frozenset()
    dns_server: tuple[str, int] | None = None

    @property
    def host(self) -> str:
        """The host that must not be asked by too many checks at once."""
        if self.kind == "http":
            return URL(self.url).raw_host or ""
        return self.dns_server[0] if self.dns_server else self.name

    @property
    def address_family(self) -> int:
        """The family of the addresses to connect to."""
        return FAMILIES[self.family]


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found.

    Everybody who sees the check reads `detail`, so nothing of the answer stands there. `excerpt`
    holds what a failed probe was answered: the begin of the body, or of what is not HTTP.
    `is_definite` when asking again would hardly change it, `is_unknown` when the probe says nothing
    about the target.
    """

    check_id: int
    at: datetime
    ok: bool
    latency_ms: float
    phases: Phases
    status_code: int | None = None
    failure: Failure | None = None
    detail: str = ""
    excerpt: str = ""
    certificate: Certificate | None = None
    is_definite: bool = False

    @property
    def is_unknown(self) -> bool:
        """Whether the probe could not be made from here, whatever the target does."""
        return self.failure is Failure.SETUP


@dataclass(frozen=True, slots=True)
class Finding:
    """What a kind of probe found; `probe` makes a result of it."""

    phases: Phases
    failure: Failure | None = None
    detail: str = ""
    excerpt: str = ""
    status_code: int | None = None
    certificate: Certificate | None = None
    is_definite: bool = False


def result_of(target: Target, at: datetime, found: Finding) -> Result:
    """Make a result that can be stored whatever the other side sent."""
    return Result(
        check_id=target.check_id,
        at=at,
        ok=found.failure is None,
        latency_ms=found.phases.total_ms,
        phases=found.phases,
        status_code=found.status_code,
        failure=found.failure,
        detail=_storable(found.detail)[:DETAIL_CHARACTERS],
        excerpt=_storable(found.excerpt) if found.failure is not None else "",
        certificate=found.certificate,
        is_definite=found.is_definite,
    )


def _storable(text: str) -> str:
    """Replace what no database stores: a server may send anything."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
