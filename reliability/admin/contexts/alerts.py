"""What pages show of alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from core.components import Column, Table, badge, when
from reliability.engine.history import micros
from reliability.selectors.bars import span

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from reliability.models import Alert

SHOWN: Final = 50


def alerts_table(found: QuerySet[Alert], *, caption: str = "Alerts") -> Table:
    """Return the newest of some alerts as a table."""
    # Those that hold stand above what has ended.
    newest = found.order_by("state", "-id")[:SHOWN]
    return Table(
        columns=[
            Column("State"),
            Column("Alert"),
            Column("Began"),
            Column("Lasted", numeric=True),
            Column("Not told because"),
        ],
        rows=[
            [
                badge(alert.state),
                format_html(
                    '<a href="{}">{}</a>',
                    reverse("admin:reliability_alert_change", args=[alert.pk]),
                    alert.title,
                ),
                when(alert.starts_at),
                lasted(alert),
                alert.suppressed_by or "-",
            ]
            for alert in newest
        ],
        caption=caption,
        empty="No alert.",
    )


def lasted(alert: Alert) -> str:
    """Return how long an alert held, or for how long it holds already."""
    end = alert.ends_at or timezone.now()
    spent = span(max(0, micros(end) - micros(alert.starts_at)))
    return spent if alert.ends_at else f"for {spent}"
