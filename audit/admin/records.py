"""The list of records and the page of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseNotAllowed
from django.urls import path
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST

from audit.admin import pages, shown, timeline, verifications
from audit.models import AuditRecord
from audit.selectors import chain, search
from core.actors import ActorKind
from core.adminbase import RecordAdmin
from core.adminlists import AfterFilter, BeforeFilter, BoundedPaginator, named
from core.components import badge, when

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.urls import URLPattern

# Filters by which a person has chosen how far back to look.
_CHOOSE_A_START: Final = frozenset({"after", "at__gte"})


class ActorFilter(admin.SimpleListFilter):
    """What stood behind the act; the kinds come from the code, not from millions of rows."""

    title = "kind of actor"
    parameter_name = "actor_kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # Django's type is invariant
        """Offer every kind."""
        return [(kind.value, shown.kind_of_actor(kind.value)) for kind in ActorKind]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditRecord]
    ) -> QuerySet[AuditRecord]:
        """Compare exactly."""
        value = self.value()
        return queryset.filter(actor_kind=value) if value else queryset


@admin.register(AuditRecord)
class AuditRecordAdmin(RecordAdmin[AuditRecord]):
    """Who did what, when, from where, and was it allowed."""

    exports = True
    export_permission = "audit.export_auditrecord"
    empty_text = "Whatever people and programs do here is recorded, and sealed within seconds."
    list_display = ["time", "who", "shown_action", "target", "shown_outcome", "seal"]
    list_filter = [
        "outcome",
        "category",
        ActorFilter,
        AfterFilter,
        BeforeFilter,
        ("at", named("date", admin.DateFieldListFilter)),
    ]
    paginator = BoundedPaginator
    search_fields = [
        "action",
        "actor_name",
        "target_name",
        "target_id",
        "reason",
        "address",
        "session",
        "request_id",
    ]
    search_help_text = (
        "Action, actor, target, reason, address, session or request id, of the last "
        f"{search.WORDS_REACH.days} days; After or Before reach further back"
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditRecord]:
        return search.sealed(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditRecord], search_term: str
    ) -> tuple[QuerySet[AuditRecord], bool]:
        """Look no further back than a month unless a time is chosen: each row costs the search."""
        if search_term and not _CHOOSE_A_START.intersection(request.GET):
            queryset = search.reached(queryset, BeforeFilter.moment(request.GET.get("before", "")))
        return super().get_search_results(request, queryset, search_term)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            ("timeline/", require_GET(self.timeline), "timeline"),
            ("verification/", require_GET(self.verification), "verification"),
            ("verify/", require_POST(self.verify), "verify"),
            ("head.json", require_GET(self.head), "head"),
        ]
        return [
            *(
                path(route, wrap(view), name=f"audit_auditrecord_{name}")
                for route, view, name in own
            ),
            *super().get_urls(),
        ]

    def timeline(self, request: HttpRequest) -> HttpResponse:
        """Show everything of one actor, one target, one session, request or address."""
        self._refuse(request)
        return timeline.page(self, request)

    def verification(self, request: HttpRequest) -> HttpResponse:
        """Show whether the log is sound, since when, and what to note down."""
        self._refuse(request)
        return verifications.page(self, request)

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Verify everything now."""
        self._refuse(request)
        return verifications.begin(self, request)

    def head(self, request: HttpRequest) -> HttpResponse:
        """Give the signed head as a file, for verify_audit_chain --checkpoint."""
        self._refuse(request)
        return verifications.head()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        state = verifications.chain_state() if self.has_view_permission(request) else {}
        return super().changelist_view(request, {**state, **(extra_context or {})})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page where Django would show a form."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            message = "There is no such record; it may have moved into an archive."
            raise Http404(message)
        return pages.page(self, request, "page", str(row.action), row=row, **record_context(row))

    def _refuse(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    @admin.display(description="Time", ordering="at")
    def time(self, row: AuditRecord) -> str:
        return when(row.at)

    @admin.display(description="Who")
    def who(self, row: AuditRecord) -> str:
        if not row.address:
            return shown.actor_link(row)
        return format_html(
            '{} <span class="quiet under">{}</span>', shown.actor_link(row), row.address
        )

    @admin.display(description="Action")
    def shown_action(self, row: AuditRecord) -> str:
        return row.action

    @admin.display(description="Target")
    def target(self, row: AuditRecord) -> str:
        return shown.target_link(row)

    @admin.display(description="Outcome")
    def shown_outcome(self, row: AuditRecord) -> str:
        return badge(row.outcome)

    @admin.display(description="Seal")
    def seal(self, row: AuditRecord) -> str:
        seq = getattr(row, "seq", None)
        if seq is None:
            return "soon"
        return format_html(
            '<span class="seal-mark" title="Sealed, seq {0}"><span class="visually-hidden">'
            "Sealed, seq {0}</span></span>",
            f"{seq:,}",
        )


def record_context(row: Any) -> dict[str, Any]:  # noqa: ANN401  # a record with its place
    """Return what the page of a record shows."""
    last = chain.last_verification()
    facts: list[tuple[str, object]] = [
        ("Time", shown.moment(row.at)),
        ("Who", shown.actor_link(row)),
        ("Kind", shown.kind_of_actor(row.actor_kind)),
        ("Target", shown.target_link(row)),
        ("From", _led(row.address, address=row.address)),
        ("Session", _led(row.session, session=row.session)),
        ("Request", _led(row.request_id, request_id=row.request_id)),
        ("Trace", row.trace_id or "-"),
        ("Client", row.user_agent or "-"),
    ]
    if row.on_behalf_of:
        behind = _led(row.on_behalf_of, actor_kind="user", actor=row.on_behalf_of)
        facts.insert(3, ("On behalf of", behind))
    is_covered = last is not None and row.seq is not None and row.seq <= last.size
    return {
        "at": shown.moment(row.at),
        "seq": f"{row.seq:,}" if row.seq is not None else "",
        "facts": facts,
        "difference": shown.difference(row),
        "is_new": shown.is_creation(row),
        "details": shown.other_details(row),
        "digest": bytes(row.digest).hex() if row.digest is not None else "",
        "checked": last if is_covered else None,
        "checked_verdict": verifications.verdict(last) if is_covered and last is not None else "",
        "tone": shown.TONES.get(row.outcome, ""),
    }


def _led(text: str, **query: str) -> str:
    if not text:
        return "-"
    return format_html('<a href="{}">{}</a>', shown.timeline_url(**query), text)
