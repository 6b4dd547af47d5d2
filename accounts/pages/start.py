"""The root of the site: everybody goes on to where they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponseRedirect
from django.urls import reverse

from accounts.models import User
from accounts.pages import entry
from core.pagebase import page
from core.rest.permissions import PUBLIC

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@page(GET=PUBLIC)
def start(request: HttpRequest) -> HttpResponse:
    """Lead to the console, or to one's own account where that is all."""
    user = request.user
    return HttpResponseRedirect(
        entry.home_of(user) if isinstance(user, User) else reverse("admin:index")
    )
