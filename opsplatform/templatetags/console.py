"""What the console's own templates ask beside Django's tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django import template

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

register = template.Library()


@dataclass(frozen=True)
class ChosenFilter:
    """A filter in force, and the list without it."""

    title: str
    value: str
    without: str


@register.simple_tag
def active_filters(cl: ChangeList) -> list[ChosenFilter]:
    """Return the filters that narrow the list now."""
    chosen = []
    for spec in cl.filter_specs:
        parameters = [name for name in spec.expected_parameters() if name is not None]
        names = [name for name in parameters if name in cl.filter_params]
        if not names:
            continue
        selected = [str(choice["display"]) for choice in spec.choices(cl) if choice.get("selected")]
        value = ", ".join(selected) or ", ".join(str(cl.params.get(name, "")) for name in names)
        without = cl.get_query_string(remove=parameters)
        chosen.append(ChosenFilter(str(spec.title).capitalize(), value, without))
    return chosen
