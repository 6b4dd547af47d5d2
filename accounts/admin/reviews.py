"""Access reviews in the console: each line is confirmed or really taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from accounts.actors import actor_of
from accounts.models import AccessReview, AccessReviewItem
from accounts.services import access_reviews, stepup
from core.adminbase import RecordAdmin
from core.components import badge, when
from core.errors import DomainError, StepUpRequiredError
from core.pagebase import told

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.urls import URLPattern

_DECIDE = "accounts.decide_accessreview"
_OPEN = AccessReviewItem.Decision.OPEN
_HEADS = {
    AccessReviewItem.Kind.PERSON: "People",
    AccessReviewItem.Kind.ROLE: "Roles",
    AccessReviewItem.Kind.API_KEY: "API keys",
    AccessReviewItem.Kind.DASHBOARD_KEY: "Dashboard keys",
}
_REVOKE = {
    AccessReviewItem.Kind.PERSON: "Disable",
    AccessReviewItem.Kind.ROLE: "Take away",
    AccessReviewItem.Kind.API_KEY: "Revoke",
    AccessReviewItem.Kind.DASHBOARD_KEY: "Deny",
}
_FACTS = {
    "roles": "Roles",
    "role": "Role",
    "source": "From",
    "owner": "Owner",
    "allows": "It allows",
    "scopes": "May",
    "networks": "Only from",
    "last_sign_in": "Last sign-in",
    "last_used": "Last used",
    "second_factor": "Second factor",
    "since": "Since",
    "expires": "Ends",
}


@admin.register(AccessReview)
class AccessReviewAdmin(RecordAdmin[AccessReview]):
    """The reviews of all quarters, the newest first."""

    exports = True
    empty_text = "One is opened each quarter, with everybody and every key that may act then."
    list_display = ["quarter", "state", "progress", "due", "closed"]
    change_form_template = "admin/accounts/accessreview/page.html"
    change_list_template = "admin/accounts/accessreview/change_list.html"

    class Media:
        css: ClassVar = {"all": ["css/account.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessReview]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                items_total=Count("items"),
                items_open=Count("items", filter=Q(items__decision=_OPEN)),
            )
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the opening and the decisions."""
        wrap = self.admin_site.admin_view
        return [
            path("open/", wrap(self.open), name="accounts_accessreview_open"),
            path(
                "items/<int:item_id>/<str:decision>/",
                wrap(self.decide),
                name="accounts_accessreview_decide",
            ),
            *super().get_urls(),
        ]

    @admin.display(description="State")
    def state(self, review: AccessReview) -> str:
        if review.closed_at is not None:
            return badge("ok", "Closed")
        if review.due_at < timezone.now():
            return badge("bad", "Overdue", tone="bad")
        return badge("info", "Open")

    @admin.display(description="Decided")
    def progress(self, review: AccessReview) -> str:
        total = getattr(review, "items_total", 0)
        return f"{total - getattr(review, 'items_open', 0)} of {total}"

    @admin.display(description="Due", ordering="due_at")
    def due(self, review: AccessReview) -> str:
        return when(review.due_at)

    @admin.display(description="Closed", ordering="closed_at")
    def closed(self, review: AccessReview) -> str:
        return when(review.closed_at)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        shown = {
            "may_open": request.user.has_perm(_DECIDE) and not access_reviews.is_opened(),
            "quarter": access_reviews.quarter_of(timezone.now()),
        }
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def open(self, request: HttpRequest) -> HttpResponse:
        """Ask, then open the review of this quarter, as the nightly job would."""
        if not request.user.has_perm(_DECIDE):
            raise PermissionDenied
        stepup.require(request)
        quarter = access_reviews.quarter_of(timezone.now())
        listed = reverse("admin:accounts_accessreview_changelist")
        if request.method != "POST":
            return self._page(
                request, "open", title=f"Open the access review {quarter}?", page=listed
            )
        review = access_reviews.open_for_now(actor=actor_of(request))
        if review is None:
            self.message_user(request, f"{quarter} was opened already.", messages.WARNING)
            return HttpResponseRedirect(listed)
        self.message_user(request, f"{review} is open.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:accounts_accessreview_change", args=[review.pk]))

    def _page(self, request: HttpRequest, name: str, **shown: object) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **shown}
        return TemplateResponse(request, f"admin/accounts/accessreview/{name}.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        review = self.get_object(request, object_id)
        if review is None or not self.has_view_permission(request, review):
            return super().change_view(request, object_id, form_url, extra_context)
        items = list(review.items.all())
        actor = actor_of(request)
        # Whether others are there to decide is asked once, not for each line.
        mine = [item for item in items if item.person == actor.name]
        own = set(mine) if mine and access_reviews.is_own(mine[0], actor) else set()
        kinds = [(_HEADS[kind], [i for i in items if i.kind == kind]) for kind in _HEADS]
        shown = {
            **self.admin_site.each_context(request),
            "title": str(review),
            "opts": self.opts,
            "review": review,
            "facts": [
                ("State", self.state(review)),
                ("Opened", when(review.opened_at)),
                ("Due", when(review.due_at)),
                ("Decided", self.progress(review)),
                *([("Closed by", review.closed_by)] if review.closed_at else []),
            ],
            "kinds": [
                (label, [_told(item, item in own) for item in found])
                for label, found in kinds
                if found
            ],
            "may_decide": request.user.has_perm(_DECIDE) and review.closed_at is None,
        }
        return TemplateResponse(request, self.change_form_template, shown)

    def decide(self, request: HttpRequest, item_id: int, decision: str) -> HttpResponse:
        """Take a decision; what takes access away is asked once more."""
        if not request.user.has_perm(_DECIDE):
            raise PermissionDenied
        item = AccessReviewItem.objects.select_related("review").filter(pk=item_id).first()
        if item is None or decision not in {"confirmed", "revoked"}:
            raise Http404
        page = reverse("admin:accounts_accessreview_change", args=[item.review_id])
        stepup.require(request)
        if request.method != "POST":
            verb = _REVOKE[item.kind] if decision == "revoked" else "Confirm"  # type: ignore[index]  # a choice's value
            title = f"{verb} {item.name}?"
            if decision == "revoked" and item.kind == AccessReviewItem.Kind.ROLE:
                title = f"Take the role {item.facts['role']} from {item.person}?"
            return self._page(
                request, "decide", title=title, verb=verb, item=item, decision=decision, page=page
            )
        try:
            access_reviews.decide(
                actor=actor_of(request),
                item_id=item.pk,
                decision=access_reviews.Decision(decision),
                reason=request.POST.get("reason", "").strip()[:200],
            )
        except StepUpRequiredError:
            raise
        except DomainError as error:
            self.message_user(request, told(error), messages.ERROR)
        else:
            self.message_user(request, f"{decision.capitalize()}: {item.name}.", messages.SUCCESS)
        return HttpResponseRedirect(page)


def _told(item: AccessReviewItem, is_own: bool) -> dict[str, object]:
    """Return a line of the review as the page shows it."""
    # The name of a role's line tells person and role already.
    told = {"owner", "role"} if item.kind == AccessReviewItem.Kind.ROLE else set()
    facts = [
        (_FACTS.get(name, name), _text(value))
        for name, value in item.facts.items()
        if value and name not in told
    ]
    tone = {"confirmed": "ok", "revoked": "bad"}.get(item.decision, "info")
    return {
        "item": item,
        "facts": facts,
        "is_open": item.decision == _OPEN,
        "is_own": is_own,
        "verb": _REVOKE[item.kind],  # type: ignore[index]  # a choice's value
        "mark": badge(item.decision, item.get_decision_display(), tone=tone),
        "warns": item.facts.get("second_factor") is False,
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "yes" if value is True else str(value)
