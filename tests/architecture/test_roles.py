"""The table of roles against the permissions that exist."""

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission

from accounts.roles import AREAS, ROLES

OURS = {"accounts", "audit", "core", "notifications", "observability", "reliability"}


def _codes():
    return {
        f"{app}.{code}"
        for app, code in Permission.objects.values_list("content_type__app_label", "codename")
    }


@pytest.mark.django_db
def test_every_permission_of_the_table_exists():
    assert set().union(*ROLES.values()) - _codes() == set()


@pytest.mark.django_db
def test_every_custom_permission_belongs_to_a_role():
    custom = {
        f"{model._meta.app_label}.{code}"
        for model in apps.get_models()
        if model._meta.app_label in OURS
        for code, _ in model._meta.permissions
    }
    assert custom - set().union(*ROLES.values()) == set()


@pytest.mark.django_db
@pytest.mark.parametrize("role", sorted(ROLES))
def test_groups_hold_exactly_the_table(role):
    held = Group.objects.get(name=role).permissions.values_list(
        "content_type__app_label", "codename"
    )
    assert {f"{app}.{code}" for app, code in held} == ROLES[role]


def test_the_auditor_changes_nothing():
    verbs = {code.partition(".")[2].partition("_")[0] for code in ROLES["auditor"]}
    assert verbs == {"view", "export"}


def test_the_auditor_reads_what_the_admin_reads():
    readable = {code for code in ROLES["admin"] if ".view_" in code}
    assert readable <= ROLES["auditor"]


def test_every_permission_stands_in_one_area_in_plain_words():
    told = [name for area in AREAS for name in (*area.reads, *area.changes)]
    assert sorted(told) == sorted(set().union(*ROLES.values()))
    words = [text for area in AREAS for text in (*area.reads.values(), *area.changes.values())]
    assert len(set(words)) == len(words)
    assert not any("_" in text for text in words)
