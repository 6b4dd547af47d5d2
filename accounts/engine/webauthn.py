"""Passkeys (W3C WebAuthn, level 3): options for the browser, and judging what it answers."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State = dict[str, str]
"""What is kept on the server between asking and judging."""
Options = dict[str, Any]
"""What the browser gets, as JSON."""

_NAME: Final = "OpsPlatform"
_LONGEST_ID: Final = 1023  # bytes, by the standard
# What the library raises on answers that a stranger made up.
_MALFORMED: Final = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    OverflowError,
    RecursionError,
    struct.error,
    NotImplementedError,
)


class WebAuthnError(Exception):
    """The answer does not prove what was asked."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The host that passkeys belong to, and the address that pages come from."""

    host: str
    origin: str

    @property
    def is_usable(self) -> bool:
        """Whether browsers make passkeys for it: a name, over TLS or on this machine."""
        try:
            ip_address(self.host)
        except ValueError:
            is_local = self.host == "localhost" or self.host.endswith(".localhost")
            return is_local or self.origin.startswith("https://")
        return False


def party(origin: str) -> RelyingParty:
    """Return the relying party of a page's origin, such as https://ops.example.org."""
    return RelyingParty(host=urlsplit(origin).hostname or "", origin=origin)


@dataclass(frozen=True, slots=True)
class Credential:
    """A new passkey."""

    credential_id: bytes
    data: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """A proof by a known passkey."""

    sign_count: int
    user_verified: bool


def ask_to_register(
    rp: RelyingParty, *, user_id: bytes, name: str, known: Sequence[bytes]
) -> tuple[State, Options]:
    """Return state and options for a new passkey; those that the person has are left out."""
    options, state = _server(rp).register_begin(
        PublicKeyCredentialUserEntity(id=user_id, name=name, display_name=name),
        [_descriptor(credential_id) for credential_id in known],
        resident_key_requirement=ResidentKeyRequirement.PREFERRED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return _plain(state), _json(dict(options))


def judge_registration(
    rp: RelyingParty, state: Mapping[str, str], response: Mapping[str, Any]
) -> Credential:
    """Return the new passkey; raises WebAuthnError."""
    try:
        RegistrationResponse.from_dict(response)
        found = _server(rp).register_complete(dict(state), response)
        data = found.credential_data
        if data is None or not 0 < len(data.credential_id) <= _LONGEST_ID:
            raise WebAuthnError
        return Credential(data.credential_id, bytes(data), found.counter)
    except _MALFORMED as error:
        raise WebAuthnError(str(error)) from None


def ask_to_prove(
    rp: RelyingParty, *, known: Sequence[bytes] | None, must_verify: bool
) -> tuple[State, Options]:
    """Return state and options for a proof; without known passkeys, the browser offers its own."""
    options, state = _server(rp).authenticate_begin(
        None if known is None else [_descriptor(credential_id) for credential_id in known],
        user_verification=UserVerificationRequirement.REQUIRED
        if must_verify
        else UserVerificationRequirement.PREFERRED,
    )
    return _plain(state), _json(dict(options))


def credential_id_of(response: Mapping[str, Any]) -> bytes:
    """Return which passkey an answer names; raises WebAuthnError."""
    try:
        return AuthenticationResponse.from_dict(response).raw_id
    except _MALFORMED as error:
        raise WebAuthnError(str(error)) from None


def judge_proof(
    rp: RelyingParty, state: Mapping[str, str], response: Mapping[str, Any], *, credential: bytes
) -> Assertion:
    """Return what was proven by the passkey; raises WebAuthnError."""
    try:
        known = AttestedCredentialData(credential)
        _server(rp).authenticate_complete(dict(state), [known], response)
        found = AuthenticationResponse.from_dict(response).response.authenticator_data
        return Assertion(found.counter, found.is_user_verified())
    except _MALFORMED as error:
        raise WebAuthnError(str(error)) from None


def _server(rp: RelyingParty) -> Fido2Server:
    # Exactly this origin: the library's own rule would accept subdomains and other ports.
    return Fido2Server(
        PublicKeyCredentialRpEntity(id=rp.host, name=_NAME),
        verify_origin=lambda origin: origin == rp.origin,
    )


def _descriptor(credential_id: bytes) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=credential_id)


def _plain(state: Any) -> State:  # noqa: ANN401  # untyped in the library
    return {name: str(value) for name, value in state.items()}


def _json(value: Any) -> Any:  # noqa: ANN401  # nested mappings of the library
    if isinstance(value, str | int | bool) or value is None:
        return str(value) if isinstance(value, str) else value
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    pairs = cast("Mapping[str, Any]", value)
    return {name: _json(pairs[name]) for name in pairs if pairs[name] is not None}
