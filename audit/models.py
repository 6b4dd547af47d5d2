"""Who did what: rows that are written once and never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils import timezone

from core.jobs import Job

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler


class RunningTransaction(models.Func):
    """The number of the transaction that writes a row; 0 where commits have one order anyway."""

    template = "0"
    output_field = models.BigIntegerField()

    def as_postgresql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        **context: Any,  # noqa: ANN401  # Django's signature
    ) -> tuple[str, Any]:
        """Ask for the 64-bit number, which never starts again."""
        template = "(pg_current_xact_id()::text::bigint)"
        return super().as_sql(compiler, connection, template=template, **context)


class AuditRecord(models.Model):
    """One act. Actor and target are values: a row must not change when a user is deleted."""

    class Outcome(models.TextChoices):
        ALLOWED = "allowed", "Allowed"
        DENIED = "denied", "Denied"
        ERROR = "error", "Error"

    class Category(models.TextChoices):
        AUTH = "auth", "Signing in"
        AUTHZ = "authz", "Rights"
        ADMIN = "admin", "Settings"
        DATA = "data", "Data"
        SYSTEM = "system", "System"
        SECURITY = "security", "Security"

    at = models.DateTimeField(default=timezone.now, editable=False)
    xid = models.BigIntegerField(db_default=RunningTransaction(), editable=False)
    category = models.CharField(max_length=8, choices=Category, default=Category.ADMIN)
    action = models.CharField(max_length=100, help_text="noun.past_participle")
    outcome = models.CharField(max_length=7, choices=Outcome, default=Outcome.ALLOWED)
    actor_kind = models.CharField(max_length=20)
    actor_key = models.CharField(max_length=100, blank=True)
    actor_name = models.CharField(max_length=200)
    on_behalf_of = models.CharField(max_length=36, blank=True)
    session = models.CharField(max_length=36, blank=True)
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    target_type = models.CharField(max_length=100, blank=True)
    target_id = models.CharField(max_length=100, blank=True)
    target_name = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    payload = models.TextField(
        default="{}", help_text="Details as canonical JSON: keys sorted, no floats."
    )
    mac = models.CharField(max_length=73, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        permissions = [("export_auditrecord", "Can export the audit log")]
        indexes = [
            # The list filters by one of these and shows the newest first.
            models.Index(name="audit_by_actor", fields=["actor_key", "-id"]),
            models.Index(name="audit_by_target", fields=["target_type", "target_id", "-id"]),
            models.Index(name="audit_by_action", fields=["action", "-id"]),
            models.Index(name="audit_by_category", fields=["category", "-id"]),
            models.Index(name="audit_by_session", fields=["session", "-id"]),
            models.Index(name="audit_by_request", fields=["request_id", "-id"]),
            models.Index(name="audit_by_address", fields=["address", "-id"]),
            # Times narrow every search, and retention asks for the oldest.
            models.Index(name="audit_by_time", fields=["at"]),
            # The sealer asks for what came since the oldest open transaction of its last look.
            models.Index(name="audit_by_xid", fields=["xid"]),
        ]
        constraints = [
            models.CheckConstraint(
                name="audit_outcome_is_known",
                condition=models.Q(outcome__in=["allowed", "denied", "error"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name}"


class AuditLink(models.Model):
    """A link of the chain: it seals one record at one place of the order; only ever inserted."""

    record_id = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField(unique=True)
    digest = models.BinaryField()
    chain = models.BinaryField()

    class Meta:
        default_permissions = ()
        ordering = ["seq"]
        # A digest that was sealed before is that of a copy.
        indexes = [models.Index(name="audit_links_by_digest", fields=["digest"])]

    def __str__(self) -> str:
        return f"Link {self.seq}"


class AuditCheckpoint(models.Model):
    """The signed head of the chain after a seal: whoever keeps one notices any later rewriting."""

    at = models.DateTimeField()
    size = models.BigIntegerField()
    chain = models.CharField(max_length=64)
    prev = models.CharField(max_length=64, blank=True, help_text="Digest of the checkpoint before.")
    key_id = models.CharField(max_length=16)
    signature = models.CharField(max_length=128)
    horizon = models.BigIntegerField(
        default=0, help_text="Transactions from this number on were not ended yet."
    )
    last_id = models.BigIntegerField(default=0, help_text="The highest record that was sealed.")
    forged = models.TextField(
        blank=True, help_text="Places of records that the platform did not write."
    )

    class Meta:
        default_permissions = ()
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Checkpoint at {self.size}"


class AuditKey(models.Model):
    """A public key that signed heads, and the signature by which a later one vouches for it."""

    key_id = models.CharField(max_length=16)
    public = models.CharField(max_length=64)
    vouched_by = models.CharField(max_length=16)
    signature = models.CharField(max_length=128)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key_id


class AuditGuards(models.Model):
    """Which triggers a version of the platform has put in place; the newest row counts."""

    at = models.DateTimeField(default=timezone.now)
    mark = models.CharField(max_length=73, help_text="Digest of their texts, sealed.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Triggers of {self.at:%Y-%m-%d}"


class AuditArchive(models.Model):
    """A range of the chain that left the database for a file, and how the rest joins it."""

    created_at = models.DateTimeField(default=timezone.now)
    from_seq = models.BigIntegerField(unique=True)
    to_seq = models.BigIntegerField(unique=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    chain_before = models.CharField(max_length=64)
    chain_after = models.CharField(max_length=64)
    file = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()

    class Meta:
        verbose_name = "audit archive"
        default_permissions = ("view",)
        ordering = ["-from_seq"]

    def __str__(self) -> str:
        return f"Records {self.from_seq} to {self.to_seq}"


class AuditRepeat(models.Model):
    """Denials alike within a minute: the first is a record, the others are counted here."""

    key = models.CharField(max_length=64, primary_key=True)
    since = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    sample = models.TextField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(name="audit_repeats_by_age", fields=["since"])]

    def __str__(self) -> str:
        return f"{self.count} repeats"


class AuditSpilled(models.Model):
    """A record that waited in a file is in the database: it must not be written twice."""

    uid = models.UUIDField(primary_key=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.uid)


class AuditVerification(Job):
    """A look at the whole chain, and what it has found."""

    task_name: ClassVar[str] = "audit.run_verification"

    requested_by = models.CharField(max_length=200, editable=False)
    rows = models.BigIntegerField(default=0, editable=False)
    size = models.BigIntegerField(default=0, editable=False)
    chain = models.CharField(max_length=64, blank=True, editable=False)
    findings = models.JSONField(default=list, editable=False)
    notes = models.JSONField(default=list, editable=False, help_text="What is no damage.")

    class Meta(Job.Meta):
        default_permissions = ()

    def __str__(self) -> str:
        return f"Verification for {self.requested_by}"

    @property
    def verdict(self) -> str:
        """What came of it, as a word that has a tone."""
        if self.state != self.State.DONE:
            return str(self.state)
        return "damaged" if self.findings else "sound"
