"""What settings of a channel do wrong together, told by field."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING, Any, Final

from notifications.engine.kinds import KINDS
from notifications.engine.wording import BadTemplateError, check_template
from notifications.models import Channel
from notifications.services.configs import takes_people

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEEK: Final = range(7)


def problems(channel: Channel, private: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a channel as it would be; empty if nothing is."""
    return {
        name: [told]
        for name, told in (
            ("fallback", _fallback_problem(channel)),
            ("is_for_people", _people_problem(channel, private)),
            ("template", _template_problem(channel)),
            ("quiet_until", _quiet_problem(channel)),
            ("quiet_days", _days_problem(channel)),
            ("time_zone", _zone_problem(channel)),
        )
        if told
    }


def _fallback_problem(channel: Channel) -> str:
    """Walk from fallback to fallback: a circle would hand a dead message round for ever."""
    if channel.fallback is None:
        return ""
    if channel.fallback.is_for_people:
        return "It reaches people by their own addresses, so nobody would get the message."
    # From the database: what the caller holds may be older.
    after = dict(Channel.objects.values_list("pk", "fallback_id"))
    following, seen = channel.fallback_id, {channel.pk}
    while following is not None:
        if following in seen:
            return "These channels would stand in for each other in a circle."
        seen.add(following)
        following = after.get(following)
    return ""


def _people_problem(channel: Channel, private: Mapping[str, Any]) -> str:
    if channel.is_for_people and not takes_people(KINDS[channel.kind], private):
        return "People have no addresses of their own there."
    if channel.is_for_people and channel.stands_in_for.exists():
        return "Other channels fall back on this one."
    if channel.is_for_people and channel.routes.exists():
        return "Routes name this channel; take it out of them first."
    return ""


def _template_problem(channel: Channel) -> str:
    if not channel.template:
        return ""
    if not KINDS[channel.kind].is_worded:
        return "This kind sends data, not a text."
    try:
        check_template(channel.template)
    except BadTemplateError as error:
        return str(error)
    return ""


def _quiet_problem(channel: Channel) -> str:
    start, end = channel.quiet_from, channel.quiet_until
    if (start is None) != (end is None):
        return "Quiet hours need a beginning and an end."
    if start is not None and start == end:
        return "They would never end; name two different times."
    return ""


def _days_problem(channel: Channel) -> str:
    days = channel.quiet_days
    if isinstance(days, list) and all(type(day) is int and day in _WEEK for day in days):
        return ""
    return "Name days by numbers from 0, Monday, to 6."


def _zone_problem(channel: Channel) -> str:
    if channel.time_zone in zoneinfo.available_timezones():
        return ""
    return "There is no such time zone; write it as Europe/Berlin."
