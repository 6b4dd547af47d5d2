"""What loops of several apps need: who holds which lease, and which processes live."""

from django.db import models


class Lease(models.Model):
    """The right to run one loop; the token rises with every new holder and fences the old one."""

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=200, blank=True)
    token = models.PositiveBigIntegerField(default=0)
    until = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Process(models.Model):
    """One process of the platform, as it reported itself last."""

    class Kind(models.TextChoices):
        WEB = "web", "Web"
        WORKER = "worker", "Worker"
        BEAT = "beat", "Beat"
        DAEMON = "daemon", "Daemon"

    kind = models.CharField(max_length=10, choices=Kind)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=50)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["kind", "host", "pid"]
        verbose_name_plural = "processes"
        constraints = [
            models.UniqueConstraint(name="process_is_one_row", fields=["kind", "host", "pid"])
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pid} on {self.host}"
