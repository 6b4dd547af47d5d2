"""Senders: what carries the messages of one channel to its receiver."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

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
from notifications.engine import (
    answers,
    discord,
    email,
    ntfy,
    pagerduty,
    slack,
    smtp,
    teams,
    telegram,
    webhook,
)
from notifications.engine.base import ACKNOWLEDGE, Outcome, Verdict, excerpt, scrub, single_line
from notifications.engine.errands import secrets_of
from notifications.engine.kinds import KINDS
from notifications.models import Channel, Notification
from notifications.services import errands
from notifications.services.apprising import AppriseSender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import EmailMessage
    from types import ModuleType

    from core.http import OutgoingRequest, OutgoingResponse
    from notifications.engine.errands import Errand

MOST_SECRETS: Final = 2
ENVIRONMENT_SECRET: Final = "MONITORING_ALERT_WEBHOOK_SECRET"  # noqa: S105  # the name in the keyring

_UNREADABLE: Final = (
    "The keyring cannot open this channel's settings; restore it or enter them again."
)
_NO_MAIL_SERVER: Final = "No mail server is configured; set EMAIL_HOST."


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
    if channel.kind == Channel.Kind.EMAIL:
        if not settings.EMAIL_HOST:
            return partial(Unusable, Verdict.REFUSED, "not_configured", _NO_MAIL_SERVER)
        return partial(EmailSender, channel)
    try:
        if channel.kind == Channel.Kind.WEBHOOK:
            return partial(HttpSender, channel, Webhook(webhook_config(channel)))
        config = channel.config
    except KeyringError:
        # The messages wait: once the keyring is back, or the settings are, they go out.
        return partial(Unusable, Verdict.RETRY, "unsealed", _UNREADABLE)
    if channel.kind == Channel.Kind.APPRISE:
        return partial(AppriseSender, channel, config)
    return partial(HttpSender, channel, Provider(_PROVIDERS[channel.kind], config))


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


class Speech(Protocol):
    """How a provider is spoken to: a request for an errand, and what its answer means."""

    secrets: tuple[str, ...]
    config: Mapping[str, Any]

    def render(self, errand: Errand) -> OutgoingRequest:
        """Build the request."""

    def classify(self, response: OutgoingResponse, secrets: tuple[str, ...]) -> Outcome:
        """Judge the answer."""


class Webhook:
    """Speaks to a server of the operator's own, and signs."""

    def __init__(self, config: webhook.WebhookConfig) -> None:
        self.secrets = webhook.known_secrets(config)
        self.config: Mapping[str, Any] = {}
        self._config = config

    def render(self, errand: Errand) -> OutgoingRequest:
        """Build the request, signed at this moment."""
        return webhook.render(
            errand.message,
            key=errand.key,
            config=self._config,
            timestamp=int(time.time()),
            timeout_seconds=errand.timeout_seconds,
        )

    def classify(self, response: OutgoingResponse, secrets: tuple[str, ...]) -> Outcome:
        """Judge the answer by its status."""
        return webhook.classify(response, secrets=secrets, now=timezone.now())


class Provider:
    """Speaks the protocol of one provider."""

    def __init__(self, module: ModuleType, config: Mapping[str, Any]) -> None:
        self.secrets = secrets_of(module.__name__.rpartition(".")[2], config)
        self.config = config
        self._module = module

    def render(self, errand: Errand) -> OutgoingRequest:
        """Build the request."""
        request: OutgoingRequest = self._module.render(errand)
        return request

    def classify(self, response: OutgoingResponse, secrets: tuple[str, ...]) -> Outcome:
        """Judge the answer by the provider's own proof."""
        outcome: Outcome = self._module.classify(response, secrets=secrets, now=timezone.now())
        return outcome


class HttpSender:
    """Sends requests to one receiver, over connections that are kept while there is work."""

    def __init__(self, channel: Channel, speech: Speech) -> None:
        most = KINDS[channel.kind].most_parallel or channel.max_parallel
        self.parallel = min(most, channel.max_parallel)
        self._channel = channel
        self._speech = speech
        allow = Allow.parse(settings.OPS_OUTGOING_ALLOW)
        self._session = session(Policy.OUTBOUND, allow, keep_alive=True)

    async def send(self, message: Notification) -> Outcome:
        """Send one message."""
        if refusal := errands.refusal_of(self._channel, self._speech.config, message):
            return refusal
        errand = errands.errand(self._channel, self._speech.config, message)
        # Whoever knows the link acts in a person's name: an answer that quotes it must not show it.
        acknowledge = errand.message.links.get(ACKNOWLEDGE, "")
        secrets = (*self._speech.secrets, *([acknowledge] if message.user_id else []))
        request = self._speech.render(errand)
        try:
            response = await fetch(self._session, request)
        except (FetchError, InvalidTargetError, RefusedTargetError) as error:
            return webhook.classify_error(error, secrets=secrets)
        outcome = self._speech.classify(response, secrets)
        if message.reason == Notification.Reason.TEST and answers.is_success(response):
            # Whoever tests wants to read the answer, whatever it is.
            return replace(outcome, excerpt=excerpt(response.body, secrets))
        return outcome

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
        self._template = channel.template
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
            template=self._template,
        )
        try:
            mail = email.render(errands.told(message), envelope)
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


_PROVIDERS: Final[dict[str, ModuleType]] = {
    Channel.Kind.SLACK: slack,
    Channel.Kind.TELEGRAM: telegram,
    Channel.Kind.PAGERDUTY: pagerduty,
    Channel.Kind.DISCORD: discord,
    Channel.Kind.TEAMS: teams,
    Channel.Kind.NTFY: ntfy,
}


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
