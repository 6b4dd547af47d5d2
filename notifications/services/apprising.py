"""Sends through Apprise: one process for each message, with nothing of ours in it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from django.conf import settings

from notifications.engine import apprise
from notifications.engine.base import Outcome, Verdict
from notifications.engine.errands import secrets_of, secrets_of_url
from notifications.engine.kinds import KINDS
from notifications.services import errands

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from notifications.models import Channel, Notification

# Enough for Python to run; nothing of the platform's settings.
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}


class AppriseSender:
    """Runs the library for each message, and ends it when it takes too long."""

    def __init__(self, channel: Channel, config: Mapping[str, Any]) -> None:
        self.parallel = min(KINDS[channel.kind].most_parallel or 1, channel.max_parallel)
        self._channel = channel
        self._config = config
        url = str(config.get("url", ""))
        self._secrets = (
            *secrets_of(channel.kind, config),
            *secrets_of_url(url),
            *apprise.secrets_of_url(url),
        )

    async def send(self, message: Notification) -> Outcome:
        """Send one message."""
        if refusal := apprise.refusal_of(str(self._config.get("url", ""))):
            return Outcome(
                verdict=Verdict.REFUSED, error_class="refused_target", detail=refusal, local=True
            )
        if impersonal := errands.refusal_of(self._channel, self._config, message):
            return impersonal
        errand = errands.errand(self._channel, self._config, message)
        job = apprise.job(errand, allow=settings.OPS_OUTGOING_ALLOW)
        process = await asyncio.create_subprocess_exec(
            *apprise.command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
        )
        try:
            async with asyncio.timeout(self._channel.timeout_seconds):
                output, _ = await process.communicate(job)
        except TimeoutError:
            return apprise.timed_out()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return apprise.classify(output, process.returncode or 0, secrets=self._secrets)

    async def close(self) -> None:
        """Do nothing: each message has a process of its own."""
