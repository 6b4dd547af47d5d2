"""One's own API keys: make, rotate and revoke them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from accounts.actors import actor_of
from accounts.models import APIKey
from accounts.pages.frame import person, render
from accounts.scopes import SCOPES, useful_to
from accounts.selectors import people
from accounts.services import api_keys, stepup
from core.errors import DomainError, NotFoundError, StepUpRequiredError
from core.pagebase import page
from core.rest.permissions import SIGNED_IN

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

_ENDED_SHOWN: Final = 20
_DAYS: Final = ((30, "30 days"), (90, "90 days"), (180, "180 days"), (365, "1 year"))
_GRACE: Final = (
    (0, "Stop it at once"),
    (1, "1 hour"),
    (24, "1 day"),
    (72, "3 days"),
    (168, "7 days"),
)


class NewKeyForm(forms.Form):
    """What a new key shall be."""

    label = forms.CharField(
        label="Name", max_length=80, help_text="Which program uses it, and where."
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        widget=forms.CheckboxSelectMultiple,
        help_text="And never more than you may do yourself.",
        error_messages={"required": "Choose at least one."},
    )
    days = forms.TypedChoiceField(
        label="It holds for", choices=_DAYS, coerce=int, initial=api_keys.DEFAULT_DAYS
    )
    networks = forms.CharField(
        label="Networks that it may be used from",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line, such as 192.0.2.0/24. Empty: from anywhere.",
    )
    revoke_unused = forms.BooleanField(
        label="Revoke it once it was not used for 90 days", required=False, initial=True
    )

    def __init__(self, *args: Any, offered: list[str], **kwargs: Any) -> None:  # noqa: ANN401  # Django's signature
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        chosen = self.fields["scopes"]
        chosen.choices = [(name, name) for name in offered]  # type: ignore[attr-defined]  # of a choice field


class RotateForm(forms.Form):
    """How long the old key works on."""

    grace_hours = forms.TypedChoiceField(
        label="The old key works on for",
        choices=_GRACE,
        coerce=int,
        initial=api_keys.GRACE_HOURS,
        help_text="Give the program its new key in that time.",
    )


@page(GET=SIGNED_IN)
def key_list(request: HttpRequest) -> HttpResponse:
    """List the person's own keys: those that work, then the last ones that ended."""
    user = person(request)
    own = people.keys_of(user)
    return render(
        request,
        "account/keys.html",
        tab="keys",
        title="API keys",
        keys=list(own.valid()),
        ended=list(own.ended()[:_ENDED_SHOWN]),
        may_make=request.user.has_perm("accounts.add_apikey"),
        soon=timezone.now() + timedelta(days=max(api_keys.WARN_DAYS)),
    )


@page(GET="accounts.add_apikey", POST="accounts.add_apikey")
def new(request: HttpRequest) -> HttpResponse:
    """Make a key and show it this once."""
    stepup.require(request)
    user = person(request)
    offered = useful_to(request.user.has_perm)
    form = NewKeyForm(request.POST or None, offered=offered)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            key, raw = api_keys.create(
                actor=actor_of(request),
                owner_id=user.pk,
                label=data["label"],
                scopes=data["scopes"],
                networks=data["networks"].splitlines(),
                days=data["days"],
                revoke_unused=data["revoke_unused"],
            )
        except StepUpRequiredError:
            raise
        except DomainError as error:
            _tell(form, error)
        else:
            return _shown_once(request, key, raw)
    return render(
        request,
        "account/key_new.html",
        tab="keys",
        title="New API key",
        form=form,
        scope_choices=[
            {"tag": box.tag(), "scope": name, "words": SCOPES[name].words}
            for name, box in zip(offered, form["scopes"], strict=True)
        ],
    )


@page(GET="accounts.add_apikey", POST="accounts.add_apikey")
def rotate(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Make a key that replaces another and show it this once."""
    stepup.require(request)
    old = _own(request, key_id)
    form = RotateForm(request.POST or None, label_suffix="")
    if request.method == "POST" and form.is_valid():
        key, raw = api_keys.rotate(
            actor=actor_of(request),
            key_id=old.pk,
            owner_id=old.owner_id,
            grace_hours=form.cleaned_data["grace_hours"],
        )
        return _shown_once(request, key, raw)
    return render(
        request,
        "account/key_rotate.html",
        tab="keys",
        title=f"Rotate {old.label}",
        form=form,
        key=old,
    )


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Ask, then end a key at once."""
    key = _own(request, key_id)
    if request.method == "POST":
        api_keys.revoke(
            actor=actor_of(request),
            key_id=key.pk,
            owner_id=key.owner_id,
            reason="Revoked by its owner.",
        )
        messages.success(request, f"{key.label} was revoked.")
        return HttpResponseRedirect(reverse("account-keys"))
    return render(
        request, "account/key_revoke.html", tab="keys", title=f"Revoke {key.label}?", key=key
    )


def _own(request: HttpRequest, key_id: UUID) -> APIKey:
    key = APIKey.objects.filter(pk=key_id, owner=person(request)).first()
    if key is None:
        message = "There is no such key."
        raise NotFoundError(message)
    return key


def _shown_once(request: HttpRequest, key: APIKey, raw: str) -> HttpResponse:
    answer = render(
        request, "account/key_made.html", tab="keys", title="Your new API key", key=key, raw=raw
    )
    answer["Cache-Control"] = "no-store"
    return answer


def _tell(form: forms.Form, error: DomainError) -> None:
    named = {field: texts for field, texts in error.errors.items() if field in form.fields}
    for field, texts in named.items():
        for text in texts:
            form.add_error(field, text)
    if not named:
        form.add_error(None, error.message)
