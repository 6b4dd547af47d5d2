"""Uptime tests: checks run now because somebody asked."""

from typing import Any, ClassVar

from django.db import models

from core.jobs import Job


class UptimeTest(Job):
    """A run of some checks, now; results are stored as manual and move no strikes."""

    task_name: ClassVar[str] = "reliability.run_uptime_test"

    check_ids = models.JSONField(default=list, editable=False)
    requested_by = models.CharField(max_length=200, editable=False)
    # A value, not a relation: who is told when it has ended, if a person asked.
    asked_by = models.UUIDField(null=True, editable=False)
    results = models.JSONField(default=list, editable=False)

    class Meta(Job.Meta):
        permissions = [("run_uptimetest", "Can run checks now")]

    def __str__(self) -> str:
        count = len(self.check_ids)
        return f"{count} check{'' if count == 1 else 's'} for {self.requested_by}"

    @property
    def good(self) -> int:
        """How many checks answered as they should."""
        return len(self.results) - len(self.failures)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The results of the checks that did not."""
        return [result for result in self.results if not result["ok"]]
