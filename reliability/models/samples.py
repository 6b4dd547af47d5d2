"""What checks found: the newest results as rows, older ones packed, and their sums."""

from django.db import models
from django.db.models import Q

from reliability.models.checks import FAILURES, Check


class Sample(models.Model):
    """One result, as it was found; `manual` ones were asked for and moved no strikes.

    The rows are the newest results only: when their hour is over they are packed into a
    `SampleChunk` and leave.
    """

    # The constraint below is the index.
    check_of = models.ForeignKey(
        Check,
        on_delete=models.CASCADE,
        related_name="samples",
        db_column="check_id",
        db_index=False,
    )
    at = models.DateTimeField()
    ok = models.BooleanField()
    manual = models.BooleanField(default=False)
    status_code = models.PositiveSmallIntegerField(null=True)
    failure = models.CharField(max_length=10, blank=True, choices=FAILURES)
    detail = models.CharField(max_length=200, blank=True)
    latency_ms = models.FloatField()
    dns_ms = models.FloatField(default=0)
    connect_ms = models.FloatField(default=0)
    tls_ms = models.FloatField(default=0)
    first_byte_ms = models.FloatField(default=0)
    excerpt = models.TextField(blank=True)

    class Meta:
        verbose_name = "result"
        ordering = ["-id"]
        constraints = [
            # Also the index of a check's history; a flush that is repeated stores nothing twice.
            models.UniqueConstraint(name="sample_is_stored_once", fields=["check_of", "at"])
        ]

    def __str__(self) -> str:
        return f"{'ok' if self.ok else self.failure} at {self.at:%Y-%m-%d %H:%M:%S}"


class SampleChunk(models.Model):
    """The results of one check in an hour or a day, packed by `engine.packing`.

    `n` counts all results of the schedule, `bad` the failed ones among them; what was asked for by
    hand is packed too and counted in neither.
    """

    # A key of its own, with an index, would take as much as a quarter of the results.
    pk = models.CompositePrimaryKey("check_of_id", "starts_at")
    check_of = models.ForeignKey(
        Check,
        on_delete=models.CASCADE,
        related_name="chunks",
        db_column="check_id",
        db_index=False,
    )
    starts_at = models.DateTimeField()
    seconds = models.PositiveIntegerField()
    n = models.PositiveIntegerField()
    bad = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        default_permissions = ()
        ordering = ["check_of", "starts_at"]
        constraints = [
            models.CheckConstraint(
                name="chunk_is_an_hour_or_a_day", condition=Q(seconds__in=[3600, 86_400])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.n} results from {self.starts_at:%Y-%m-%d %H:%M}"


class Rollup(models.Model):
    """Sums of results: of one check over a day; of all checks over five minutes, an hour, a day.

    `histogram` is that of `core.histogram` over the latencies of good results, in milliseconds;
    the sums of the phases are of good results too. Daily rows are kept for ever.
    """

    check_of = models.ForeignKey(
        Check,
        on_delete=models.CASCADE,
        null=True,
        related_name="rollups",
        db_column="check_id",
        db_index=False,
    )
    starts_at = models.DateTimeField()
    seconds = models.PositiveIntegerField()
    n = models.PositiveIntegerField()
    bad = models.PositiveIntegerField()
    sum_ms = models.FloatField(default=0)
    dns_ms = models.FloatField(default=0)
    connect_ms = models.FloatField(default=0)
    tls_ms = models.FloatField(default=0)
    first_byte_ms = models.FloatField(default=0)
    histogram = models.BinaryField()
    # Of all checks: the newest row that was added up, so that the next run goes on from there.
    through_id = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["starts_at"]
        constraints = [
            models.UniqueConstraint(
                name="rollup_of_check_once",
                fields=["check_of", "starts_at"],
                condition=Q(check_of__isnull=False),
            ),
            models.UniqueConstraint(
                name="rollup_of_all_once",
                fields=["seconds", "starts_at"],
                condition=Q(check_of=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.n} results from {self.starts_at:%Y-%m-%d %H:%M}"
