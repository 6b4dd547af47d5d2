"""Keep roles equal to their table, and signing in on the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps as global_apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models.signals import m2m_changed
from django.dispatch import receiver

from accounts.actors import actor_of
from accounts.models import User
from accounts.roles import ROLES
from accounts.selectors import access
from accounts.services.sessions import begin_web
from audit.services.acts import unwatched
from audit.services.records import record, record_refusal
from core.actors import ANONYMOUS, Actor
from core.listexport import exported

if TYPE_CHECKING:
    from django.db import models
    from django.http import HttpRequest


def fill_roles(using: str = DEFAULT_DB_ALIAS, **_: object) -> None:
    """Set each built-in group to exactly the permissions of the table.

    Runs after every migration and after the flush of a test; permissions do not exist earlier.
    """
    for config in global_apps.get_app_configs():
        create_permissions(config, verbosity=0, using=using)
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.using(using).select_related("content_type")
    }
    with unwatched("the table of roles is code"):
        for name, wanted in ROLES.items():
            group, _created = Group.objects.using(using).get_or_create(name=name)
            _fill(group, {right: known[right] for right in wanted if right in known})


def _fill(group: Group, wanted: dict[str, Permission]) -> None:
    held = {
        f"{permission.content_type.app_label}.{permission.codename}"
        for permission in group.permissions.select_related("content_type")
    }
    if held == set(wanted):
        return
    group.permissions.set(wanted.values())
    if held:
        # Another release, or somebody gave a role more or less than the table does.
        removed, added = sorted(held - set(wanted)), sorted(set(wanted) - held)
        record(
            actor=Actor.command("migrate"),
            action="role.repaired",
            target=group,
            reason="The role differed from the table of roles.",
            before={"removed": removed} if removed else None,
            after={"added": added} if added else None,
        )


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
@receiver(m2m_changed, sender=Group.permissions.through)
def drop_rights(**_: object) -> None:
    """Read rights anew in this process, whoever changed them; services tell the others."""
    access.standing.apply(access.Kind.ROLES, "")


@receiver(user_logged_in)
def begin_session(user: User, request: HttpRequest, **_: Any) -> None:  # noqa: ANN401  # the signal's own arguments
    """Give a browser that has signed in a session that can be listed and ended."""
    # How the person proved who they are; whoever signs in by Django's own function tells nothing.
    sign_in = getattr(request, "sign_in", None)
    begin_web(
        request=request,
        user=user,
        methods=getattr(sign_in, "methods", ("pwd",)),
        mfa_at=getattr(sign_in, "mfa_at", None),
    )


@receiver(user_login_failed)
def record_refused_sign_in(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_: object
) -> None:
    """Write that signing in failed; a name that belongs to nobody may be a mistyped password."""
    given = User.normalize_username(str(credentials.get("username", ""))[:150])
    known = User.objects.filter(username=given).exists()
    record_refusal(
        actor=ANONYMOUS,
        action="session.refused",
        reason="Wrong name or password.",
        username=given if known else "unknown",
    )


@receiver(exported)
def tell_export(
    request: HttpRequest, model: type[models.Model], form: str, rows: int, query: str, **_: object
) -> None:
    """Record who took a list along, before its first row leaves."""
    with transaction.atomic():
        record(
            actor=actor_of(request),
            action="list.exported",
            list=model._meta.label,
            form=form,
            rows=rows,
            query=query,
        )
