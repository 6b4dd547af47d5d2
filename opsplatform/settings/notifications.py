"""Alert channels that come from the environment, and the mail server."""

import re
from typing import Final

from opsplatform.env import ENV

ENV.section("Alerts and mail")
MONITORING_ALERT_WEBHOOK = ENV.url(
    "MONITORING_ALERT_WEBHOOK",
    default="",
    schemes=("http", "https"),
    secret=True,
    about="URL that receives every alert as signed JSON.",
)
TELEGRAM_BOT_TOKEN = ENV.text(
    "TELEGRAM_BOT_TOKEN",
    default="",
    secret=True,
    about="Token of the Telegram bot that sends every alert to TELEGRAM_CHAT_ID.",
)
TELEGRAM_CHAT_ID = ENV.text(
    "TELEGRAM_CHAT_ID", default="", about="The chat it sends to: a number, or @name."
)
TELEGRAM_API_URL = ENV.url(
    "TELEGRAM_API_URL",
    default="https://api.telegram.org",
    schemes=("http", "https"),
    about="Bot API server of Telegram, if you run your own.",
)
OPS_ALERT_EMAILS = ENV.addresses("OPS_ALERT_EMAILS", about="Addresses that receive every alert.")
EMAIL_HOST = ENV.text("EMAIL_HOST", default="", about="SMTP server. Empty: no mail is sent.")
EMAIL_PORT = ENV.integer("EMAIL_PORT", default=25, minimum=1, maximum=65535, about="Its port.")
EMAIL_HOST_USER = ENV.text("EMAIL_HOST_USER", default="", about="Its user, if it wants one.")
EMAIL_HOST_PASSWORD = ENV.text(
    "EMAIL_HOST_PASSWORD", default="", secret=True, about="That user's password."
)
EMAIL_SECURITY = ENV.choice(
    "EMAIL_SECURITY",
    choices=("none", "starttls", "tls"),
    default="none",
    about="starttls (mostly port 587) or tls (mostly port 465).",
)
EMAIL_USE_TLS = EMAIL_SECURITY == "starttls"
EMAIL_USE_SSL = EMAIL_SECURITY == "tls"
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = ENV.text(
    "DEFAULT_FROM_EMAIL", default="opsplatform@localhost", about="Sender of alert mails."
)

OPS_MESSAGES_DAYS = ENV.integer(
    "OPS_MESSAGES_DAYS",
    default=180,
    minimum=2,
    about="How long messages, alerts and closed threads are kept, in days.",
)
OPS_ATTEMPTS_DAYS = ENV.integer(
    "OPS_ATTEMPTS_DAYS",
    default=90,
    minimum=1,
    about="How long the attempts to send a message are kept, in days.",
)
OPS_DEAD_MANS_SWITCH_URL = ENV.url(
    "OPS_DEAD_MANS_SWITCH_URL",
    default="",
    schemes=("http", "https"),
    secret=True,
    about="URL outside that is called every five minutes while alerts reach people.",
)

# Where providers listen that have one address for everybody.
SLACK_API: Final = "https://slack.com/api"
PAGERDUTY_API: Final = {
    "us": "https://events.pagerduty.com",
    "eu": "https://events.eu.pagerduty.com",
}

ENV.section("Live updates")
WS_ENABLED = ENV.boolean(
    "WS_ENABLED", default=True, about="Live updates of the console over a WebSocket."
)
WS_PATH = ENV.text("WS_PATH", default="/ws/notifications", about="Its path.")
WS_HEARTBEAT_INTERVAL = ENV.integer(
    "WS_HEARTBEAT_INTERVAL",
    default=30_000,
    minimum=1_000,
    maximum=600_000,
    about="Milliseconds between heartbeats; two without an answer end a connection.",
)
WS_MAX_CONNECTIONS = ENV.integer(
    "WS_MAX_CONNECTIONS",
    default=1_000,
    minimum=1,
    maximum=100_000,
    about="Connections over all processes with Redis, in each process without.",
)
_TAKEN: Final = {"admin", "api", "static", "healthz", "readyz"}
# A browser reads `//host/path` as another site, and leaves the dots out of `/../path`.
if not re.fullmatch(r"(/[\w-][\w.-]*)+", WS_PATH, re.ASCII) or WS_PATH.split("/")[1] in _TAKEN:
    ENV.problem("WS_PATH", "is not a path of its own, such as /ws/notifications")
