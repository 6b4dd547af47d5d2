"""Typed readers of environment variables that refuse to guess."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

from core.addresses import Allow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True)
class Variable:
    """What an operator may set, as the configuration reference shows it."""

    name: str
    section: str
    kind: str
    default: str
    about: str
    secret: bool


class Environment:
    """Reads variables, remembers what was declared, and collects every problem.

    `NAME_FILE` names a file that holds the value of `NAME`, for secrets that must not stand in the
    environment. Call `refuse()` once all variables are read: one start then names all mistakes.
    """

    def __init__(self, source: Mapping[str, str]) -> None:
        self._source = source
        self._section = "General"
        self.variables: dict[str, Variable] = {}
        self.problems: list[str] = []

    def section(self, title: str) -> None:
        """Put the variables declared from here on under a heading of the reference."""
        self._section = title

    def text(self, name: str, *, default: str, about: str, secret: bool = False) -> str:
        """Read a text."""
        return self._read(name, "text", default, about, str.strip, secret=secret)

    def choice(self, name: str, *, choices: Sequence[str], default: str, about: str) -> str:
        """Read one of a few words, in any case."""

        def parse(raw: str) -> str:
            for choice in choices:
                if raw.strip().casefold() == choice.casefold():
                    return choice
            _unusable("is not one of " + ", ".join(choices))

        return self._read(
            name, " or ".join(choice or "empty" for choice in choices), default, about, parse
        )

    def integer(
        self, name: str, *, default: int, about: str, minimum: int = 0, maximum: int | None = None
    ) -> int:
        """Read a whole number within its bounds, both included."""

        def parse(raw: str) -> int:
            try:
                number = int(raw)
            except ValueError:
                _unusable("is not a whole number")
            _within(number, minimum, maximum)
            return number

        return self._read(name, "whole number", default, about, parse)

    def number(
        self, name: str, *, default: float, about: str, minimum: float, maximum: float | None = None
    ) -> float:
        """Read a decimal number within its bounds, both included."""

        def parse(raw: str) -> float:
            try:
                number = float(raw)
            except ValueError:
                _unusable("is not a number")
            _within(number, minimum, maximum)
            return number

        return self._read(name, "number", default, about, parse)

    def boolean(self, name: str, *, default: bool, about: str) -> bool:
        """Read true or false; anything else is a problem, never false."""

        def parse(raw: str) -> bool:
            word = raw.strip().casefold()
            if word not in _TRUE | _FALSE:
                _unusable("is neither true nor false")
            return word in _TRUE

        return self._read(name, "true or false", default, about, parse)

    def url(
        self, name: str, *, default: str, about: str, schemes: Sequence[str], secret: bool = False
    ) -> str:
        """Read a URL with one of the schemes, or nothing; its end carries no slash."""

        def parse(raw: str) -> str:
            value = raw.strip().rstrip("/")
            try:
                parts = urlsplit(value)
                _ = parts.port
            except ValueError:
                _unusable("is not a URL")
            if value and parts.scheme not in schemes:
                _unusable(
                    "does not begin with " + " or ".join(f"{scheme}://" for scheme in schemes)
                )
            if parts.scheme in {"http", "https"} and not parts.hostname:
                _unusable("is a URL without a host")
            if parts.scheme in {"http", "https"} and parts.username is not None:
                _unusable("carries credentials, which would end up in logs")
            if parts.scheme in {"postgres", "postgresql"} and not parts.path.strip("/"):
                _unusable("names no database")
            return value

        return self._read(name, "URL", default, about, parse, secret=secret)

    def items(self, name: str, *, about: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Read words separated by commas."""
        return self._read(name, "list, separated by commas", tuple(default), about, _split)

    def targets(self, name: str, *, about: str) -> tuple[str, ...]:
        """Read networks in CIDR notation and `host:port` pairs."""

        def parse(raw: str) -> tuple[str, ...]:
            items = _split(raw)
            for item in items:
                if item.count(":") > 1 and "/" not in item and "[" not in item:
                    _unusable("has an IPv6 entry that is neither [address]:port nor a network")
                try:
                    Allow.parse([item])
                except ValueError:
                    _unusable("has an entry that is no network such as 10.0.0.0/8 and no host:port")
            return items

        return self._read(name, "CIDRs and host:port, separated by commas", (), about, parse)

    def addresses(self, name: str, *, about: str) -> tuple[str, ...]:
        """Read e-mail addresses separated by commas."""

        def parse(raw: str) -> tuple[str, ...]:
            items = _split(raw)
            for item in items:
                try:
                    validate_email(item)
                except ValidationError:
                    _unusable("has an entry that is no e-mail address")
            return items

        return self._read(name, "e-mail addresses, separated by commas", (), about, parse)

    def path(self, name: str, *, default: str, about: str, base: Path) -> Path:
        """Read a path; a relative one is taken from `base`."""

        def parse(raw: str) -> Path:
            if "\0" in raw or not raw.strip():
                _unusable("is not a path")
            return (base / Path(raw.strip()).expanduser()).absolute()

        self._declare(name, "path", default, about, secret=False)
        return self._value(name, parse(default), parse)

    def given(self, name: str) -> bool:
        """Tell whether the operator set the variable, or its file."""
        return bool(self._source.get(name) or self._source.get(f"{name}_FILE"))

    def problem(self, name: str, message: str) -> None:
        """Add a mistake that only several variables together show."""
        self.problems.append(f"{name} {message}.")

    def unknown(self, prefix: str) -> list[str]:
        """Name variables with our prefix that nothing reads: mostly misspelt ones."""
        known = {form for name in self.variables for form in (name, f"{name}_FILE")}
        return sorted(n for n in self._source if n.startswith(prefix) and n not in known)

    def refuse(self) -> None:
        """Raise ImproperlyConfigured with every problem; values are never printed."""
        if self.problems:
            message = "The environment cannot be used:\n  " + "\n  ".join(self.problems)
            raise ImproperlyConfigured(message)

    def _declare(self, name: str, kind: str, default: object, about: str, *, secret: bool) -> None:
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        shown = shown.lower() if isinstance(default, bool) else shown
        self.variables[name] = Variable(name, self._section, kind, shown, about, secret)

    def _read(
        self,
        name: str,
        kind: str,
        default: T,
        about: str,
        parse: Callable[[str], T],
        *,
        secret: bool = False,
    ) -> T:
        self._declare(name, kind, default, about, secret=secret)
        return self._value(name, default, parse)

    def _value(self, name: str, default: T, parse: Callable[[str], T]) -> T:
        raw = self._source.get(name, "")
        file = self._source.get(f"{name}_FILE", "")
        if raw and file:
            self.problem(name, f"and {name}_FILE are both set; keep one")
            return default
        if file:
            try:
                raw = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                self.problem(
                    f"{name}_FILE", f"names a file that cannot be read ({type(error).__name__})"
                )
                return default
        # An empty variable means "not set": compose files and unit files write NAME= for that.
        if not raw.strip():
            return default
        try:
            return parse(raw)
        except ValueError as error:
            self.problem(name, str(error))
            return default


def _unusable(reason: str) -> NoReturn:
    raise ValueError(reason)


def _within(number: float, minimum: float, maximum: float | None) -> None:
    # Written so that NaN, which compares false with everything, is refused too.
    if not number >= minimum:
        _unusable(f"is below {minimum}")
    if maximum is not None and not number <= maximum:
        _unusable(f"is above {maximum}")


def _split(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


ENV: Final = Environment(os.environ)
