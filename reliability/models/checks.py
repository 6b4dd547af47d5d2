"""Checks of services: what is asked, how often, and what counts as good."""

from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from core.fields import SealedJSONField
from core.targets import shown_url
from reliability.engine.probe import Failure
from reliability.engine.probes.base import TLS_PORT
from reliability.models.fields import (
    parse_name_server,
    validate_accept,
    validate_assertions,
    validate_headers,
    validate_host,
    validate_line,
    validate_name_server,
    validate_reachable,
    validate_tags,
    validate_target,
)
from reliability.models.says import Says

MIN_INTERVAL_SECONDS: Final = 10
MAX_INTERVAL_SECONDS: Final = 86_400
MAX_TIMEOUT_SECONDS: Final = 60
MAX_STRIKES: Final = 20
RETRY_SECONDS: Final = 20

FAILURES: Final = [
    (Failure.DNS.value, "Name not found"),
    (Failure.CONNECT.value, "No connection"),
    (Failure.TLS.value, "TLS or certificate"),
    (Failure.TIMEOUT.value, "Timeout"),
    (Failure.PROTOCOL.value, "Broken answer"),
    (Failure.REFUSED.value, "Refused by the outgoing policy"),
    (Failure.STATUS.value, "Unexpected status"),
    (Failure.BODY.value, "Expected text missing"),
    (Failure.ASSERTION.value, "Assertion not met"),
    (Failure.RECORD.value, "Unexpected DNS records"),
    (Failure.EXPIRY.value, "Certificate expires soon"),
    (Failure.MISSED.value, "Heartbeat missed"),
    (Failure.REPORTED.value, "Failure reported"),
    (Failure.OVERRUN.value, "Ran too long"),
    (Failure.SETUP.value, "Cannot be asked from here"),
]

# What a check of each kind cannot do without.
_NEEDED: Final = {
    "http": ("url",),
    "tcp": ("host", "port"),
    "dns": ("host",),
    "tls": ("host",),
    "icmp": ("host",),
}
_NEEDED_WORDS: Final = {
    "url": "a URL",
    "host": "a name or an address",
    "port": "a number from 1 to 65535",
}


def default_interval() -> int:
    """Return UPTIME_INTERVAL_SEC."""
    return int(settings.UPTIME_INTERVAL_SEC)


def default_strikes() -> int:
    """Return UPTIME_STRIKES."""
    return int(settings.UPTIME_STRIKES)


class Check(models.Model):
    """One question asked again and again: does this answer as it should.

    A heartbeat is asked by nobody: the job itself tells. Its rhythm stands in `Heartbeat`.
    """

    class Kind(models.TextChoices):
        HTTP = "http", "HTTP(S)"
        TCP = "tcp", "TCP port"
        DNS = "dns", "DNS records"
        TLS = "tls", "TLS certificate"
        ICMP = "icmp", "Ping (ICMP)"
        HEARTBEAT = "heartbeat", "Heartbeat"

    class Method(models.TextChoices):
        GET = "GET", "GET"
        HEAD = "HEAD", "HEAD"
        POST = "POST", "POST"
        PUT = "PUT", "PUT"
        PATCH = "PATCH", "PATCH"
        DELETE = "DELETE", "DELETE"
        OPTIONS = "OPTIONS", "OPTIONS"

    class Family(models.TextChoices):
        ANY = "any", "IPv4 or IPv6"
        IPV4 = "ipv4", "IPv4 only"
        IPV6 = "ipv6", "IPv6 only"

    class Record(models.TextChoices):
        A = "A", "A"
        AAAA = "AAAA", "AAAA"
        CNAME = "CNAME", "CNAME"
        MX = "MX", "MX"
        NS = "NS", "NS"
        TXT = "TXT", "TXT"
        SRV = "SRV", "SRV"
        CAA = "CAA", "CAA"
        SOA = "SOA", "SOA"
        PTR = "PTR", "PTR"

    service = models.ForeignKey(
        "reliability.Service", on_delete=models.CASCADE, related_name="checks"
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.HTTP)
    name = models.CharField(
        max_length=120,
        blank=True,
        validators=[validate_line],
        help_text="Needed only to tell several checks of a service apart.",
    )
    url = models.CharField(
        "URL",
        max_length=2000,
        blank=True,
        validators=[validate_target],
        help_text="http:// or https://, without credentials; private addresses are fine.",
    )
    host = models.CharField(
        max_length=253,
        blank=True,
        validators=[validate_host],
        help_text="A name or an address. For DNS records: the name to look up.",
    )
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65_535)]
    )
    method = models.CharField(max_length=7, choices=Method, default=Method.GET)
    body = models.TextField(
        blank=True,
        max_length=10_000,
        help_text="Sent as it stands, with methods that have a body; set its Content-Type above.",
    )
    headers = SealedJSONField(
        context="reliability.Check.headers",
        null=True,
        blank=True,
        validators=[validate_headers],
        help_text="Sent with each request. Stored encrypted and never shown again.",
    )
    interval_seconds = models.PositiveIntegerField(
        "interval (s)",
        default=default_interval,
        validators=[
            MinValueValidator(MIN_INTERVAL_SECONDS),
            MaxValueValidator(MAX_INTERVAL_SECONDS),
        ],
        help_text="From one probe to the next.",
    )
    timeout_seconds = models.PositiveIntegerField(
        "timeout (s)",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_TIMEOUT_SECONDS)],
        help_text="For the whole exchange, redirects included; at most the interval.",
    )
    retry_interval_seconds = models.PositiveIntegerField(
        "retry (s)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_INTERVAL_SECONDS)],
        help_text=f"After a surprise; empty means the interval, but at most {RETRY_SECONDS} s.",
    )
    strikes_down = models.PositiveSmallIntegerField(
        default=default_strikes,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_STRIKES)],
        help_text="Failures in a row before it counts as down and people are told.",
    )
    strikes_up = models.PositiveSmallIntegerField(
        default=default_strikes,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_STRIKES)],
        help_text="Successes in a row before it counts as up again.",
    )
    accept = models.CharField(
        "accepted statuses",
        max_length=100,
        default="200-399",
        validators=[validate_accept],
        help_text="Such as 200-399 or 200,204.",
    )
    assertions = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_assertions],
        help_text="Further conditions on the answer; each must hold.",
    )
    body_contains = models.CharField(
        "expected text",
        max_length=200,
        blank=True,
        validators=[validate_line],
        help_text="Must occur in the first 256 KB of the answer, in this spelling.",
    )
    degraded_ms = models.PositiveIntegerField(
        "slow above (ms)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Degraded when three of five answers are slower; empty means never.",
    )
    follow_redirects = models.BooleanField(default=True, help_text="At most three.")
    tls_verify = models.BooleanField("verify the certificate", default=True)
    tls_min_days = models.PositiveSmallIntegerField(
        "certificate valid for (days)",
        default=14,
        validators=[MaxValueValidator(365)],
        help_text="A certificate that ends sooner raises a warning; a TLS check then fails. "
        "0 means never.",
    )
    dns_type = models.CharField("record type", max_length=5, choices=Record, default=Record.A)
    dns_expected = models.TextField(
        "expected records",
        blank=True,
        max_length=2_000,
        help_text="One a line, in any order; empty means any record will do.",
    )
    dns_server = models.CharField(
        "name server",
        max_length=60,
        blank=True,
        validators=[validate_name_server],
        help_text="An address, with :port if it is not 53; empty means the system's own.",
    )
    ip_family = models.CharField("address family", max_length=4, choices=Family, default=Family.ANY)
    down_at_once = models.BooleanField(
        default=False,
        help_text="A name that does not exist or a refused connection counts as down at once.",
    )
    parents = models.ManyToManyField(
        "self",
        symmetrical=False,
        blank=True,
        related_name="children",
        help_text="While one of these is down, nobody is told about this check.",
    )
    tags = models.JSONField(default=list, blank=True, validators=[validate_tags])
    enabled = models.BooleanField(default=True, help_text="A check that is off says “unknown”.")
    config_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["service__name", "id"]
        constraints = [
            models.CheckConstraint(
                name="check_interval_is_possible",
                condition=Q(interval_seconds__gte=MIN_INTERVAL_SECONDS),
                violation_error_message=f"The interval is at least {MIN_INTERVAL_SECONDS} s.",
            ),
            models.CheckConstraint(
                name="check_timeout_fits_interval",
                condition=Q(timeout_seconds__gte=1, timeout_seconds__lte=F("interval_seconds")),
                violation_error_message="The timeout is at least 1 s and at most the interval.",
            ),
            models.CheckConstraint(
                name="check_strikes_are_positive",
                condition=Q(strikes_down__gte=1, strikes_up__gte=1),
                violation_error_message="Strikes are at least 1.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service.name}: {self.label}"

    @property
    def label(self) -> str:
        """What tells this check from others of its service."""
        return self.name or self.shown_url

    @property
    def shown_url(self) -> str:
        """What is asked, without the query of a URL, for whoever may not change the check."""
        return shown_url(self.url) if self.kind == self.Kind.HTTP else self.target

    @property
    def target(self) -> str:
        """What is asked, in one line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        match self.kind:
            case self.Kind.HTTP:
                return self.url
            case self.Kind.TCP:
                return f"{host}:{self.port}"
            case self.Kind.TLS:
                return f"{host}:{self.port or TLS_PORT}"
            case self.Kind.DNS:
                return f"{self.dns_type} {self.host}"
            case self.Kind.HEARTBEAT:
                return "heartbeat"
            case _:
                return self.host

    @property
    def says(self) -> Says:
        """What the check says now; reads `state`, which the selectors of lists bring along."""
        return Says.of(self)

    def clean(self) -> None:
        """Name the field of a rule that spans two."""
        super().clean()
        if (self.timeout_seconds or 0) > (self.interval_seconds or MAX_INTERVAL_SECONDS):
            raise ValidationError({"timeout_seconds": "The timeout is at most the interval."})
        for name in ("body", "dns_expected"):
            if "\0" in getattr(self, name):
                raise ValidationError({name: "Leave out the NUL character."})
        for name in _NEEDED.get(self.kind, ()):
            if not getattr(self, name):
                raise ValidationError(
                    {name: f"A check of this kind needs it: {_NEEDED_WORDS[name]}."}
                )
        if self.kind not in {self.Kind.HTTP, self.Kind.HEARTBEAT, self.Kind.DNS}:
            validate_reachable("host", self.host, self.port or 0)
        if self.kind == self.Kind.DNS and self.dns_server:
            address, port = parse_name_server(self.dns_server)
            validate_reachable("dns_server", address, port)
