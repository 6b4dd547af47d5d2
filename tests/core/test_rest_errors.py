"""Every API error is a problem of RFC 9457, and tells strangers nothing."""

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions

from core.errors import InvalidInputError, NotConfiguredError
from core.keyring import KeyringError
from core.rest.errors import problem_response


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidInputError("No.", errors={"url": ["Bad."]}), 400, "invalid-input"),
        (NotConfiguredError("Set EMAIL_HOST."), 503, "not-configured"),
        (Http404(), 404, "not-found"),
        (PermissionDenied(), 403, "forbidden"),
        (exceptions.NotAuthenticated(), 401, "not-authenticated"),
        (exceptions.AuthenticationFailed("the key is 17 bits short"), 401, "not-authenticated"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method-not-allowed"),
        (exceptions.Throttled(wait=2.2), 429, "throttled"),
        (OperationalError("password=hunter2"), 503, "unavailable"),
        (KeyringError("/srv/secrets/FIELD_KEY.json cannot be read"), 503, "unavailable"),
        (RuntimeError("password=hunter2"), 500, "500"),
    ],
)
def test_each_error_has_its_problem(error, status, kind):
    answer = problem_response(error, {})
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.data["type"] == f"urn:opsplatform:problem:{kind}"
    assert answer.data["status"] == status
    assert "hunter2" not in str(answer.data)
    assert "17 bits" not in str(answer.data)
    assert "/srv" not in str(answer.data)


def test_a_wait_is_rounded_up():
    assert problem_response(exceptions.Throttled(wait=2.2), {})["Retry-After"] == "3"


def test_nested_errors_name_their_path():
    error = exceptions.ValidationError({"checks": [{}, {"url": ["Bad."]}], "name": ["Long."]})
    assert problem_response(error, {}).data["errors"] == {
        "checks.1.url": ["Bad."],
        "name": ["Long."],
    }


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "null", "\xff"])
def test_a_body_that_is_no_object_is_refused(api, make_user, body):
    api.force_authenticate(make_user(role="admin"))
    answer = api.post("/api/services/", body.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x"]
)
def test_a_wrong_content_type_is_415(api, make_user, kind):
    api.force_authenticate(make_user(role="admin"))
    answer = api.post("/api/services/", b"name=x", content_type=kind)
    assert answer.status_code == 415
    assert answer["Content-Type"] == "application/problem+json"


def test_a_page_that_is_missing_is_told_in_the_callers_language(client, db):
    assert client.get("/api/nothing/")["Content-Type"] == "application/problem+json"
    page = client.get("/nothing/", headers={"accept": "text/html"})
    assert (page.status_code, page["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page." in page.content.decode()


def test_one_refusal_has_one_title_whoever_finds_it():
    ours = problem_response(InvalidInputError("No.", errors={"url": ["Bad."]}), {})
    theirs = problem_response(exceptions.ValidationError({"url": ["Bad."]}), {})

    assert ours.data["title"] == theirs.data["title"] == "Some values cannot be used"
    assert theirs.data["errors"] == {"url": ["Bad."]}
