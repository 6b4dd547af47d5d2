"""The kinds of channels: what each one asks for, and how much it takes.

Forms, serializers, validation and the shown target all come from this table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from core.errors import InvalidInputError


class Shape(StrEnum):
    """How a field is entered and judged."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105  # the name of a shape
    URL = "url"
    LINES = "lines"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One private setting of a channel.

    What is `is_secret` goes in and never comes out; `is_removable` when a stored one can be taken
    away without another in its place. A value that `pattern` does not match in whole
    is refused with `problem`.
    """

    name: str
    label: str
    help: str
    shape: Shape = Shape.TEXT
    is_required: bool = True
    is_removable: bool = False
    pattern: str = ""
    problem: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    default: str = ""
    longest: int = 300
    most_lines: int = 50

    @property
    def is_secret(self) -> bool:
        """Tell whether the value must never be shown again: URLs of receivers hold tokens."""
        return self.shape in {Shape.SECRET, Shape.URL} and not self.default


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressForm:
    """What a person's own address at a kind of channel looks like."""

    label: str
    help: str
    pattern: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of channel.

    `rate_per_minute` is what the provider is known to bear, None if it names no limit. `text_limit`
    is how long the text of one message may be, in the provider's own unit. `is_worded` tells
    whether people read its text, so that a template may replace it.
    """

    name: str
    title: str
    about: str
    fields: tuple[Field, ...]
    address: AddressForm | None = None
    rate_per_minute: int | None = None
    text_limit: int | None = None
    is_worded: bool = True
    is_signed: bool = False
    most_parallel: int | None = None

    @property
    def takes_addresses(self) -> bool:
        """Tell whether a person can have an own address there."""
        return self.address is not None

    @property
    def docs(self) -> str:
        """Return the part of docs/channels.md that tells how to set one up."""
        return f"channels.md#{self.title.lower().replace(' ', '-')}"

    def field(self, name: str) -> Field:
        """Return a field by its name; raises KeyError."""
        return {entry.name: entry for entry in self.fields}[name]


_EMAIL: Final = Kind(
    name="email",
    title="E-mail",
    about="One mail to each address, over the mail server that EMAIL_HOST names.",
    fields=(
        Field(
            name="recipients",
            label="Recipients",
            help="One address a line. Each gets a message of its own.",
            shape=Shape.LINES,
            longest=320,
        ),
    ),
    address=AddressForm(
        label="E-mail address",
        help="Always the address of the account.",
        pattern=r"[^@\s]{1,64}@[^@\s]{1,255}",
        problem="Write the address as name@example.com.",
    ),
    most_parallel=1,
)

_WEBHOOK: Final = Kind(
    name="webhook",
    title="Webhook",
    about="A signed POST with JSON to a server of yours.",
    fields=(
        Field(
            name="url",
            label="URL",
            help="Receives a signed POST with JSON. It must be public, or be listed in "
            "OPS_OUTGOING_ALLOW.",
            shape=Shape.URL,
            longest=2000,
        ),
    ),
    is_worded=False,
    is_signed=True,
)

_SLACK: Final = Kind(
    name="slack",
    title="Slack",
    about="A message in a Slack channel, by an incoming webhook or by a bot.",
    fields=(
        Field(
            name="url",
            label="Incoming webhook URL",
            help="From the Slack app's page “Incoming Webhooks”. Leave it empty to use a bot.",
            shape=Shape.URL,
            is_required=False,
            longest=2000,
        ),
        Field(
            name="token",
            label="Bot token",
            help="Begins with xoxb-. The bot needs the scope chat:write and must be in the "
            "channel.",
            shape=Shape.SECRET,
            is_required=False,
            pattern=r"xox[a-z]-[A-Za-z0-9-]{10,250}",
            problem="A bot token begins with xoxb-.",
        ),
        Field(
            name="channel",
            label="Slack channel",
            help="For the bot: the channel's ID, such as C0123456789, or its name with #.",
            is_required=False,
            pattern=r"[CGDU][A-Z0-9]{5,20}|#[^\s#@]{1,80}",
            problem="Write the channel's ID, such as C0123456789, or its name with #.",
        ),
    ),
    address=AddressForm(
        label="Slack member ID",
        help="In Slack: your profile, three dots, “Copy member ID”. Only for channels of a bot.",
        pattern=r"[UW][A-Z0-9]{5,20}",
        problem="A member ID begins with U or W and has capital letters and digits.",
    ),
    rate_per_minute=60,
    text_limit=3_000,
)

_TELEGRAM: Final = Kind(
    name="telegram",
    title="Telegram",
    about="A message from your bot to a person, a group or a channel.",
    fields=(
        Field(
            name="token",
            label="Bot token",
            help="From @BotFather, such as 123456789:AAE….",
            shape=Shape.SECRET,
            pattern=r"[0-9]{5,16}:[A-Za-z0-9_-]{30,64}",
            problem="A bot token is a number, a colon and 35 characters; @BotFather tells it.",
        ),
        Field(
            name="chat_id",
            label="Chat ID",
            help="A number, negative for groups, or @name of a public channel.",
            pattern=r"-?[0-9]{1,19}|@[A-Za-z][A-Za-z0-9_]{3,31}",
            problem="Write a number, negative for groups, or @name of a public channel.",
        ),
        Field(
            name="topic",
            label="Topic ID",
            help="For one topic of a group that has topics: the number of its thread.",
            is_required=False,
            pattern=r"[0-9]{1,12}",
            problem="The ID of a topic is a number.",
        ),
    ),
    address=AddressForm(
        label="Telegram chat ID",
        help="Your own number; write to the bot first, for bots cannot begin.",
        pattern=r"[0-9]{1,19}",
        problem="A person's chat ID is a number.",
    ),
    # A group bears twenty messages a minute, a person about one a second.
    rate_per_minute=20,
    text_limit=4_096,
)

_PAGERDUTY: Final = Kind(
    name="pagerduty",
    title="PagerDuty",
    about="An event that opens, acknowledges and resolves an alert of a PagerDuty service.",
    fields=(
        Field(
            name="routing_key",
            label="Integration key",
            help="Of an integration “Events API V2” of the service: 32 characters.",
            shape=Shape.SECRET,
            pattern=r"[A-Za-z0-9]{32}",
            problem="An integration key of the Events API V2 has 32 letters and digits.",
        ),
        Field(
            name="region",
            label="Region",
            help="Where the PagerDuty account lives.",
            shape=Shape.CHOICE,
            choices=(("us", "United States"), ("eu", "Europe")),
            default="us",
        ),
    ),
    rate_per_minute=120,
    text_limit=1_024,
    is_worded=False,
)

_DISCORD: Final = Kind(
    name="discord",
    title="Discord",
    about="A message in a Discord channel, by a webhook of the channel.",
    fields=(
        Field(
            name="url",
            label="Webhook URL",
            help="From the channel's settings, “Integrations”, “Webhooks”.",
            shape=Shape.URL,
            pattern=r"https?://[^/\s]+/api(?:/v[0-9]+)?/webhooks/[0-9]{5,20}/[\w-]{20,100}"
            r"(?:\?thread_id=[0-9]{5,20})?",
            problem="A webhook URL of Discord ends in /api/webhooks/ID/TOKEN.",
            longest=2000,
        ),
    ),
    # Five in two seconds, and thirty a minute in one channel.
    rate_per_minute=30,
    text_limit=4_096,
)

_TEAMS: Final = Kind(
    name="teams",
    title="Microsoft Teams",
    about="A card in a Teams channel or chat, by a workflow that takes webhook requests.",
    fields=(
        Field(
            name="url",
            label="Workflow URL",
            help="From the workflow “Post to a channel when a webhook request is received”.",
            shape=Shape.URL,
            pattern=r"(?!https?://[^/]*\.?(?:webhook\.office|outlook\.office(?:365)?)\.com[/:])"
            r"https?://\S+",
            problem="Connectors of Office 365 are retired; make a workflow that posts to a "
            "channel when a webhook request is received, and enter its URL.",
            longest=2000,
        ),
    ),
    # Four a second for a workflow, and fewer for the channel that it posts to.
    rate_per_minute=60,
    text_limit=25_000,
)

_NTFY: Final = Kind(
    name="ntfy",
    title="ntfy",
    about="A push message to everybody who has subscribed to a topic.",
    fields=(
        Field(
            name="server",
            label="Server",
            help="https://ntfy.sh, or your own.",
            shape=Shape.URL,
            default="https://ntfy.sh",
            pattern=r"https?://[^/\s?#]+/?",
            problem="Write the server without a path, such as https://ntfy.sh.",
        ),
        Field(
            name="topic",
            label="Topic",
            help="Whoever knows the topic of a public server can read along; make it long.",
            shape=Shape.SECRET,
            pattern=r"[-_A-Za-z0-9]{1,64}",
            problem="A topic has up to 64 letters, digits, hyphens and underscores.",
        ),
        Field(
            name="token",
            label="Access token",
            help="If the topic is protected; begins with tk_.",
            shape=Shape.SECRET,
            is_required=False,
            is_removable=True,
            pattern=r"tk_[A-Za-z0-9]{10,64}",
            problem="An access token begins with tk_.",
        ),
    ),
    address=AddressForm(
        label="ntfy topic",
        help="The topic that your phone has subscribed to.",
        pattern=r"[-_A-Za-z0-9]{1,64}",
        problem="A topic has up to 64 letters, digits, hyphens and underscores.",
    ),
    # The public server refills one request each five seconds.
    rate_per_minute=12,
    text_limit=4_096,
)

_APPRISE: Final = Kind(
    name="apprise",
    title="Apprise",
    about="Many other services, by the optional library Apprise in a process of its own.",
    fields=(
        Field(
            name="url",
            label="Apprise URL",
            help="Of one service, such as gotifys://host/token; add a channel for each.",
            shape=Shape.SECRET,
            pattern=r"[a-z][a-z0-9]{1,20}://\S+",
            problem="Write the service, :// and what Apprise needs for it.",
            longest=2000,
        ),
    ),
    rate_per_minute=60,
    text_limit=4_000,
    most_parallel=2,
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _EMAIL,
            _WEBHOOK,
            _SLACK,
            _TELEGRAM,
            _PAGERDUTY,
            _DISCORD,
            _TEAMS,
            _NTFY,
            _APPRISE,
        )
    }
)


def rate_of(kind: str, rate_per_minute: int | None) -> int | None:
    """Return how many messages a minute a channel may send; None for as many as there are."""
    return rate_per_minute if rate_per_minute is not None else KINDS[kind].rate_per_minute


def usable_address(kind: str, text: str) -> str:
    """Return a person's own address at a kind of channel; raises InvalidInputError."""
    address, form = text.strip(), KINDS[kind].address
    if form is None:
        problem = f"{KINDS[kind].title} has no addresses of single persons."
    elif re.fullmatch(form.pattern, address, re.ASCII):
        return address
    else:
        problem = form.problem
    raise InvalidInputError(problem, errors={"address": [problem]})
