"""Admin pages of other packages, wrapped so that every change is on the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.db import models
from django_celery_beat.admin import (
    ClockedScheduleAdmin,
    CrontabScheduleAdmin,
    IntervalScheduleAdmin,
    PeriodicTaskAdmin,
)
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts.actors import actor_of
from audit.services.acts import act
from audit.services.records import changes, record
from core.adminbase import ConsoleAdmin
from core.adminlists import either
from core.components import badge, when

if TYPE_CHECKING:
    from django.forms import ModelForm
    from django.http import HttpRequest

M = TypeVar("M", bound=models.Model)

# What the scheduler writes itself is no act of a person.
_OWN_BOOKKEEPING = frozenset({"last_run_at", "total_run_count", "date_changed"})


class AuditedAdmin(ConsoleAdmin[M]):
    """Records additions, changes and deletions in the transaction that makes them."""

    def save_model(self, request: HttpRequest, obj: M, form: ModelForm[M], change: bool) -> None:
        with act():
            stored = self.get_queryset(request).filter(pk=obj.pk).first() if change else None
            before = _shown(stored) if stored is not None else {}
            super().save_model(request, obj, form, change)
            old, new = changes(before, _shown(obj))
            verb = "updated" if change else "created"
            record(
                actor=actor_of(request),
                action=_action(obj, verb),
                target=obj,
                before=old,
                after=new,
            )

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        with act():
            record(
                actor=actor_of(request),
                action=_action(obj, "deleted"),
                target=obj,
                before=_shown(obj),
            )
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[M]) -> None:
        with act():
            for obj in queryset:
                self.delete_model(request, obj)


def _action(obj: models.Model, verb: str) -> str:
    return f"{obj._meta.model_name}.{verb}"


def _shown(obj: models.Model) -> dict[str, Any]:
    return {
        field.attname: field.value_from_object(obj)
        for field in obj._meta.concrete_fields
        if field.attname not in _OWN_BOOKKEEPING
    }


class AuditedPeriodicTaskAdmin(AuditedAdmin[PeriodicTask], PeriodicTaskAdmin):  # type: ignore[misc]  # untyped package
    """The schedule: switches and timing on the record."""

    actions = ()
    list_display = ("job", "on", "rhythm", "last_run")
    list_filter = (("enabled", either("switch", "On", "Off")),)

    @admin.display(description="Job", ordering="name")
    def job(self, task: PeriodicTask) -> str:
        return str(task.name)

    @admin.display(description="Switch", ordering="enabled")
    def on(self, task: PeriodicTask) -> str:
        return badge("on", tone="ok") if task.enabled else badge("off")

    @admin.display(description="Rhythm")
    def rhythm(self, task: PeriodicTask) -> str:
        return str(getattr(task.scheduler, "human_readable", task.scheduler))

    @admin.display(description="Last run", ordering="last_run_at")
    def last_run(self, task: PeriodicTask) -> str:
        return when(task.last_run_at, "not yet")


class AuditedCrontabScheduleAdmin(AuditedAdmin[CrontabSchedule], CrontabScheduleAdmin):  # type: ignore[misc]  # untyped package
    """Crontabs that the schedule uses."""


class AuditedIntervalScheduleAdmin(AuditedAdmin[IntervalSchedule], IntervalScheduleAdmin):  # type: ignore[misc]  # untyped package
    """Intervals that the schedule may use."""


class AuditedClockedScheduleAdmin(AuditedAdmin[ClockedSchedule], ClockedScheduleAdmin):  # type: ignore[misc]  # untyped package
    """Moments that the schedule may use."""


for model, wrapped in (
    (PeriodicTask, AuditedPeriodicTaskAdmin),
    (CrontabSchedule, AuditedCrontabScheduleAdmin),
    (IntervalSchedule, AuditedIntervalScheduleAdmin),
    (ClockedSchedule, AuditedClockedScheduleAdmin),
):
    admin.site.unregister(model)
    admin.site.register(model, wrapped)

# Sunrise and sunset start no job of ours.
admin.site.unregister(SolarSchedule)
