"""Silences in the console: what nobody is told of, until when, and why."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.actors import actor_of
from core.adminbase import SettingsAdmin
from core.adminlists import BoundedPaginator
from core.adminpages import PageAdmin, act, seen
from core.components import Column, Tab, Table, badge, when
from notifications.admin.matchers import in_words
from notifications.admin.silence_form import (
    SilenceForm,
    conditions_of_event,
    conditions_of_group,
    told_of_group,
)
from notifications.admin.words import page_of, severity_badge, span, url_of
from notifications.engine import matching
from notifications.models import Event, Group, Silence
from notifications.selectors import routing, silenced
from notifications.services import silences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

END: Final = "notifications.delete_silence"
_VIEWS: Final = {"": "Hold now", "later": "To come", "over": "Over", "all": "Everything"}
_KEY_CHARACTERS: Final = 18


class HoldsFilter(admin.SimpleListFilter):
    """Silences that hold, unless somebody asks for others."""

    title = "holds"
    parameter_name = "holds"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer what is not shown by itself."""
        return [(key, words) for key, words in _VIEWS.items() if key]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Name what is shown by itself as it is."""
        for key, words in _VIEWS.items():
            changed = {self.parameter_name: key} if key else {}
            yield {
                "selected": (self.value() or "") == key,
                "query_string": changelist.get_query_string(
                    changed, remove=[] if key else [self.parameter_name]
                ),
                "display": words,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Silence]) -> QuerySet[Silence]:
        """Compare with the present moment."""
        now = timezone.now()
        match self.value():
            case "all":
                return queryset
            case "later":
                return queryset.filter(ended_at=None, starts_at__gt=now)
            case "over":
                return queryset.filter(Q(ends_at__lte=now) | Q(ended_at__lte=now))
            case _:
                return queryset.filter(routing.holding(now))


@admin.register(Silence)
class SilenceAdmin(PageAdmin[Silence], SettingsAdmin[Silence]):
    """What nobody is told of, between two moments."""

    form = SilenceForm
    exports = True
    empty_text = (
        "Nothing is silenced. A silence keeps alerts from people for a while; they still stand in "
        "the console."
    )
    change_list_template = "admin/notifications/list.html"
    change_form_template = "admin/notifications/silence/form.html"
    list_display = ["why", "stands", "means", "from_when", "until_when", "author"]
    list_filter = [HoldsFilter]
    search_fields = ["comment", "author"]
    search_help_text = "Words of the reason, or who added it"
    ordering = ["-id"]
    paginator = BoundedPaginator
    actions = None
    fieldsets = (
        (None, {"fields": ["matchers", "everything"]}),
        ("When and why", {"fields": ["lasts", ("starts_at", "ends_at"), "comment"]}),
    )

    def get_urls(self) -> list[URLPattern]:
        """Add the page of a silence, and its end."""
        wrap = self.admin_site.admin_view
        return [
            path(
                "<int:object_id>/",
                wrap(require_GET(self.page)),
                name="notifications_silence_page",
            ),
            path("<int:object_id>/end/", wrap(self.end_one), name="notifications_silence_end"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page = reverse("admin:notifications_silence_changelist")
        chosen = request.GET.get("holds", "")
        views = [
            Tab(words, f"{page}?holds={key}" if key else page, key == chosen)
            for key, words in _VIEWS.items()
        ]
        return super().changelist_view(request, {"views": views, **(extra_context or {})})

    def page_context(self, request: HttpRequest, obj: Silence) -> dict[str, Any]:
        is_over = _is_over(obj)
        page = reverse("admin:notifications_silence_change", args=[obj.pk])
        end = reverse("admin:notifications_silence_end", args=[obj.pk])
        shown: dict[str, Any] = {
            "title": obj.comment,
            "state": _state(obj),
            "means": in_words(obj.matchers),
            "edit_url": page if self.has_change_permission(request, obj) else "",
            "end_url": end if not is_over and request.user.has_perm(END) else "",
            "facts": _facts(request, obj),
        }
        if not is_over and request.user.has_perm("notifications.view_event"):
            meant = silenced.matched(matching.parse(obj.matchers))
            shown |= meant_context(request, meant)
        return shown

    def end_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask, then end a silence now."""
        if not request.user.has_perm(END):
            raise PermissionDenied
        page = url_of("silence", object_id)
        if request.method == "POST":
            work = partial(silences.end, actor=actor_of(request), silence_id=object_id)
            return act(self, request, END, page, "The silence has ended.", work)
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET", "POST"])
        silence = seen(self, request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": "End this silence?",
            "effect": "People are told at once of what it kept back and still holds.",
            "objects": [silence],
            "button": "End it now",
            "leave": "Back",
            "back": page,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/confirm_action.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form to whoever may change it, the page to everybody else."""
        silence = seen(self, request, object_id)
        if request.method == "GET" and not self.has_change_permission(request, silence):
            return HttpResponseRedirect(url_of("silence", silence.pk))
        return super().change_view(request, object_id, form_url, extra_context)

    def has_change_permission(self, request: HttpRequest, obj: Silence | None = None) -> bool:
        return (obj is None or not _is_over(obj)) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Silence | None = None) -> bool:
        """Keep the rows: they say why nobody was told."""
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with the conditions of an alert or a thread that the address names."""
        found: dict[str, Any] = {}
        if (key := _key(request, "event")) and request.user.has_perm("notifications.view_event"):
            event = Event.objects.filter(pk=key).first()
            found["matchers"] = conditions_of_event(event) if event else []
        elif (key := _key(request, "group")) and request.user.has_perm("notifications.view_group"):
            group = Group.objects.filter(pk=key).first()
            found["matchers"] = conditions_of_group(group) if group else []
            if group and (told := told_of_group(group, found["matchers"])):
                messages.info(request, told)
        return found

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Silence | None = None,
    ) -> HttpResponse:
        meant = getattr(context["adminform"].form, "meant", None)
        if meant is not None:
            context |= meant_context(request, meant)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_service(
        self, request: HttpRequest, obj: Silence, form: ModelForm[Silence], change: bool
    ) -> None:
        settings = cast("SilenceForm", form).settings()
        actor = actor_of(request)
        if change:
            obj.pk = silences.replace(actor=actor, silence_id=obj.pk, **settings).pk
        else:
            obj.pk = silences.create(actor=actor, **settings).pk
        # What the page tells of it afterwards stands in the row, not in the form.
        obj.refresh_from_db()

    def response_post_save_add(self, request: HttpRequest, obj: Silence) -> HttpResponseRedirect:
        """Go to the page of the silence."""
        return HttpResponseRedirect(url_of("silence", obj.pk))

    def response_post_save_change(self, request: HttpRequest, obj: Silence) -> HttpResponseRedirect:
        """Go to the silence that replaces the one that was changed."""
        return HttpResponseRedirect(url_of("silence", obj.pk))

    @admin.display(description="Why", ordering="comment")
    def why(self, silence: Silence) -> str:
        return silence.comment

    @admin.display(description="State")
    def stands(self, silence: Silence) -> str:
        return _state(silence)

    @admin.display(description="Alerts of which")
    def means(self, silence: Silence) -> str:
        return in_words(silence.matchers)

    @admin.display(description="From", ordering="starts_at")
    def from_when(self, silence: Silence) -> str:
        return when(silence.starts_at)

    @admin.display(description="Until", ordering="ends_at")
    def until_when(self, silence: Silence) -> str:
        return when(silence.ended_at or silence.ends_at)


def meant_context(request: HttpRequest, meant: silenced.Matched) -> dict[str, Any]:
    """Return what a page shows of the alerts that a silence means."""
    return {
        "meant": meant,
        "examples": Table(
            columns=[
                Column("Alert"),
                Column("Severity", room="medium"),
                Column("Service", room="medium"),
                Column("Raised"),
            ],
            rows=[
                [
                    page_of(request, "event", event.pk, event.title),
                    severity_badge(event.severity),
                    event.service or "-",
                    when(event.created_at),
                ]
                for event in meant.examples
            ],
            caption="Alerts that it means",
        ),
    }


def _is_over(silence: Silence) -> bool:
    now = timezone.now()
    return silence.ends_at <= now or silence.ended_at is not None


def _state(silence: Silence) -> str:
    if _is_over(silence):
        return badge("over", "Over")
    if silence.starts_at > timezone.now():
        return badge("planned", "To come", "info")
    return badge("holds", "Holds", "warn")


def _facts(request: HttpRequest, silence: Silence) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [
        ("Added by", silence.author),
        ("Added", when(silence.created_at)),
        ("From", when(silence.starts_at)),
        ("Until", when(silence.ends_at)),
        ("Lasts", span(silence.ends_at - silence.starts_at)),
    ]
    if silence.ended_at is not None:
        found += [("Ended early", when(silence.ended_at)), ("By", silence.ended_by)]
    if silence.replaces is not None:
        old = page_of(request, "silence", silence.replaces_id, silence.replaces.comment)
        found.append(("Replaces", old))
    if newer := Silence.objects.filter(replaces=silence).first():
        found.append(("Replaced by", page_of(request, "silence", newer.pk, newer.comment)))
    return found


def _key(request: HttpRequest, name: str) -> int:
    value = request.GET.get(name, "")
    return int(value) if value.isdecimal() and len(value) <= _KEY_CHARACTERS else 0
