"""A queue of files for the embedded profile: kombu's filesystem transport, made crash-safe.

The stock transport writes a message in place, so a reader can see half of it, and an empty file,
left by a full disk, ends the worker; and it fetches through the system's temporary folder. Here a
message appears by rename, is taken by rename, and what does not decode is discarded and logged.
"""

import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any, Final

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)

ALIAS: Final = "opsfs"
_COUNT_CACHE_SECONDS: Final = 1.0


class Channel(filesystem.Channel):
    """Messages are files of one folder, named by time and queue."""

    supports_fanout = False

    def get_table(self, exchange: str) -> list[filesystem.exchange_queue_t]:
        """Bind each exchange to the queue of its own name, without a table on disk to damage."""
        return [filesystem.exchange_queue_t(exchange, "", exchange)]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Keep no table."""

    def _put(  # type: ignore[override]  # the names in kombu's own bases differ
        self, queue: str, payload: dict[str, Any], **_: object
    ) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020}_{uuid.uuid4()}.{queue}.msg"
        temporary = folder / f".{name}.part"
        try:
            temporary.write_bytes(str_to_bytes(dumps(payload)))
            temporary.rename(folder / name)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            why = f"The queue folder {folder} cannot be written ({error.strerror})."
            raise ChannelError(why) from error

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002  # kombu's signature
        folder = Path(self.data_folder_in)
        for name in waiting(folder, queue):
            # The rename decides which of several workers has the message.
            taken = folder / f".{name}.taken"
            try:
                (folder / name).rename(taken)
                raw = taken.read_bytes()
                taken.unlink()
            except OSError:
                continue
            try:
                message: dict[str, Any] = loads(bytes_to_str(raw))
            except ValueError:
                logger.warning("A message of the queue %s was unreadable and is discarded.", queue)
                continue
            return message
        raise Empty

    def _size(self, queue: str) -> int:
        return len(waiting(Path(self.data_folder_in), queue))


class Transport(filesystem.Transport):
    """The transport behind `opsfs://`."""

    Channel = Channel


def waiting(folder: Path, queue: str) -> list[str]:
    """Name the messages of a queue, the oldest first."""
    ending = f".{queue}.msg"
    try:
        names = os.listdir(folder)  # noqa: PTH208  # twice as fast as iterdir, and this is the hot path
    except FileNotFoundError:
        return []
    return sorted(name for name in names if name.endswith(ending) and name[0] != ".")


class WaitingCount:
    """Counts waiting messages at most once a second: a long queue makes listing dear."""

    def __init__(self, folder: Path, queue: str) -> None:
        self._folder = folder
        self._queue = queue
        self._count = 0
        self._counted_at = float("-inf")

    def __call__(self) -> int:
        """Return the number of messages, at most a second old."""
        now = time.monotonic()
        if now - self._counted_at >= _COUNT_CACHE_SECONDS:
            self._count = len(waiting(self._folder, self._queue))
            self._counted_at = now
        return self._count
