"""Every page of the console opens, and carries nothing that the strict policy refuses."""

import re

import pytest
from django.contrib import admin
from django.urls import reverse

from accounts.roles import ROLES

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
# Who may have API keys makes them on the pages of their own account.
MADE_ELSEWHERE = {"accounts.APIKey"}
# A heartbeat is a kind of check: whoever may add, change or view those may do so with it.
KIND_OF = {"reliability.Heartbeat": "reliability.Check"}
INLINE = re.compile(
    r"<script(?![^>]*(?:\bsrc=|application/json))[^>]*>|<style|\sstyle=|\son[a-z]+=\"",
    re.IGNORECASE,
)


def _name(model, page):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_lists_open_for_an_admin(console, make_user, model):
    answer = console(make_user(role="admin")).get(_name(model, "changelist"))
    assert answer.status_code == 200
    assert INLINE.findall(answer.content.decode()) == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_forms_to_add_open_or_are_refused(console, make_user, model):
    client = console(make_user(role="admin"))
    app, _, noun = KIND_OF.get(model._meta.label, model._meta.label).lower().partition(".")
    allowed = f"{app}.add_{noun}" in ROLES["admin"]
    allowed = allowed and model._meta.label not in MADE_ELSEWHERE
    answer = client.get(_name(model, "add"))
    assert answer.status_code == (200 if allowed else 403)
    assert INLINE.findall(answer.content.decode()) == []


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_list_opens_exactly_for_who_may_view_it(console, make_user, model, role):
    client = console(make_user(role=role))
    allowed = f"{model._meta.app_label}.view_{model._meta.model_name}" in ROLES[role]
    changes = f"{model._meta.app_label}.change_{model._meta.model_name}" in ROLES[role]
    expected = 302 if role == "user" else 200 if allowed or changes else 403
    assert client.get(_name(model, "changelist")).status_code == expected


@pytest.mark.parametrize("page", ["index", "login", "password_change"])
def test_pages_of_the_site_carry_nothing_inline(client, console, make_user, page):
    if page != "login":
        client = console(make_user(role="admin"))
    answer = client.get(reverse(f"admin:{page}"))
    assert answer.status_code == 200
    assert INLINE.findall(answer.content.decode()) == []
