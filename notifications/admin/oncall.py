"""On call in the console: the week as a picture and in words, gaps, and who stands in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from accounts.actors import actor_of
from core.adminbase import SettingsAdmin
from core.adminpages import act, seen
from core.components import badge
from core.errors import DomainError
from core.pagebase import told
from notifications.admin.contexts.oncall import schedule_context
from notifications.admin.oncall_form import ScheduleForm, StandInForm
from notifications.models import OnCallOverride, OnCallSchedule
from notifications.selectors import oncall as selectors
from notifications.services import oncall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

    from accounts.models import User

_STAND_IN = "notifications.override_oncallschedule"
_CHANGE = "notifications.change_oncallschedule"


@admin.register(OnCallSchedule)
class OnCallScheduleAdmin(SettingsAdmin[OnCallSchedule]):
    """Who is asked in which hours of the week."""

    form = ScheduleForm
    list_display = ["name", "now", "gaps", "time_zone", "named_by"]
    search_fields = ["name"]
    change_form_template = "admin/notifications/oncallschedule/change_form.html"
    empty_text = (
        "Nobody is on call yet. A schedule says who is asked in which hours of the week; the steps "
        "of an escalation name it."
    )

    class Media:
        css: ClassVar = {"all": ["css/oncall.css"]}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        name = "notifications_oncallschedule"
        own = [
            path("<int:pk>/stand-in/", wrap(self.stand_in), name=f"{name}_stand_in"),
            path(
                "<int:pk>/overrides/<int:override>/end/",
                wrap(self.end_override),
                name=f"{name}_end_override",
            ),
        ]
        return [*own, *super().get_urls()]

    @admin.display(description="On call now")
    def now(self, schedule: OnCallSchedule) -> str:
        person = selectors.who(schedule.pk, timezone.now())
        if person is None or not person.is_active:
            return badge("nobody", "Nobody", "bad")
        return str(person)

    @admin.display(description="Gaps within 7 days")
    def gaps(self, schedule: OnCallSchedule) -> str:
        found = selectors.gaps(schedule)
        hours = sum(gap.seconds for gap in found) / 3600
        return badge("gap", f"{hours:.0f} h", "bad") if hours >= 1 else badge("ok", "None", "ok")

    @admin.display(description="Asked by")
    def named_by(self, schedule: OnCallSchedule) -> str:
        names = schedule.steps.order_by("chain__name").values_list("chain__name", flat=True)
        return ", ".join(dict.fromkeys(names)) or badge("unused", "No escalation", "warn")

    def stand_in(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask who stands in and when, and put them on call."""
        schedule = seen(self, request, pk)
        if not request.user.has_perm(_STAND_IN):
            raise PermissionDenied
        form = StandInForm(
            request.POST or None,
            schedule=schedule,
            person=cast("User", request.user),
            may_change=request.user.has_perm(_CHANGE),
            label_suffix="",
        )
        page = reverse("admin:notifications_oncallschedule_change", args=[pk])
        if request.method == "POST" and form.is_valid():
            data = form.cleaned_data
            try:
                added = oncall.stand_in(
                    actor=actor_of(request),
                    schedule_id=pk,
                    user_id=data["user"].pk,
                    starts_at=data["starts_at"],
                    ends_at=data["ends_at"],
                    reason=data["reason"],
                )
            except DomainError as error:
                for name, texts in (error.errors or {"": [told(error)]}).items():
                    form.add_error(name if name in form.fields else None, texts[0])
            else:
                self.message_user(request, f"{added.user} stands in.", messages.SUCCESS)
                return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Stand in: {schedule}",
            "form": form,
            "back": page,
            "opts": self.opts,
            "original": schedule,
        }
        template = "admin/notifications/oncallschedule/stand_in.html"
        return TemplateResponse(request, template, context)

    def end_override(self, request: HttpRequest, pk: int, override: int) -> HttpResponse:
        """Ask, then take back that somebody stands in."""
        schedule = seen(self, request, pk)
        if not request.user.has_perm(_STAND_IN):
            raise PermissionDenied
        rows = OnCallOverride.objects.select_related("user")
        found = rows.filter(pk=override, schedule=schedule).first()
        if found is None:
            message = "There is no such entry; perhaps somebody has removed it."
            raise Http404(message)
        of_others = request.user.has_perm(_CHANGE)
        if not of_others and not oncall.is_own(found, actor_of(request)):
            raise PermissionDenied
        page = reverse("admin:notifications_oncallschedule_change", args=[pk])
        if request.method == "POST":
            work = partial(
                oncall.end_override,
                actor=actor_of(request),
                override_id=override,
                of_others=of_others,
            )
            return act(self, request, _STAND_IN, page, f"{found.user} no longer stands in.", work)
        context = {
            **self.admin_site.each_context(request),
            "title": f"End that {found.user} stands in?",
            "effect": f"{schedule}: {found} UTC. From now on the week decides again.",
            "button": "End it",
            "leave": "Back",
            "is_dangerous": True,
            "back": page,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: OnCallSchedule | None = None,
    ) -> HttpResponse:
        form = context["adminform"].form
        if isinstance(form, ScheduleForm):
            context["rows"] = form.rows
            context["zones"] = form.zones
        if obj is not None:
            context |= schedule_context(obj, request.GET.get("week", ""))
            may_stand_in = request.user.has_perm(_STAND_IN)
            may_change, actor = request.user.has_perm(_CHANGE), actor_of(request)
            context["may_stand_in"] = may_stand_in
            context["endable"] = {
                one.pk
                for one in context["overrides"]
                if may_stand_in and (may_change or oncall.is_own(one, actor))
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_service(
        self,
        request: HttpRequest,
        obj: OnCallSchedule,
        form: ModelForm[OnCallSchedule],
        change: bool,
    ) -> None:
        given = cast("ScheduleForm", form)
        data = given.cleaned_data
        settings: Any = {
            "name": data["name"],
            "time_zone": data["time_zone"],
            "slots": given.slots(),
        }
        actor = actor_of(request)
        if change:
            oncall.update(actor=actor, schedule_id=obj.pk, **settings)
            return
        obj.pk = oncall.create(actor=actor, **settings).pk

    def save_related(self, request: HttpRequest, *_: object) -> None:
        """Leave the slots alone: ours has set them, with a record."""

    def delete_service(self, request: HttpRequest, obj: OnCallSchedule) -> None:
        oncall.delete(actor=actor_of(request), schedule_id=obj.pk)

    def get_deleted_objects(
        self, objs: Iterable[OnCallSchedule], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Leave out the slots, which go along; who names the schedule is told by the service."""
        listed = [str(schedule) for schedule in objs]
        return [*listed], {"schedules": len(listed)}, set(), []
