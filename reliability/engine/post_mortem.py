"""What a post-mortem begins with: the facts, and the questions to answer."""

from collections.abc import Iterable
from datetime import datetime

_QUESTIONS = (
    ("Summary", "What happened, in two sentences that anybody understands."),
    ("Effect", "Who noticed what, for how long, and how many."),
    ("Cause", "Why it could happen. Ask why again, until the answer is a thing to change."),
    ("How it was found", "By an alert, or by somebody who called. How long did that take?"),
    ("How it was ended", "What helped, what did not, and what took longest."),
    ("What went well", "What to keep."),
    ("What changes now", "- Thing to do, who does it, until when"),
)


def begun(
    *,
    title: str,
    service: str,
    severity: str,
    started_at: datetime,
    resolved_at: datetime | None,
    lines: Iterable[tuple[datetime, str]],
) -> str:
    """Return the text that people write their post-mortem over."""
    facts = [
        f"# {title}",
        "",
        f"Service: {service}",
        f"Severity: {severity}",
        f"Began: {_told(started_at)}",
        f"Ended: {_told(resolved_at) if resolved_at else 'not yet'}",
    ]
    for heading, question in _QUESTIONS:
        facts += ["", f"## {heading}", question]
    facts += ["", "## Timeline"]
    facts += [f"- {_told(at)} {' '.join(text.split())}" for at, text in lines]
    return "\n".join(facts)


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
