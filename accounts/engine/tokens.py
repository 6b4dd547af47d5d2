"""Access tokens: JWT of the profile at+jwt (RFC 9068), signed with RS256 and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

ALGORITHM: Final = "RS256"
TYPE: Final = "at+jwt"
ACCESS_SECONDS: Final = 900
LEEWAY_SECONDS: Final = 30
MOST_BYTES: Final = 4_096

# Letters and lengths of base64url without padding, so that one content has one spelling.
_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_KID: Final = re.compile("[A-Za-z0-9_-]{8,32}")
_HEX: Final = re.compile("[0-9a-f]{32}")
_EPOCH: Final = re.compile(r"[0-9]{1,10}\.[0-9]{1,10}")
_MOST_METHODS: Final = 8

_PADDING: Final = PKCS1v15()
_HASH: Final = SHA256()


class Fault(StrEnum):
    """What is wrong with a token, for tests and the record; clients are never told."""

    TOO_LONG = "too long"
    NOT_THREE_PARTS = "not three parts"
    HEADER = "header"
    KEY = "key"
    SIGNATURE = "signature"
    ISSUER_OR_AUDIENCE = "issuer or audience"
    CLAIMS = "claims"
    SUBJECT = "subject"
    BASE64 = "base64"
    JSON = "json"
    NO_OBJECT = "no object"
    TIME = "time"


class InvalidTokenError(Exception):
    """The token is not one of ours, or not valid now."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says about who holds it; never what they may do."""

    user_id: UUID
    sid: str
    jti: str
    kid: str
    epoch: str
    methods: tuple[str, ...]
    issued_at: int
    not_before: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues tokens, and for whom."""

    name: str
    audience: str


def sign(claims: Claims, *, issuer: Issuer, key: RSAPrivateKey) -> str:
    """Return the token."""
    payload = {
        "iss": issuer.name,
        "aud": issuer.audience,
        "sub": str(claims.user_id),
        "sid": claims.sid,
        "jti": claims.jti,
        "iat": claims.issued_at,
        "nbf": claims.not_before,
        "exp": claims.expires_at,
        "amr": list(claims.methods),
        "ep": claims.epoch,
    }
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": claims.kid})


def read(
    token: str, *, issuer: Issuer, key_of: Callable[[str], RSAPublicKey | None], now: float
) -> Claims:
    """Return the claims of a valid token; raises InvalidTokenError.

    Nothing in the token chooses how it is verified: the algorithm is RS256, the key one of ours.
    Header members that carry or name keys (jku, jwk, x5c) are not looked at.
    """
    if len(token) > MOST_BYTES:
        raise InvalidTokenError(Fault.TOO_LONG)
    shape = _SHAPE.fullmatch(token)
    if shape is None:
        raise InvalidTokenError(Fault.NOT_THREE_PARTS)
    header = _members(_decoded(shape[1]))
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE or "crit" in header:
        raise InvalidTokenError(Fault.HEADER)
    key = key_of(kid) if isinstance(kid, str) and _KID.fullmatch(kid) else None
    if key is None or not isinstance(kid, str):
        raise InvalidTokenError(Fault.KEY)
    signed = token[: shape.end(2)].encode()
    try:
        # With the key object itself: a library that is given the token would parse it once more.
        key.verify(_decoded(shape[3]), signed, _PADDING, _HASH)
    except InvalidSignature:
        raise InvalidTokenError(Fault.SIGNATURE) from None
    claims = _claims(_members(_decoded(shape[2])), kid, issuer)
    refuse_untimely(claims, now)
    return claims


def refuse_untimely(claims: Claims, now: float) -> None:
    """Raise InvalidTokenError before or after the token's time; clocks may differ by 30 s."""
    if claims.expires_at + LEEWAY_SECONDS <= now or claims.not_before - LEEWAY_SECONDS > now:
        raise InvalidTokenError(Fault.TIME)


def _claims(found: dict[str, Any], kid: str, issuer: Issuer) -> Claims:
    if found.get("iss") != issuer.name or found.get("aud") != issuer.audience:
        raise InvalidTokenError(Fault.ISSUER_OR_AUDIENCE)
    texts = {name: found.get(name) for name in ("sub", "sid", "jti", "ep")}
    times = {name: found.get(name) for name in ("iat", "nbf", "exp")}
    methods = found.get("amr")
    if (
        not all(isinstance(value, str) for value in texts.values())
        or not all(type(value) is int for value in times.values())
        or not isinstance(methods, list)
        or len(methods) > _MOST_METHODS
        or not all(isinstance(method, str) for method in methods)
        or not _HEX.fullmatch(str(texts["sid"]))
        or not _HEX.fullmatch(str(texts["jti"]))
        or not _EPOCH.fullmatch(str(texts["ep"]))
    ):
        raise InvalidTokenError(Fault.CLAIMS)
    try:
        user_id = UUID(str(texts["sub"]))
    except ValueError:
        raise InvalidTokenError(Fault.SUBJECT) from None
    return Claims(
        user_id=user_id,
        sid=str(texts["sid"]),
        jti=str(texts["jti"]),
        kid=kid,
        epoch=str(texts["ep"]),
        methods=tuple(methods),
        issued_at=int(found["iat"]),
        not_before=int(found["nbf"]),
        expires_at=int(found["exp"]),
    )


def _decoded(part: str) -> bytes:
    try:
        return jwt.utils.base64url_decode(part)
    except ValueError:
        raise InvalidTokenError(Fault.BASE64) from None


def _members(raw: bytes) -> dict[str, Any]:
    """Return the members of a JSON object; one that is named twice makes it nobody's."""
    try:
        found = _decoder.decode(raw.decode())
    except (ValueError, RecursionError):
        raise InvalidTokenError(Fault.JSON) from None
    if not isinstance(found, dict):
        raise InvalidTokenError(Fault.NO_OBJECT)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_name: str) -> Any:  # noqa: ANN401  # the parser's signature
    raise ValueError


# Made once: it costs as much as reading a token does.
_decoder: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
