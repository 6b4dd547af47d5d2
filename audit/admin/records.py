"""The list of records, the page of one, everything of one actor or target, and verification."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.views.decorators.http import require_GET, require_POST

from audit.admin import shown
from audit.models import AuditArchive, AuditRecord, AuditVerification
from audit.selectors import chain, search
from audit.services import verification
from core.actors import Actor, ActorKind
from core.adminbase import RecordAdmin
from core.adminlists import BeforeFilter, BoundedPaginator
from core.components import Column, Progress, Table, badge, when

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.urls import URLPattern

_PAGE: Final = 50
_PAST: Final = 10
_TONES: Final = {"allowed": "info", "denied": "bad", "error": "warn"}
_KEYS: Final = ("actor_kind", "actor", "target_type", "target", "session", "request_id", "address")


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
    list_display = ["time", "who", "shown_action", "target", "shown_outcome", "origin", "place"]
    list_filter = ["outcome", "category", ActorFilter, BeforeFilter, "at"]
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
    search_help_text = "Action, actor, target, reason, address, session or request id"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditRecord]:
        return search.sealed(super().get_queryset(request))

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

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        state = chain_state() if self.has_view_permission(request) else {}
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
        return self._page(request, "page", str(row.action), row=row, **record_context(row))

    def timeline(self, request: HttpRequest) -> HttpResponse:
        """Show everything of one actor, one target, one session, request or address."""
        self._refuse(request)
        given = {name: request.GET[name] for name in _KEYS if request.GET.get(name)}
        rows = search.found(given).order_by("-id")
        before = request.GET.get("before", "")
        if before.isascii() and before.isdecimal() and len(before) < 19:  # noqa: PLR2004  # digits of a big integer
            rows = rows.filter(pk__lt=int(before))
        page = list(rows[: _PAGE + 1])
        more = len(page) > _PAGE
        context = {
            "of": _of(given, page[0] if page else None),
            "days": _days(page[:_PAGE]),
            "older": shown.timeline_url(**given, before=str(page[_PAGE - 1].pk)) if more else "",
            "newest": shown.timeline_url(**given) if before else "",
        }
        return self._page(request, "timeline", f"{context['of']}: all acts", **context)

    def verification(self, request: HttpRequest) -> HttpResponse:
        """Show whether the log is sound, since when, and what to note down."""
        self._refuse(request)
        past = AuditVerification.objects.order_by("-created_at")[:_PAST]
        rows = [
            [when(job.created_at), job.requested_by, _verdict(job), f"{job.rows:,}", job.chain[:16]]
            for job in past
        ]
        table = Table(
            [
                Column("Asked"),
                Column("By"),
                Column("Result"),
                Column("Records", numeric=True),
                Column("Head"),
            ],
            rows,
            caption="Verifications",
            empty="No verification yet. One runs each night at 02:30 UTC.",
        )
        archived = Table(
            [Column("Records"), Column("From"), Column("To"), Column("File"), Column("SHA-256")],
            [
                [
                    f"{one.from_seq:,} to {one.to_seq:,}",
                    when(one.first_at),
                    when(one.last_at),
                    one.file,
                    one.sha256[:16],
                ]
                for one in AuditArchive.objects.order_by("-from_seq")[:_PAST]
            ],
            caption="Archives",
            empty="Nothing is archived yet: records stay in the database for their retention.",
        )
        context = {**chain_state(), "table": table, "archived": archived}
        return self._page(request, "verification", "Verification", **context)

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Verify everything now."""
        self._refuse(request)
        running = AuditVerification.objects.filter(state__in=("queued", "running")).exists()
        if running:
            self.message_user(request, "A verification is under way already.", messages.INFO)
        else:
            verification.request(actor=_actor(request))
            self.message_user(request, "The verification begins.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:audit_auditrecord_verification"))

    def head(self, request: HttpRequest) -> HttpResponse:
        """Give the signed head as a file, for verify_audit_chain --checkpoint."""
        self._refuse(request)
        checkpoint = chain.last_checkpoint()
        if checkpoint is None:
            raise Http404
        name = f"audit-head-{checkpoint.size}.json"
        return HttpResponse(
            json.dumps(chain.told(checkpoint), indent=1),
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def _refuse(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(
        self, request: HttpRequest, template: str, title: str, **context: object
    ) -> TemplateResponse:
        request.current_app = self.admin_site.name
        everything = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            **context,
        }
        return TemplateResponse(request, f"admin/audit/auditrecord/{template}.html", everything)

    @admin.display(description="Time", ordering="at")
    def time(self, row: AuditRecord) -> str:
        return when(row.at)

    @admin.display(description="Who", ordering="actor_name")
    def who(self, row: AuditRecord) -> str:
        return shown.actor_link(row)

    @admin.display(description="Action", ordering="action")
    def shown_action(self, row: AuditRecord) -> str:
        return row.action

    @admin.display(description="From", ordering="address")
    def origin(self, row: AuditRecord) -> str:
        return row.address or "-"

    @admin.display(description="Target")
    def target(self, row: AuditRecord) -> str:
        return shown.target_link(row)

    @admin.display(description="Outcome", ordering="outcome")
    def shown_outcome(self, row: AuditRecord) -> str:
        return badge(row.outcome)

    @admin.display(description="Seal")
    def place(self, row: AuditRecord) -> str:
        seq = getattr(row, "seq", None)
        return f"{seq:,}" if seq is not None else "soon"


def chain_state() -> dict[str, Any]:
    """Return what pages tell about the chain: its head, its lag, the last look at it."""
    checkpoint, last = chain.last_checkpoint(), chain.last_verification()
    running = AuditVerification.objects.filter(state__in=("queued", "running")).first()
    work = running and Progress(
        "Verification",
        running.progress,
        100 if running.progress else 0,
        started_at=running.created_at,
    )
    lag = chain.seal_lag_seconds()
    return {
        "checkpoint": checkpoint,
        "noted": f"{checkpoint.size}:{checkpoint.chain}" if checkpoint is not None else "",
        "sealed": f"{checkpoint.size:,}" if checkpoint is not None else "0",
        "lag": round(lag),
        "is_late": lag > 60,  # noqa: PLR2004  # a minute
        "verified": last,
        "verdict": _verdict(last) if last is not None else "",
        "work": work or None,
    }


def record_context(row: Any) -> dict[str, Any]:  # noqa: ANN401  # a record with its place
    """Return what the page of a record shows."""
    last = chain.last_verification()
    facts: list[tuple[str, object]] = [
        ("Time", when(row.at)),
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
        "seq": f"{row.seq:,}" if row.seq is not None else "",
        "facts": facts,
        "difference": shown.difference(row),
        "details": shown.other_details(row),
        "digest": bytes(row.digest).hex() if row.digest is not None else "",
        "checked": last if is_covered else None,
        "checked_verdict": _verdict(last) if is_covered and last is not None else "",
        "tone": _TONES.get(row.outcome, ""),
    }


def _led(text: str, **query: str) -> str:
    if not text:
        return "-"
    return format_html('<a href="{}">{}</a>', shown.timeline_url(**query), text)


def _of(given: dict[str, str], first: AuditRecord | None) -> str:
    if "actor" in given:
        return first.actor_name if first is not None else given["actor"]
    if "target" in given:
        return shown.target_name(first) if first is not None else given["target"]
    for name, word in (("session", "Session"), ("request_id", "Request"), ("address", "Address")):
        if name in given:
            return f"{word} {given[name]}"
    return "Everybody"


def _days(rows: list[AuditRecord]) -> list[tuple[str, list[dict[str, Any]]]]:
    days: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        day = f"{row.at:%A}, {row.at.day} {row.at:%B %Y}"
        days.setdefault(day, []).append(
            {
                "row": row,
                "tone": _TONES.get(row.outcome, ""),
                "who": shown.actor_link(row),
                "target": shown.target_link(row),
                "difference": shown.difference(row),
            }
        )
    return list(days.items())


def _verdict(job: AuditVerification) -> str:
    tones = {"sound": "ok", "damaged": "bad", "failed": "warn"}
    return badge(job.verdict, capfirst(job.verdict), tones.get(job.verdict, "info"))


def _actor(request: HttpRequest) -> Actor:
    # People alone sign in to the console.
    user: Any = request.user
    return Actor(ActorKind.USER, str(user.pk), user.get_username(), user.pk)
