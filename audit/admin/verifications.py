"""Whether the log is sound: the state of the chain, and the page of its verifications."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst

from audit.admin import pages
from audit.models import AuditArchive, AuditVerification
from audit.selectors import chain
from audit.services import verification
from core.actors import Actor, ActorKind
from core.components import Column, Progress, Table, badge, when

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest

    from audit.models import AuditRecord

_PAST: Final = 10


def page(admin: ModelAdmin[AuditRecord], request: HttpRequest) -> HttpResponse:
    """Show the last verifications, the head to note down, and the archives."""
    past = AuditVerification.objects.order_by("-created_at")[:_PAST]
    rows = [
        [when(job.created_at), job.requested_by, verdict(job), f"{job.rows:,}", job.chain[:16]]
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
    return pages.page(admin, request, "verification", "Verification", **context)


def begin(admin: ModelAdmin[AuditRecord], request: HttpRequest) -> HttpResponse:
    """Verify everything now, and lead to where its progress and its result stand."""
    running = AuditVerification.objects.filter(state__in=("queued", "running")).exists()
    if running:
        admin.message_user(request, "A verification is under way already.", messages.INFO)
    else:
        verification.request(actor=_actor(request))
    return HttpResponseRedirect(reverse("admin:audit_auditrecord_verification"))


def head() -> HttpResponse:
    """Give the signed head as a file."""
    checkpoint = chain.last_checkpoint()
    if checkpoint is None:
        raise Http404
    name = f"audit-head-{checkpoint.size}.json"
    return HttpResponse(
        json.dumps(chain.told(checkpoint), indent=1),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


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
        "verdict": verdict(last) if last is not None else "",
        "work": work or None,
    }


def verdict(job: AuditVerification) -> str:
    """Return the result of a verification as a badge."""
    tones = {"sound": "ok", "damaged": "bad", "failed": "warn"}
    return badge(job.verdict, capfirst(job.verdict), tones.get(job.verdict, "info"))


def _actor(request: HttpRequest) -> Actor:
    # People alone sign in to the console.
    user: Any = request.user
    return Actor(ActorKind.USER, str(user.pk), user.get_username(), user.pk)
