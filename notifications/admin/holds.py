"""The hold on all messages, as after a restore: what waits, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse

from accounts.actors import actor_of
from core.adminpages import show
from core.errors import DomainError
from notifications.admin.contexts.messages import RESEND
from notifications.models import Notification
from notifications.selectors import holds as selectors
from notifications.services import holds

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse


def hold_context(request: HttpRequest) -> dict[str, Any]:
    """Return what the queue tells of a hold; nothing while messages may leave."""
    hold = selectors.current()
    if hold is None:
        return {}
    may = request.user.has_perm(RESEND)
    url = reverse("admin:notifications_notification_release") if may else ""
    return {"hold": hold, "release_url": url}


def release_page(model_admin: ModelAdmin[Notification], request: HttpRequest) -> HttpResponse:
    """Show what waits, then send or cancel what is from before the hold, and end it."""
    if not request.user.has_perm(RESEND):
        raise PermissionDenied
    queue = reverse("admin:notifications_notification_changelist")
    if request.method == "POST":
        choice = request.POST.get("old", "")
        if choice not in {"cancel", "send"}:
            told = "Say what becomes of the messages from before the hold."
            model_admin.message_user(request, told, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:notifications_notification_release"))
        try:
            count = holds.release(actor=actor_of(request), cancel_old=choice == "cancel")
        except DomainError as error:
            model_admin.message_user(request, error.message, messages.ERROR)
        else:
            done = "cancelled" if choice == "cancel" else "sent"
            told = f"Messages leave again; {count:,} from before the hold are {done}."
            model_admin.message_user(request, told, messages.SUCCESS)
        return HttpResponseRedirect(queue)
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET", "POST"])
    hold = selectors.current()
    if hold is None:
        model_admin.message_user(request, "Messages are not held back.", messages.INFO)
        return HttpResponseRedirect(queue)
    return show(
        model_admin,
        request,
        Notification(),
        title="Let messages leave again",
        template="release",
        hold=hold,
        waiting=selectors.waiting(hold),
        queue_url=queue,
    )
