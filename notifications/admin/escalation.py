"""Escalations in the console: steps as a form, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from accounts.actors import actor_of
from core.adminbase import SettingsAdmin
from core.components import Column, Table, badge, when
from notifications.admin.escalation_form import ChainForm
from notifications.admin.words import joined
from notifications.models import EscalationChain, EscalationRun
from notifications.selectors import escalation as selectors
from notifications.services import chains

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse

_SHOWN_RUNS = 10
_STATES = {
    EscalationRun.State.ACTIVE: "warn",
    EscalationRun.State.ACKNOWLEDGED: "info",
    EscalationRun.State.RESOLVED: "ok",
    EscalationRun.State.EXHAUSTED: "bad",
}
_RUNS = (
    Column("Alert"),
    Column("State"),
    Column("Began", room="medium"),
    Column("Next step"),
    Column("What it did last", room="wide"),
)


@admin.register(EscalationChain)
class EscalationChainAdmin(SettingsAdmin[EscalationChain]):
    """Whom to tell next while nobody acknowledges."""

    form = ChainForm
    list_display = ["name", "what", "used_by", "at_work"]
    search_fields = ["name"]
    change_form_template = "admin/notifications/escalationchain/change_form.html"
    empty_text = (
        "No escalation yet. A route that has one tells further people, step by step, until "
        "somebody acknowledges or it is over."
    )

    class Media:
        css: ClassVar = {"all": ["css/oncall.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[EscalationChain]:
        return super().get_queryset(request).prefetch_related("routes")

    @admin.display(description="Steps")
    def what(self, chain: EscalationChain) -> str:
        return format_html_join("", "<div>{}</div>", ((text,) for text in _in_words(chain)))

    @admin.display(description="Used by")
    def used_by(self, chain: EscalationChain) -> str:
        names = [route.name for route in chain.routes.all()]
        return ", ".join(names) or badge("unused", "No route", "warn")

    @admin.display(description="At work now")
    def at_work(self, chain: EscalationChain) -> str:
        found = _runs(chain).filter(state=EscalationRun.State.ACTIVE).count()
        return badge("at work", str(found), "warn") if found else "0"

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: EscalationChain | None = None,
    ) -> HttpResponse:
        form = context["adminform"].form
        if isinstance(form, ChainForm):
            context["rows"] = form.rows
        if obj is not None:
            context["words"] = _in_words(obj)
            context["runs"] = _table(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_service(
        self,
        request: HttpRequest,
        obj: EscalationChain,
        form: ModelForm[EscalationChain],
        change: bool,
    ) -> None:
        given = cast("ChainForm", form)
        data = given.cleaned_data
        settings: Any = {
            "name": data["name"],
            "repeats": data["repeats"],
            "steps": given.steps(),
        }
        actor = actor_of(request)
        if change:
            chains.update(actor=actor, chain_id=obj.pk, **settings)
            return
        obj.pk = chains.create(actor=actor, **settings).pk

    def save_related(self, request: HttpRequest, *_: object) -> None:
        """Leave the steps alone: ours has set them, with a record."""

    def delete_service(self, request: HttpRequest, obj: EscalationChain) -> None:
        chains.delete(actor=actor_of(request), chain_id=obj.pk)

    def get_deleted_objects(
        self, objs: Iterable[EscalationChain], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Leave out the steps, which go along; a route that uses it is told by the service."""
        listed = [str(chain) for chain in objs]
        return [*listed], {"escalations": len(listed)}, set(), []


def _in_words(chain: EscalationChain) -> list[str]:
    return selectors.in_words(selectors.snapshot(chain), repeats=chain.repeats)


def _runs(chain: EscalationChain) -> QuerySet[EscalationRun]:
    return EscalationRun.objects.filter(chain_name=chain.name)


def _table(chain: EscalationChain) -> Table:
    rows = _runs(chain).select_related("group").order_by("-pk")[:_SHOWN_RUNS]
    return Table(
        columns=_RUNS,
        rows=[
            (
                format_html('<a href="{}">{}</a>', thread_page(run.group_id), run.group),
                badge(run.state, run.get_state_display(), _STATES[EscalationRun.State(run.state)]),
                when(run.started_at),
                when(run.next_step_at),
                _last(run),
            )
            for run in rows
        ],
        caption="The last escalations",
        empty="It was not needed yet.",
    )


def thread_page(group_id: int) -> str:
    """Return the address of a thread's page."""
    return reverse("admin:notifications_group_change", args=[group_id])


def _last(run: EscalationRun) -> str:
    if not run.log:
        return "It waits for its first step."
    last = run.log[-1]
    step = f"Step {last['step']}" if last["step"] else "After the steps"
    if names := last.get("names"):
        return f"{step}: told {joined(names)}. {last['why']}".strip()
    messages = "1 message" if last["told"] == 1 else f"{last['told']} messages"
    return f"{step}: {messages}. {last['why']}".strip()
