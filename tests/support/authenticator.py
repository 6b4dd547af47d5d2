"""A WebAuthn authenticator in software: honest unless it is told to lie."""

import base64
import hashlib
import json
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor


def b64(raw):
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Authenticator:
    """Holds one ES256 credential; its counter rises with each proof."""

    def __init__(self, *, verifies=True, counts=True):
        self.verifies = verifies
        self.counts = counts
        self.counter = 0
        self.credential_id = secrets.token_bytes(32)
        self.user_handle = b""
        self._key = ec.generate_private_key(ec.SECP256R1())

    def register(self, options, *, origin, challenge=None):
        """Answer navigator.credentials.create."""
        asked = options["publicKey"]
        self.user_handle = base64.urlsafe_b64decode(asked["user"]["id"] + "==")
        numbers = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id
        data = self._data(asked["rp"]["id"], 0x40) + attested + cbor.encode(cose)
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", challenge or asked["challenge"], origin)
        return self._answer(clientDataJSON=b64(client), attestationObject=b64(attestation))

    def prove(self, options, *, origin, challenge=None, counter=None, rp_id=None):
        """Answer navigator.credentials.get."""
        asked = options["publicKey"]
        if counter is not None:
            self.counter = counter
        elif self.counts:
            self.counter += 1
        data = self._data(rp_id or asked["rpId"], 0)
        client = self._client("webauthn.get", challenge or asked["challenge"], origin)
        signed = data + hashlib.sha256(client).digest()
        return self._answer(
            clientDataJSON=b64(client),
            authenticatorData=b64(data),
            signature=b64(self._key.sign(signed, ec.ECDSA(hashes.SHA256()))),
            userHandle=b64(self.user_handle),
        )

    def _data(self, rp_id, flags):
        present = 0x01 | (0x04 if self.verifies else 0) | flags
        return hashlib.sha256(rp_id.encode()).digest() + bytes([present]) + self.counter.to_bytes(4)

    def _client(self, kind, challenge, origin):
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin}).encode()

    def _answer(self, **response):
        return {
            "id": b64(self.credential_id),
            "rawId": b64(self.credential_id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
