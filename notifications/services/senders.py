"""Senders: what carries the messages of one channel to its receiver."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from django.conf import settings
from django.utils import timezone

from core.drill import refuse_in_drill
from core.http import (
    Allow,
    FetchError,
    InvalidTargetError,
    Policy,
    RefusedTargetError,
    fetch,
    session,
)
from core.keyring import KeyringError
from notifications.engine import email, smtp, webhook
from notifications.engine.base import Message, Outcome, Verdict, scrub, single_line
from notifications.models import Channel

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    from notifications.models import Notification

MOST_SECRETS: Final = 2
ENVIRONMENT_SECRET: Final = "MONITORING_ALERT_WEBHOOK_SECRET"  # noqa: S105  # the name in the keyring


class Sender(Protocol):
    """Carries messages of one channel, at most `parallel` at a time."""

    parallel: int

    async def send(self, message: Notification) -> Outcome:
        """Send one message within the channel's timeout; a failure is an outcome, not an error."""

    async def close(self) -> None:
        """Give back connections and threads."""


def prepare(channel: Channel) -> Callable[[], Sender]:
    """Read what a sender of this channel needs, and return how to open it in the event loop.

    It may read the database and the keyring; what it returns does not. Raises NotConfiguredError
    in a copy for a drill.
    """
    refuse_in_drill()
    try:
        if channel.kind == Channel.Kind.WEBHOOK:
            return partial(WebhookSender, channel, webhook_config(channel))
    except KeyringError:
        # The messages wait: once the keyring is back, or the settings are, they go out.
        detail = "The keyring cannot open this channel's settings; restore it or enter them again."
        return partial(Unusable, Verdict.RETRY, "unsealed", detail)
    if not settings.EMAIL_HOST:
        detail = "No mail server is configured; set EMAIL_HOST."
        return partial(Unusable, Verdict.REFUSED, "not_configured", detail)
    return partial(EmailSender, channel)


def webhook_config(channel: Channel) -> webhook.WebhookConfig:
    """Return the URL and the secrets that sign now.

    The secret of the channel that comes from the environment lives in the keyring.
    """
    config = channel.config
    if channel.is_managed_by_environment:
        settings.KEYRING.ensure(ENVIRONMENT_SECRET)
        secrets = tuple(settings.KEYRING.all_valid(ENVIRONMENT_SECRET)[:MOST_SECRETS])
    else:
        secrets = webhook.active_secrets(config, now=timezone.now())
    return webhook.WebhookConfig(url=config["url"], secrets=secrets)


class WebhookSender:
    """Posts to one URL, over connections that are kept while there is work."""

    def __init__(self, channel: Channel, config: webhook.WebhookConfig) -> None:
        self.parallel = channel.max_parallel
        self._timeout_seconds = channel.timeout_seconds
        self._config = config
        self._secrets = webhook.known_secrets(config)
        allow = Allow.parse(settings.OPS_OUTGOING_ALLOW)
        self._session = session(Policy.OUTBOUND, allow, keep_alive=True)

    async def send(self, message: Notification) -> Outcome:
        """Post one message."""
        request = webhook.render(
            Message.from_payload(message.payload),
            key=message.idempotency_key,
            config=self._config,
            timestamp=int(time.time()),
            timeout_seconds=self._timeout_seconds,
        )
        try:
            response = await fetch(self._session, request)
        except (FetchError, InvalidTargetError, RefusedTargetError) as error:
            return webhook.classify_error(error, secrets=self._secrets)
        return webhook.classify(response, secrets=self._secrets, now=timezone.now())

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


class EmailSender:
    """Sends mail one by one over one connection, in a thread of its own.

    A mail server that hangs holds up only this thread; after the timeout the connection is broken
    off, so that the thread ends too.
    """

    parallel = 1

    def __init__(self, channel: Channel) -> None:
        security = "tls" if settings.EMAIL_USE_SSL else "none"
        self._server = smtp.MailServer(
            host=settings.EMAIL_HOST,
            port=settings.EMAIL_PORT,
            user=settings.EMAIL_HOST_USER,
            password=settings.EMAIL_HOST_PASSWORD,
            security="starttls" if settings.EMAIL_USE_TLS else security,
            timeout_seconds=channel.timeout_seconds,
        )
        self._secrets = (settings.EMAIL_HOST_PASSWORD,)
        self._start()

    async def send(self, message: Notification) -> Outcome:
        """Send one mail."""
        if not message.recipient:
            detail = "The keyring could not open this channel's recipients; enter them again."
            return Outcome(
                verdict=Verdict.REFUSED, error_class="unsealed", detail=detail, local=True
            )
        envelope = email.Envelope(
            sender=settings.DEFAULT_FROM_EMAIL,
            recipient=message.recipient,
            key=message.idempotency_key,
            sent_at=timezone.now(),
            uncertain=message.uncertain,
        )
        try:
            mail = email.render(Message.from_payload(message.payload), envelope)
        except email.HeaderRefusedError as error:
            return Outcome(
                verdict=Verdict.REFUSED, error_class="address", detail=str(error), local=True
            )
        try:
            async with asyncio.timeout(self._server.timeout_seconds):
                reply = await self._in_thread(mail)
        except OSError as error:
            if isinstance(error, TimeoutError):
                self._restart()
            return smtp.classify_error(error, secrets=self._secrets)
        return Outcome(
            verdict=Verdict.DELIVERED,
            provider_ref=single_line(scrub(reply, self._secrets), limit=200),
        )

    async def close(self) -> None:
        """Break off what may still run, and let the thread say goodbye and end by itself."""
        if self._sending:
            self._connection.abort()
        self._pool.submit(self._connection.close)
        self._pool.shutdown(wait=False)

    def _start(self) -> None:
        self._connection = smtp.MailConnection(self._server)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mail")
        self._sending = False

    def _restart(self) -> None:
        # The thread may be stuck in a look-up of the name, which nothing can break off.
        self._connection.abort()
        self._pool.shutdown(wait=False)
        self._start()

    async def _in_thread(self, mail: EmailMessage) -> str:
        loop = asyncio.get_running_loop()
        # It stays true when this wait is cut off: then the thread may be sending still.
        self._sending = True
        reply = await loop.run_in_executor(self._pool, self._connection.send, mail)
        self._sending = False
        return reply


class Unusable:
    """Stands for a channel that cannot be used before somebody repairs its settings."""

    parallel = 1

    def __init__(self, verdict: Verdict, error_class: str, detail: str) -> None:
        self._outcome = Outcome(verdict=verdict, error_class=error_class, detail=detail, local=True)

    async def send(self, _message: Notification) -> Outcome:
        """Say what to repair."""
        return self._outcome

    async def close(self) -> None:
        """Do nothing: there is nothing open."""
