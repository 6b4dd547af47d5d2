"""The steps that people take with an incident, each with its page or button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reliability.models import Incident
from reliability.services import incidents

if TYPE_CHECKING:
    from collections.abc import Callable

CARE: Final = "reliability.acknowledge_incident"
CHANGE: Final = "reliability.change_incident"

_State = Incident.State


@dataclass(frozen=True, slots=True)
class Step:
    """One step: who may take it from which states, and what it asks for.

    `asks` names the text that the service wants; with an `effect` a page asks for it, without one
    the form stands on the page of the incident. `button` is empty where that form has its own.
    """

    name: str
    permission: str
    service: Callable[..., Any]
    done: str
    states: tuple[str, ...]
    button: str = ""
    asks: str = ""
    label: str = ""
    title: str = ""
    effect: str = ""

    @property
    def has_page(self) -> bool:
        """Whether a page of its own asks for the text."""
        return bool(self.effect)


STEPS: Final = (
    Step(
        name="acknowledge",
        permission=CARE,
        service=incidents.acknowledge,
        done="You take care of it.",
        states=(_State.TRIGGERED,),
        button="Acknowledge",
    ),
    Step(
        name="mitigate",
        permission=CHANGE,
        service=incidents.mitigate,
        done="Marked as mitigated.",
        states=(_State.TRIGGERED, _State.ACKNOWLEDGED),
        button="Mitigate",
        asks="text",
        label="What helped, for the timeline",
        title="Mark this incident as mitigated?",
        effect="Its effects are over, though not its cause. It resolves once its alerts have "
        "ended; a new alert triggers it again.",
    ),
    Step(
        name="resolve",
        permission=CHANGE,
        service=incidents.resolve,
        done="Resolved.",
        states=(_State.TRIGGERED, _State.ACKNOWLEDGED, _State.MITIGATED),
        button="Resolve",
        asks="reason",
        label="Reason, for the timeline",
        title="Resolve this incident?",
        effect="People are told that it is over. A check that is still down opens no new incident "
        "until it was up in between.",
    ),
    Step(
        name="reopen",
        permission=CHANGE,
        service=incidents.reopen,
        done="Opened again.",
        states=(_State.RESOLVED,),
        button="Open again",
        asks="reason",
        label="Reason, for the timeline",
        title="Open this incident again?",
        effect="People are told that it is not over.",
    ),
    Step(
        name="close",
        permission=CHANGE,
        service=incidents.close,
        done="Closed.",
        states=(_State.RESOLVED,),
        button="Close",
    ),
    Step(
        name="note",
        permission=CARE,
        service=incidents.add_note,
        done="Noted.",
        states=tuple(_State.values),
        asks="text",
    ),
    Step(
        name="publish",
        permission=CHANGE,
        service=incidents.publish_update,
        done="Published.",
        states=tuple(_State.values),
        asks="text",
    ),
)
