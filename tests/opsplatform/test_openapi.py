"""The description says how every operation refuses, and which credentials it takes."""

from uuid import uuid4

import pytest

from accounts.scopes import SCOPES
from accounts.services import api_keys
from core.actors import SYSTEM
from opsplatform.schema import openapi

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def operations():
    return [
        pytest.param(path, method, raw, id=raw["operationId"])
        for path, methods in openapi()["paths"].items()
        for method, raw in methods.items()
    ]


def credentials(raw):
    return {name for required in raw.get("security", ()) for name in required}


@pytest.mark.parametrize(("path", "method", "raw"), operations())
def test_every_operation_says_how_it_refuses(path, method, raw):
    answers = raw["responses"]
    assert answers["429"]["content"] == _PROBLEM
    assert "Retry-After" in answers["429"]["headers"]
    if "security" in raw:
        assert answers["401"]["content"] == _PROBLEM
        assert answers["403"]["content"] == _PROBLEM
    if "{" in path:
        assert answers["404"]["content"] == _PROBLEM
    assert raw["summary"]


@pytest.mark.parametrize(("path", "method", "raw"), operations())
def test_one_credential_is_enough(path, method, raw):
    assert all(len(required) == 1 for required in raw.get("security", ()))


def test_a_problem_is_described():
    schema = openapi()["components"]["schemas"]["Problem"]
    assert schema["required"] == ["detail", "status", "title", "type"]
    assert set(schema["properties"]) == {*schema["required"], "errors", "request_id"}


def test_signing_in_describes_the_second_step():
    answer = openapi()["paths"]["/api/auth/login"]["post"]["responses"]["401"]
    body = answer["content"]["application/problem+json"]["schema"]["$ref"].rsplit("/", 1)[1]
    fields = openapi()["components"]["schemas"][body]["properties"]
    assert {"mfa_token", "methods", "expires_in", "passkey", "detail"} <= set(fields)


@pytest.mark.parametrize(
    ("path", "method", "named"),
    [
        ("/api/services/", "get", {"accessToken", "apiKey", "dashboardKey", "consoleSession"}),
        ("/api/auth/me", "get", {"accessToken", "apiKey", "dashboardKey", "consoleSession"}),
        ("/api/auth/keys", "post", {"accessToken", "consoleSession"}),
        ("/api/auth/devices", "get", {"accessToken", "consoleSession"}),
        ("/api/auth/login", "post", set()),
    ],
)
def test_a_route_names_the_credentials_that_it_takes(path, method, named):
    assert credentials(openapi()["paths"][path][method]) == named


@pytest.mark.django_db
def test_what_names_no_key_takes_none(api, make_user):
    owner = make_user(role="admin")
    _, raw_key = api_keys.create(actor=SYSTEM, owner_id=owner.pk, label="all", scopes=SCOPES)
    closed = [
        (method, path)
        for path, methods in openapi()["paths"].items()
        for method, raw in methods.items()
        if "security" in raw and "apiKey" not in credentials(raw)
    ]
    assert len(closed) > 10
    for method, path in closed:
        parts = [str(uuid4()) if part.startswith("{") else part for part in path.split("/")]
        answer = api.generic(
            method, "/".join(parts), "{}", "application/json", headers={"X-Api-Key": raw_key}
        )
        # Some judge what is sent before who sends it; none does anything.
        assert answer.status_code in {400, 403, 404}, (method, path, answer.content)
