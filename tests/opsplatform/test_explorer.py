"""The API explorer shows what the description says, to people who have signed in."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.urls import reverse

from opsplatform.explorer.operations import find, groups
from opsplatform.explorer.schemas import Field, Schemas
from opsplatform.schema import openapi
from opsplatform.templatetags.explorer import prose

NAMED = {
    "components": {
        "schemas": {
            "Tier": {"type": "string", "enum": ["gold", "tin"], "description": "* `gold` - Gold"},
            "Blank": {"enum": [""]},
            "Owner": {
                "type": "object",
                "properties": {"mail": {"type": "string", "format": "email"}},
                "required": ["mail"],
            },
        }
    }
}


def every_operation():
    return [operation for group in groups() for operation in group.operations]


def test_every_operation_of_the_description_is_there_once():
    described = [
        raw["operationId"] for methods in openapi()["paths"].values() for raw in methods.values()
    ]

    assert sorted(operation.name for operation in every_operation()) == sorted(described)


def test_operations_stand_under_their_noun_and_those_of_probes_last():
    titles = [group.title for group in groups()]

    assert titles[:5] == ["Alerts", "Audit", "Auth", "Checks", "Incidents"]
    assert titles[-1] == "Health"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("api_services_list", "List services"),
        ("api_services_partial_update", "Change service"),
        ("api_notifications_channels_create", "Create channel"),
        ("api_ops_uptime_test_retrieve", "Read uptime test"),
        ("api_incidents_acknowledge_create", "Acknowledge"),
        ("api_notifications_channels_rotate_secret_create", "Rotate secret"),
        ("healthz_retrieve", "Read healthz"),
    ],
)
def test_a_title_says_what_an_operation_does(name, title):
    assert find(name).title == title


def test_fields_of_objects_inside_objects_have_dotted_names():
    schema = {
        "type": "object",
        "properties": {
            "owner": {"$ref": "#/components/schemas/Owner"},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}},
            "owners": {"type": "array", "items": {"$ref": "#/components/schemas/Owner"}},
        },
        "required": ["tags"],
    }

    assert Schemas(NAMED).fields(schema) == [
        Field("owner", "object"),
        Field("owner.mail", "email", required=True),
        Field("tags", "list of string, at most 9 characters", required=True),
        Field("owners", "list of object"),
        Field("owners[].mail", "email", required=True),
    ]


def test_choices_stand_in_place_of_their_own_description():
    schema = {
        "oneOf": [{"$ref": "#/components/schemas/Tier"}, {"$ref": "#/components/schemas/Blank"}]
    }

    assert Schemas(NAMED).field("tier", schema) == Field("tier", "string", choices=("gold", "tin"))


def test_limits_are_told_and_those_of_columns_are_not():
    schemas = Schemas({})

    assert schemas.field("a", {"type": "integer", "minimum": 1, "maximum": 30}).kind == (
        "integer, from 1, to 30"
    )
    wide = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1, "nullable": True}
    assert schemas.field("b", wide | {"readOnly": True}).kind == "integer, or null, read-only"


def test_an_example_fits_the_schema():
    schema = {
        "type": "object",
        "properties": {
            "owner": {"$ref": "#/components/schemas/Owner"},
            "tier": {"allOf": [{"$ref": "#/components/schemas/Tier"}]},
            "count": {"type": "integer", "minimum": 5},
            "on": {"type": "boolean"},
            "at": {"type": "string", "format": "date-time"},
            "ids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
            "free": {"type": "object", "additionalProperties": {}},
            "given": {"type": "string", "default": "so"},
        },
    }

    assert Schemas(NAMED).example(schema) == {
        "owner": {"mail": "person@example.org"},
        "tier": "gold",
        "count": 5,
        "on": True,
        "at": "2026-01-31T12:00:00Z",
        "ids": ["00000000-0000-4000-8000-000000000000"],
        "free": {},
        "given": "so",
    }


def test_a_schema_that_contains_itself_ends():
    tree = {"type": "object", "properties": {"inner": {"$ref": "#/components/schemas/Tree"}}}
    schemas = Schemas({"components": {"schemas": {"Tree": tree}}})

    assert [field.name for field in schemas.fields(tree)][-1] == ".".join(["inner"] * 6)
    assert str(schemas.example(tree)).count("inner") == 5


def test_every_operation_has_a_sentence_of_its_own():
    told = [operation.about for group in groups() for operation in group.operations]

    assert "" not in told
    assert len(set(told)) == len(told)


def test_deleting_wants_a_yes_and_says_no_body_once(console, make_user):
    client = console(make_user(role="admin"))
    page = client.get("/api/docs/api_checks_destroy/").content.decode()

    assert re.search(r'<input type="checkbox" required[^>]*> Yes, delete it', page)
    assert page.count("No body.") == 1
    assert "No response body" not in page
    other = client.get("/api/docs/api_checks_retrieve/").content.decode()
    assert "Yes, delete it" not in other


def test_the_line_for_the_terminal():
    note = find("api_incidents_notes_create")

    assert note.curl("http://ops.example/") == (
        'curl \\\n-X POST \\\n-H "X-Dash-Key: $OPS_KEY" \\\n'
        "-H 'Content-Type: application/json' \\\n"
        f"-d '{note.body.example}' \\\n'http://ops.example/api/incidents/{{id}}/notes/'"
    )
    assert find("healthz_retrieve").curl("http://ops.example/") == (
        "curl \\\n'http://ops.example/healthz'"
    )


def test_words_between_backticks_are_code_and_nothing_is_markup():
    assert prose("`a` and <b> `c<`") == "<code>a</code> and &lt;b&gt; <code>c&lt;</code>"


@pytest.mark.parametrize("path", ["/api/docs/", "/api/docs/api_services_list/"])
def test_nobody_is_led_to_the_login(client, db, path):
    answer = client.get(path)

    assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={path}")


def test_a_one_time_password_is_changed_first(console, make_user):
    answer = console(make_user(role="auditor", must_change_password=True)).get("/api/docs/")

    assert (answer.status_code, answer["Location"]) == (302, "/account/password/")


def test_the_list_leads_to_every_operation(console, make_user):
    answer = console(make_user(role="auditor")).get("/api/docs/")

    assert answer.status_code == 200
    assert set(re.findall(r'href="/api/docs/(\w+)/"', answer.content.decode())) == {
        operation.name for operation in every_operation()
    }


def test_every_operation_has_a_page_without_anything_inline(console, make_user):
    client = console(make_user(role="auditor"))

    for operation in every_operation():
        answer = client.get(reverse("api-docs-operation", args=[operation.name]))
        page = answer.content.decode()
        assert answer.status_code == 200
        assert operation.path in page
        assert unescape(page).count(operation.curl("http://testserver/")) == 1
        assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|<style|\son\w+=", page)


def test_an_unknown_operation_is_not_found(console, make_user):
    assert console(make_user(role="auditor")).get("/api/docs/none/").status_code == 404
