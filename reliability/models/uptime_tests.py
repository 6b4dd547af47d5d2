"""Uptime tests: checks run now because somebody asked."""

from typing import Any, ClassVar, Final

from django.db import models

from core.jobs import Job

_EMPTY: Final = models.Value([], models.JSONField())


class UptimeTest(Job):
    """A run of some checks, now; results are stored as manual and move no strikes."""

    task_name: ClassVar[str] = "reliability.run_uptime_test"
    FIRST_FAILURES: ClassVar[int] = 5

    check_ids = models.JSONField(default=list, editable=False)
    check_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    requested_by = models.CharField(max_length=200, editable=False)
    # A value, not a relation: who is told when it has ended, if a person asked.
    asked_by = models.UUIDField(null=True, editable=False)
    # Sums of the results: lists and the dashboard read these, for the results may be megabytes.
    good = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    failed = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    first_failures = models.JSONField(default=list, db_default=_EMPTY, editable=False)
    results = models.JSONField(default=list, editable=False)

    class Meta(Job.Meta):
        permissions = [("run_uptimetest", "Can run checks now")]

    def __str__(self) -> str:
        checks = "1 check" if self.check_count == 1 else f"{self.check_count:,} checks"
        return f"{checks} for {self.requested_by}"

    @property
    def found(self) -> int:
        """How many results there are."""
        return self.good + self.failed

    @property
    def verdict(self) -> str:
        """What came of it, as a word that has a tone: done alone says nothing of the checks."""
        if self.state != self.State.DONE:
            return self.state
        if not self.found:
            return "unknown"
        return "failed" if self.failed else "passed"

    @property
    def outcome(self) -> str:
        """What came of it, in words."""
        if self.state != self.State.DONE:
            return str(self.State(self.state).label)
        if not self.found:
            return "Nothing found"
        return (
            f"{self.good:,} of {self.found:,} good" if self.failed else f"All {self.found:,} good"
        )

    @classmethod
    def told(cls, results: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the fields that tell these results: what was found, and its sums."""
        failures = [result for result in results if not result["ok"]]
        return {
            "results": results,
            "good": len(results) - len(failures),
            "failed": len(failures),
            "first_failures": failures[: cls.FIRST_FAILURES],
        }
