"""Access tokens: what is refused, whoever made it, and what holds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accounts.engine import tokens as engine
from accounts.engine.tokens import Claims, Fault, InvalidTokenError, Issuer
from audit.models import AuditRecord

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
KID = "a-key-of-ours-000000000"
ISSUER = Issuer("https://ops.example.com", "opsplatform")
NOW = 1_800_000_000


def claims(**changes) -> Claims:
    given = {
        "user_id": uuid4(),
        "sid": uuid4().hex,
        "jti": uuid4().hex,
        "kid": KID,
        "epoch": "1.0",
        "methods": ("pwd", "otp"),
        "issued_at": NOW,
        "not_before": NOW,
        "expires_at": NOW + 900,
    }
    return Claims(**{**given, **changes})


def read(token: str, *, now: float = NOW, issuer: Issuer = ISSUER) -> Claims:
    keys = {KID: KEY.public_key()}
    return engine.read(token, issuer=issuer, key_of=keys.get, now=now)


def fault(token: str, **changes) -> str:
    with pytest.raises(InvalidTokenError) as caught:
        read(token, **changes)
    return caught.value.fault


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def make(header: dict | bytes | None = None, payload: dict | bytes | None = None, key=KEY) -> str:
    """Return a token signed with RS256, whatever its header and payload say."""
    if not isinstance(header, bytes):
        header = json.dumps(
            {"alg": "RS256", "typ": "at+jwt", "kid": KID, **(header or {})}
        ).encode()
    if not isinstance(payload, bytes):
        payload = json.dumps({**BODY, **(payload or {})}).encode()
    signed = f"{encoded(header)}.{encoded(payload)}"
    return f"{signed}.{encoded(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


BODY = {
    "iss": ISSUER.name,
    "aud": ISSUER.audience,
    "sub": str(uuid4()),
    "sid": uuid4().hex,
    "jti": uuid4().hex,
    "iat": NOW,
    "nbf": NOW,
    "exp": NOW + 900,
    "amr": ["pwd"],
    "ep": "1.0",
}


def test_what_was_signed_is_read_again():
    signed = claims()
    assert read(engine.sign(signed, issuer=ISSUER, key=KEY)) == signed


def test_the_helper_makes_tokens_that_are_read():
    assert read(make()).sid == BODY["sid"]


def test_the_signature_is_that_of_rfc_7518():
    token = engine.sign(claims(), issuer=ISSUER, key=KEY)
    found = jwt.decode(
        token,
        KEY.public_key(),
        algorithms=["RS256"],
        audience=ISSUER.audience,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert found["iss"] == ISSUER.name
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "at+jwt", "kid": KID}


def test_the_example_of_rfc_7515_a_2_is_no_token_of_ours():
    # RFC 7515, A.2: RS256, but no type and no key id.
    header = "eyJhbGciOiJSUzI1NiJ9"
    payload = (
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ"
    )
    assert fault(f"{header}.{payload}.AAAA") == Fault.HEADER


def test_the_unsecured_example_of_rfc_7519_6_1_is_refused():
    token = (
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
        "LmNvbS9pc19yb290Ijp0cnVlfQ."
    )
    assert fault(token) == Fault.NOT_THREE_PARTS


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "RS384", "PS256", "ES256", "rs256", None]
)
def test_no_algorithm_but_rs256(algorithm):
    assert fault(make({"alg": algorithm})) == Fault.HEADER


def test_the_public_key_is_no_shared_secret():
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for alg in ("HS256", "RS256"):
        head = encoded(json.dumps({"alg": alg, "typ": "at+jwt", "kid": KID}).encode())
        signed = f"{head}.{encoded(json.dumps(BODY).encode())}"
        tag = encoded(hmac.digest(pem, signed.encode(), hashlib.sha256))
        assert fault(f"{signed}.{tag}") in {Fault.HEADER, Fault.SIGNATURE}


def test_another_key_under_our_name_is_refused():
    assert fault(make(key=OTHER)) == Fault.SIGNATURE


@pytest.mark.parametrize(
    "kid", ["a-key-of-others-000000", "", "../../etc/passwd", 7, None, "x" * 400]
)
def test_unknown_names_of_keys_are_refused(kid):
    assert fault(make({"kid": kid})) == Fault.KEY


def test_keys_that_the_token_brings_along_are_not_looked_at():
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OTHER.public_key()))
    brought = {"jwk": jwk, "jku": "https://evil.example/keys", "x5c": ["AAAA"]}
    assert fault(make(brought, key=OTHER)) == Fault.SIGNATURE
    assert read(make(brought)).sid == BODY["sid"]


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", None])
def test_critical_extensions_are_refused(crit):
    assert fault(make({"crit": crit})) == Fault.HEADER


@pytest.mark.parametrize("kind", ["JWT", "at+JWT", "application/at+jwt", "", None])
def test_other_types_are_refused(kind):
    assert fault(make({"typ": kind})) == Fault.HEADER


@pytest.mark.parametrize("issuer", ["https://other.example.com", "", None, [ISSUER.name]])
def test_other_issuers_are_refused(issuer):
    assert fault(make(payload={"iss": issuer})) == Fault.ISSUER_OR_AUDIENCE


@pytest.mark.parametrize("audience", ["other", "", None, [ISSUER.audience]])
def test_other_audiences_are_refused(audience):
    assert fault(make(payload={"aud": audience})) == Fault.ISSUER_OR_AUDIENCE


@pytest.mark.parametrize("name", ["sub", "exp", "ep", "jti"])
def test_a_claim_that_stands_twice_is_refused(name):
    once = json.dumps(BODY)
    twice = once[:-1] + f', "{name}": {json.dumps(BODY[name])}}}'
    assert fault(make(payload=twice.encode())) == Fault.JSON


def test_a_header_member_that_stands_twice_is_refused():
    header = f'{{"alg":"RS256","alg":"RS256","typ":"at+jwt","kid":"{KID}"}}'
    assert fault(make(header.encode())) == Fault.JSON


@pytest.mark.parametrize(
    "payload", [b"[]", b"7", b"null", b"{", b"\xff\xfe", b'{"exp": NaN}', b"[" * 3_000]
)
def test_what_is_no_object_is_refused(payload):
    assert fault(make(payload=payload)) in {Fault.JSON, Fault.NO_OBJECT, Fault.TOO_LONG}


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": "1900000000"},
        {"exp": 1.9e9},
        {"exp": True},
        {"exp": None},
        {"nbf": None},
        {"sid": "short"},
        {"sid": "A" * 32},
        {"jti": 7},
        {"ep": "1"},
        {"ep": "1.0.0"},
        {"amr": "pwd"},
        {"amr": ["pwd"] * 9},
        {"amr": [7]},
    ],
)
def test_claims_of_another_shape_are_refused(changes):
    assert fault(make(payload=changes)) == Fault.CLAIMS


def test_a_subject_that_is_no_id_is_refused():
    assert fault(make(payload={"sub": "admin"})) == Fault.SUBJECT


@pytest.mark.parametrize("ahead", [900 + 30, 10**6])
def test_expired_tokens_are_refused(ahead):
    assert fault(make(), now=NOW + ahead) == Fault.TIME


@pytest.mark.parametrize("behind", [31, 10**6])
def test_tokens_of_the_future_are_refused(behind):
    assert fault(make(), now=NOW - behind) == Fault.TIME


@pytest.mark.parametrize("off", [-30, 0, 900 + 29])
def test_clocks_may_differ_by_thirty_seconds(off):
    assert read(make(), now=NOW + off).sid == BODY["sid"]


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c.d", "a b.c.d", "a.b.c=", "ä.b.c"])
def test_what_has_no_three_parts_is_refused(token):
    assert fault(token) == Fault.NOT_THREE_PARTS


def test_a_megabyte_is_refused_before_it_is_read():
    # Whatever would read it would find that it is no token at all.
    assert fault("x" * 1_000_000) == Fault.TOO_LONG
    assert fault(make(payload={"pad": "x" * 1_000_000})) == Fault.TOO_LONG


def test_a_changed_letter_is_noticed():
    token = make()
    head, body, tag = token.split(".")
    changed = body[:10] + ("A" if body[10] != "A" else "B") + body[11:]
    assert fault(f"{head}.{changed}.{tag}") == Fault.SIGNATURE
    changed = tag[:10] + ("A" if tag[10] != "A" else "B") + tag[11:]
    assert fault(f"{head}.{body}.{changed}") == Fault.SIGNATURE


# By API


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["nothing", "a.b.c", make(), "x" * 5_000, "", "Bearer"])
def test_every_refusal_reads_the_same(api, token):
    answer = api.get("/api/auth/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "Sign in or send a valid key."
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="opsplatform"'


@pytest.mark.django_db
def test_forged_tokens_are_on_the_record_once_a_minute(api):
    for _ in range(3):
        api.get("/api/auth/me", headers={"authorization": f"Bearer {make(key=OTHER)}"})
    found = AuditRecord.objects.filter(action="token.refused")
    assert [row.outcome for row in found] == ["denied"]
