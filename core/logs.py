"""Write log records as JSON lines, with secrets masked and the request they belong to."""

import logging
import os
import re
import time
import traceback
from pathlib import Path
from typing import Final

import orjson

from core import tracing
from core.logfile import LogFile
from core.masking import Plain, clean, clip, mask

__all__ = ["ConsoleHandler", "FileHandler", "OnlyExceptions", "encode", "mask"]

_LONGEST_LINE: Final = 32_768
_LONGEST_NAME: Final = 256
_LONGEST_CONTEXT: Final = 8_192
_SHORTER_TEXTS: Final = (16_384, 4_096, 1_024, 256)
_COMPLAINT_SECONDS: Final = 10.0

# A record without `extra` has exactly so many attributes; other formatters add two of their own.
_BARE: Final = len(vars(logging.makeLogRecord({})))
# Django adds the request itself, whose text is its path and query: the access log says it better.
# uvicorn adds its message once more, for terminals with colours.
_LEFT_OUT: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "request",
    "color_message",
}
_LEVELS: Final = (
    (logging.CRITICAL, "CRITICAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARNING"),
    (logging.INFO, "INFO"),
)
# What moves the cursor, changes colours, breaks lines or turns the reading direction.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

# The text of the present second; threads that race for it compute the same value.
_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


def encode(record: logging.LogRecord) -> bytes:
    """Return a record as one line of JSON, at most 32 KB, newline included.

    The keys always stand there, in the same order: ts, level, module (the name of the logger),
    message, request_id, trace_id, user, context (all `extra` of the call), exc.
    """
    fields = _fields(record)
    line = _dumps(fields)
    if len(line) <= _LONGEST_LINE:
        return line
    context = fields["context"]
    if isinstance(context, dict):
        fields["context"] = _short_context(context)
    for length in _SHORTER_TEXTS:
        for name in ("message", "exc"):
            text = fields[name]
            if isinstance(text, str):
                fields[name] = _keep_ends(text, length)
        line = _dumps(fields)
        if len(line) <= _LONGEST_LINE:
            break
    return line


class FileHandler(logging.Handler):
    """Append each record to the log file as a JSON line.

    Logging never raises: a line that the disk refuses is counted and goes to stderr.
    """

    def __init__(self, path: str | Path, *, max_bytes: int, level: int | str = 0) -> None:
        super().__init__(level)
        self.failed = 0
        self._complained_at = -_COMPLAINT_SECONDS
        self._file = LogFile(Path(path), max_bytes=max_bytes, complain=self._complain)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        line = b""
        try:
            line = encode(record)
            self._file.write(line)
        except Exception as error:  # noqa: BLE001  # Logging must not break what it watches.
            self.failed += 1
            self._complain(f"{self.failed} lines not written to {self._file.path}: {error!r}")
            _to_stderr(line)

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        self._file.close()
        super().close()

    def _complain(self, problem: str) -> None:
        """Tell stderr, but not for every line: a full disk would fill the console too."""
        now = time.monotonic()
        if now - self._complained_at >= _COMPLAINT_SECONDS:
            self._complained_at = now
            _to_stderr(f"logging: {mask(problem)}\n".encode(errors="backslashreplace"))


class ConsoleHandler(logging.Handler):
    """Write each record to stderr, as a JSON line or as text for people."""

    def __init__(self, style: str, *, level: int | str = 0) -> None:
        super().__init__(level)
        self._encode = encode if style == "json" else _as_text

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a console that is gone loses it."""
        try:
            _to_stderr(self._encode(record))
        except Exception as error:  # noqa: BLE001  # Logging must not break what it watches.
            _to_stderr(f"logging: {type(error).__name__} in a record\n".encode())


class OnlyExceptions(logging.Filter):
    """Lets records with an exception pass, for loggers whose other records say nothing new."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record carries an exception."""
        return bool(record.exc_info)


def _fields(record: logging.LogRecord) -> dict[str, Plain]:
    origin = tracing.current()
    extra: Plain = None
    if len(vars(record)) > _BARE:
        extra = clean({k: v for k, v in vars(record).items() if k not in _LEFT_OUT}) or None
    return {
        "ts": _timestamp(record.created),
        "level": _level(record.levelno),
        "module": clip(record.name, _LONGEST_NAME),
        "message": clean(_message(record)),
        "request_id": origin.request_id or None,
        "trace_id": origin.trace_id or None,
        "user": clip(mask(origin.user), _LONGEST_NAME) or None,
        "context": extra,
        "exc": _exception(record),
    }


def _timestamp(created: float) -> str:
    global _second  # noqa: PLW0603  # a cache of one entry
    seconds = int(created)
    known, text = _second
    if known != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _second = (seconds, text)
    return f"{text}.{int((created - seconds) * 1000):03d}Z"


def _level(number: int) -> str:
    """Return which of the five levels a number belongs to."""
    for least, name in _LEVELS:
        if number >= least:
            return name
    return "DEBUG"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  # Arguments that do not fit are no reason to fail.
        return f"{clean(record.msg)} (arguments do not fit: {type(error).__name__})"


def _exception(record: logging.LogRecord) -> str | None:
    text = record.exc_text or ""
    if not text and record.exc_info and record.exc_info[0] is not None:
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
    if record.stack_info:
        text = f"{text}\n{record.stack_info}".lstrip()
    if not text:
        return None
    # Masked before the last cut, which might leave half of a secret.
    return _keep_ends(mask(_keep_ends(text, _LONGEST_LINE)), _LONGEST_CONTEXT)


def _keep_ends(text: str, length: int) -> str:
    """Cut the middle out: a traceback says most at its end, a message at its beginning."""
    if len(text) <= length:
        return text
    return f"{text[: length // 2]} … {text[-(length // 2) :]}"


def _short_context(context: dict[str, Plain]) -> dict[str, Plain]:
    """Return what is small, and that something is missing."""
    short: dict[str, Plain] = {
        name: value
        for name, value in context.items()
        if not isinstance(value, str | list | dict)
        or (isinstance(value, str) and len(value) <= _LONGEST_NAME)
    }
    short["cut"] = True
    return short if len(_dumps(short)) <= _LONGEST_CONTEXT else {"cut": True}


def _dumps(fields: dict[str, Plain]) -> bytes:
    try:
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Lone surrogates, from file names and hostile JSON, are no UTF-8.
        return orjson.dumps(_readable(fields), option=orjson.OPT_APPEND_NEWLINE)


def _readable(value: Plain) -> Plain:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, dict):
        return {str(_readable(name)): _readable(item) for name, item in value.items()}
    return value


def _as_text(record: logging.LogRecord) -> bytes:
    fields = _fields(record)
    parts = [f"{fields['ts']} {fields['level']:<8} {fields['module']}: {fields['message']}"]
    context = fields["context"]
    if isinstance(context, dict):
        parts += [f"{name}={value}" for name, value in context.items()]
    if fields["request_id"]:
        parts.append(f"request_id={fields['request_id']}")
    # What a stranger sent must not look like a line of its own.
    line = " ".join(parts).replace("\n", "\\n")
    text = f"{line}\n{fields['exc']}" if fields["exc"] else line
    visible = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return f"{visible}\n".encode(errors="backslashreplace")


def _to_stderr(line: bytes) -> None:
    try:
        while line:
            line = line[os.write(2, line) :]
    except OSError:
        # There is nowhere left to tell it.
        return
