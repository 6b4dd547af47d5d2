"""Reference pages rendered from code: configuration, roles, schedule, OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drf_spectacular.renderers import OpenApiYamlRenderer

from accounts.roles import AREAS, PURPOSE, ROLES, summary_of
from core.loops import all_loops
from core.periodic import all_periodic_jobs
from opsplatform.env import ENV
from opsplatform.schema import openapi

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTE: Final = "This page is written by `make docs` from the code; do not edit it.\n"

_CONFIGURATION: Final = """\
All configuration comes from environment variables. `NAME_FILE` names a file that holds the value of
`NAME`; an empty variable counts as not set. A value that cannot be used stops the start and is
named. `manage.py env` shows which variables are set."""
_SCHEDULE: Final = """\
Loops run in the daemon, each under its lease. Periodic jobs are rows that operators may change in
the console; times are UTC.
"""


def configuration() -> str:
    """Return the table of environment variables."""
    lines = [
        "# Configuration\n",
        _NOTE,
        _CONFIGURATION,
    ]
    section = ""
    for variable in ENV.variables.values():
        if variable.section != section:
            section = variable.section
            lines += [
                f"\n## {section}\n",
                "| variable | kind | default | meaning |",
                "|---|---|---|---|",
            ]
        default = f"`{variable.default}`" if variable.default and not variable.secret else ""
        secret = " Secret." if variable.secret else ""
        about = variable.about.replace("|", "\\|")
        lines.append(f"| `{variable.name}` | {variable.kind} | {default} | {about}{secret} |")
    return "\n".join(lines) + "\n"


def roles() -> str:
    """Return the tables of role by area and of role by permission."""
    names = list(ROLES)
    head = " | ".join(names)
    line = ":-:|" * len(names)
    lines = [
        "# Roles\n",
        _NOTE,
        (
            "A role is a Django group. What a role does not list, it may not do. Rows are narrowed "
            "further: one's own account, sessions and keys are nobody else's.\n"
        ),
        "| role | for whom |",
        "|---|---|",
        *(f"| {name} | {PURPOSE[name]} |" for name in names),
        "\n## By area\n",
        "`w`: reads and changes all of it. `r`: reads. Words: reads, and changes this much.\n",
        f"| area | {head} |",
        f"|---|{line}",
        "| Own account, second factor, sessions | " + " | ".join("w" for _ in names) + " |",
        *(
            f"| {area.name} | " + " | ".join(summary_of(area, name) for name in names) + " |"
            for area in AREAS
        ),
        "\n## By permission\n",
        f"| permission | what it allows | {head} |",
        f"|---|---|{line}",
    ]
    for area in AREAS:
        for permission, words in sorted({**area.reads, **area.changes}.items()):
            marks = " | ".join("yes" if permission in ROLES[name] else "" for name in names)
            lines.append(f"| `{permission}` | {words} | {marks} |")
    return "\n".join(lines) + "\n"


def schedule() -> str:
    """Return the tables of loops and of periodic jobs."""
    lines = [
        "# Schedule\n",
        _NOTE,
        _SCHEDULE,
        "| loop | every | why |",
        "|---|--:|---|",
        *(f"| `{x.name}` | {x.period_seconds:g} s | {x.why} |" for x in all_loops().values()),
        "\n| periodic job | cron | task | why |",
        "|---|---|---|---|",
        *(f"| {j.name} | `{j.cron}` | `{j.task}` | {j.why} |" for j in all_periodic_jobs()),
    ]
    return "\n".join(lines) + "\n"


def api() -> str:
    """Return the OpenAPI description as YAML."""
    rendered: bytes = OpenApiYamlRenderer().render(openapi(), renderer_context={})
    return rendered.decode()


PAGES: Final[dict[str, Callable[[], str]]] = {
    "configuration.md": configuration,
    "roles.md": roles,
    "schedule.md": schedule,
    "openapi.yaml": api,
}
