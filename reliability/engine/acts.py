"""The acts of the audit log in words, as whoever looks for a cause reads them."""

from typing import Final

# Names that are written as one word or in another way than people do.
_NOUNS: Final = {
    "uptimetest": "uptime test",
    "periodictask": "schedule",
    "slo": "objective",
    "api_key": "API key",
    "db": "database",
}
_MANY: Final = {"address": "addresses", "schedule": "schedules", "maintenance": "maintenance"}


def act_in_words(action: str, target: str = "") -> str:
    """Return an act such as `check.created` as a sentence would begin with it."""
    noun, verb = _parts(action)
    told = f"{noun} {verb}".strip()
    told = told[:1].upper() + told[1:]
    return f"{told}: {target}" if target else told


def acts_in_words(action: str, count: int) -> str:
    """Return many acts of one kind as their number."""
    noun, verb = _parts(action)
    return f"{count} {_plural(noun)} {verb}".strip()


def _parts(action: str) -> tuple[str, str]:
    noun, _, verb = action.partition(".")
    return _NOUNS.get(noun, noun.replace("_", " ")), verb.replace("_", " ")


def _plural(noun: str) -> str:
    if noun in _MANY:
        return _MANY[noun]
    if noun.endswith("s"):
        return noun
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
