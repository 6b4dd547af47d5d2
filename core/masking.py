"""Take secrets and personal data out of what is logged or shown."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Final, TypeAlias

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

HIDDEN: Final = "[masked]"

_DEEPEST: Final = 6
_MOST_ITEMS: Final = 100
_LONGEST_NAME: Final = 128
_LONGEST_TEXT: Final = 8_192
# Longer text is cut before it is masked. The margin to the limit above takes in a secret which
# that first cut splits so that its pattern is no longer complete.
_LONGEST_LOOK: Final = 65_536
_LARGEST_INTEGER: Final = 2**63 - 1

_NAME: Final = r"""
    pass(?:w(?:or)?d|phrase|code)s?\d?
    | (?<![a-z])pass
    | pwd
    | (?:secret|token|credential)(?:s|[_-]\w{1,30})?
    | (?:api|access|private|signing|encryption|dash|dashboard|secret)[_-]?keys?
    | csrf\w{0,30}
    | session_?(?:id|key)
    | (?:one[_-]?time[_-]?code|t?otp)
    | (?:amz|goog)-signature
    | roles_json
"""
_HEADER: Final = r"(?:proxy-)?authorization|(?:set-)?cookies?"

_SENSITIVE: Final = re.compile(
    rf"(?:^|[\W_]|(?<=[a-z0-9]))(?:{_NAME}|{_HEADER})$", re.IGNORECASE | re.VERBOSE
)


def _quoted(group: str) -> str:
    """Match a quoted text: up to the same mark, or up to the end if the text was cut.

    The mark itself may be escaped, in JSON that was put into JSON.
    """
    mark = rf"(?P={group})"
    return rf"[bru]{{0,2}}(?P<{group}>\\{{0,3}}[\"'])(?:(?!{mark})(?:\\.|.))*(?:{mark}|\Z)"


def _bracketed(depth: int) -> str:
    """Match a list, tuple or object to its end, or to the end of the text if it was cut.

    What is nested deeper ends it early. It always matches, so nothing is tried twice.
    """
    inner = f"{_bracketed(depth - 1)} |" if depth else ""
    no_quote = r"[^\[\](){}\\\"']+ | \\" if depth else r"[^\])}\\\"']+ | \\"
    quoted = _quoted(f"item{depth}")
    return rf"(?:[\[{{(] (?:{quoted} | {inner} {no_quote})* (?:[\])}}]|\Z))"


_ASSIGN: Final = r"\\{0,3}[\"']?[ \t]{0,3}(?:=>|[:=])[ \t]{0,3}+(?!\[masked\])"

_SECRET: Final = re.compile(
    rf"""
    (?P<phrase>
        pass[_-]?phrases?\d?{_ASSIGN}
    )
    (?:{_quoted("words")} | [^\r\n]+)
    | (?P<kept>
        (?:{_NAME} | (?<=[?&])(?:key|sig|signature|code|auth|sid)){_ASSIGN}
    )
    (?:{_quoted("quote")} | [\w.]{{0,40}}{_bracketed(2)}
        | (?:(?:bearer|basic|digest|token)\s+)?[^\s,;&"'<>)\]}}]+)
    | (?P<line>
        (?:{_HEADER}){_ASSIGN}
    )
    (?:{_quoted("mark")} | [^\r\n"']+)
    | (?P<scheme>://)
    (?:[^\s/?\#"<>]+ | [^\s/@:"<>]+:(?!\d{{1,5}}[/?\#])[^\s@"<>]{{1,200}})(?P<at>@)
    | (?P<word>(?:bearer|basic)\s{{1,3}})[\w.~+/=-]{{16,}}
    | eyJ[\w-]{{5,}}\.[\w-]{{5,}}\.[\w-]*
    | ops_[0-9A-Za-z]{{12}}_[0-9A-Za-z]{{20,}}
    | bot\d{{6,}}:[\w-]{{30,}}
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    | (?<![\w.+%-])[\w.+%-]{{1,64}}@(?:[\w-]+\.)+[\w-]{{2,}}
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

# Tokens of well-known services, by the beginnings that their issuers chose to make them findable.
_ISSUED: Final = re.compile(
    r"""
    \b(?:
        A[KS]IA[0-9A-Z]{16}
        | gh[opsur]_[0-9A-Za-z]{20,}
        | github_pat_\w{20,}
        | glpat-[\w-]{20,}
        | [rs]k_(?:live|test)_[0-9A-Za-z]{10,}
        | whsec_[\w+/=-]{10,}
        | xox[a-z]-[\w-]{10,}
    )
    """,
    re.VERBOSE,
)
_ISSUED_STEMS: Final = (
    "AKIA",
    "ASIA",
    "gho_",
    "ghp_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "k_live_",
    "k_test_",
    "whsec_",
    "xox",
)

# The expression costs about 0.2 µs per character, these look-ups 0.01: most text has none of them.
_STEMS: Final = (
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "authorization",
    "cookie",
    "session",
    "csrf",
    "otp",
    "code",
    "roles_json",
    "bearer",
    "basic",
    "@",
    "ops_",
    "eyj",
    "bot",
    "?sig",
    "&sig",
    "?auth",
    "&auth",
    "?sid",
    "&sid",
    "-signature",
)


# Whoever knows the address of a heartbeat can report in the name of its job, and whoever knows a
# link that acknowledges can do so in the name of its receiver.
_ADDRESS: Final = re.compile(r"(?:(?<=/hb/)|(?<=/ack/))[^\s/?#\"']+")


def mask(text: str) -> str:
    """Hide passwords, tokens, keys, credentials in URLs and e-mail addresses in a text.

    What is hidden is recognised by its shape or by the name before it. Hiding twice changes
    nothing. The time is linear in the length of the text.
    """
    if "hb/" in text or "ack/" in text:
        text = _ADDRESS.sub(HIDDEN, text)
    for stem in _ISSUED_STEMS:
        if stem in text:
            text = _ISSUED.sub(HIDDEN, text)
            break
    if not (
        "=" in text
        or ":" in text
        or "@" in text
        or "ops_" in text
        or "eyJ" in text
        or "earer " in text
        or "asic " in text
        or "-----" in text
    ):
        return text
    lowered = text.lower()
    for stem in _STEMS:
        if stem in lowered:
            return _SECRET.sub(_hide, text)
    return text


@lru_cache(maxsize=1024)
def is_sensitive(name: str) -> bool:
    """Say whether a value under this name is a secret, whatever it looks like."""
    return _SENSITIVE.search(name) is not None


def clean(value: object, *, depth: int = 0) -> Plain:
    """Return a value as plain JSON data of bounded size, with its secrets hidden.

    Works for every object: what is not plain becomes text, and text that cannot be made says so.
    """
    if isinstance(value, str):
        return _clean_text(value)
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_INTEGER else _clean_text(_text(value))
    if isinstance(value, bytes):
        return _clean_text(value[:_LONGEST_LOOK].decode("utf-8", "backslashreplace"))
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return _clean_items(value.items(), depth + 1)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [clean(item, depth=depth + 1) for item in islice(value, _MOST_ITEMS)]
    return _clean_text(_text(value))


def _clean_items(items: Iterable[tuple[object, object]], depth: int) -> dict[str, Plain]:
    """Return named values; None and truth values say nothing worth hiding."""
    cleaned: dict[str, Plain] = {}
    for key, value in islice(items, _MOST_ITEMS):
        name = clip(key if isinstance(key, str) else _text(key), _LONGEST_NAME)
        if is_sensitive(name) and value is not None and not isinstance(value, bool):
            cleaned[name] = HIDDEN
        else:
            cleaned[name] = clean(value, depth=depth)
    return cleaned


def _clean_text(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return mask(text)
    return clip(mask(text[:_LONGEST_LOOK]), _LONGEST_TEXT)


def clip(text: str, length: int) -> str:
    """Return a text of at most this many characters, which shows that it was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # The object's own code may raise anything.
        return f"<{type(value).__name__} that raises {type(error).__name__}>"


def _hide(found: re.Match[str]) -> str:
    """Keep the name before a secret, and hide the secret."""
    before = (
        found["phrase"] or found["kept"] or found["line"] or found["scheme"] or found["word"] or ""
    )
    return f"{before}{HIDDEN}{found['at'] or ''}"
