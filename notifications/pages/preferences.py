"""What a person is told, and how: their own choice, below /account/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from accounts.actors import actor_of
from accounts.models import User
from core.errors import DomainError
from core.pagebase import page, render, told
from core.rest.permissions import SIGNED_IN
from notifications.engine import zones
from notifications.engine.kinds import KINDS
from notifications.models import Channel, Contact, Event, Preference
from notifications.selectors import oncall, people
from notifications.services import preferences

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from notifications.engine.kinds import Kind

ROUTE = "account-notifications"
_DAYS = [(0, "Mon"), (1, "Tue"), (2, "Wed"), (3, "Thu"), (4, "Fri"), (5, "Sat"), (6, "Sun")]


class PreferenceForm(forms.ModelForm[Preference]):
    """From which severity on, and when not."""

    quiet_days = forms.TypedMultipleChoiceField(
        label="Quiet on",
        choices=_DAYS,
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None means every day. A night belongs to the day on which it begins.",
    )

    class Meta:
        model = Preference
        fields: ClassVar = [
            "min_severity",
            "subscribes",
            "quiet_from",
            "quiet_until",
            "quiet_days",
            "time_zone",
        ]
        labels: ClassVar = {
            "min_severity": "Tell me from",
            "subscribes": "Tell me of every alert",
            "quiet_from": "Quiet from",
            "quiet_until": "Quiet until",
            "time_zone": "Time zone",
        }
        help_texts: ClassVar = {
            "quiet_from": "What is not critical waits until they end and comes as one digest. "
            "Critical alerts always come.",
            "time_zone": "In which quiet hours are meant, such as Europe/Vienna.",
        }
        widgets: ClassVar = {
            "quiet_from": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "quiet_until": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "time_zone": forms.TextInput(attrs={"list": "time-zones"}),
        }

    def clean(self) -> dict[str, Any]:
        """Ask for the end that is missing, at its field."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        ends = {"quiet_from": "Say also from when.", "quiet_until": "Say also until when."}
        missing = [name for name in ends if given.get(name) is None and name not in self.errors]
        if len(missing) == 1 and not ends.keys() & self.errors.keys():
            self.add_error(missing[0], ends[missing[0]])
        return given


@dataclass(frozen=True)
class Way:
    """One channel by which the person can be reached."""

    channel: Channel
    kind: Kind
    contact: Contact | None
    address: str
    is_own: bool
    """Whether the person types the address; mail goes to that of the account."""
    is_on: bool


@page(GET=SIGNED_IN, POST=SIGNED_IN)
def overview(request: HttpRequest) -> HttpResponse:
    """Show what the person has chosen, and take another choice."""
    user = _person(request)
    if user is None:
        return HttpResponseRedirect(reverse("account"))
    preference = Preference.objects.filter(user=user).first() or Preference(user=user)
    form = PreferenceForm(request.POST or None, instance=preference, label_suffix="")
    if request.method == "POST" and form.is_valid():
        chosen: Any = {name: form.cleaned_data[name] for name in PreferenceForm.Meta.fields}
        try:
            preferences.choose(actor=actor_of(request), user_id=user.pk, **chosen)
        except DomainError as error:
            for name, texts in (error.errors or {"": [told(error)]}).items():
                form.add_error(name if name in form.fields else None, texts[0])
        else:
            messages.success(request, "Your choice was saved.")
            return HttpResponseRedirect(reverse(ROUTE))
    context = {
        "title": "My notifications",
        "form": form,
        "zones": sorted(zones.known()),
        "ways": _ways(user),
        "may_see": people.entitled().filter(pk=user.pk).exists(),
        "trouble": people.why_unreachable(user, Event.Severity.CRITICAL),
        "profile": reverse("account"),
        "person": user,
        "shifts": oncall.shifts_of(user.pk, timezone.now()),
    }
    return render(request, "notifications/preferences.html", context)


@page(POST=SIGNED_IN, back=ROUTE)
def contact(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Set, switch or remove the person's own address at a channel."""
    user = _person(request)
    if user is None:
        return HttpResponseRedirect(reverse("account"))
    actor = actor_of(request)
    if "remove" in request.POST:
        preferences.remove_contact(actor=actor, user_id=user.pk, channel_id=channel_id)
        messages.success(request, "The address was removed.")
    else:
        saved = preferences.set_contact(
            actor=actor,
            user_id=user.pk,
            channel_id=channel_id,
            address=request.POST.get("address", "")[:200],
            enabled="off" not in request.POST,
        )
        word = "reaches you" if saved.enabled else "no longer reaches you"
        messages.success(request, f"{saved.channel.name} {word}.")
    return HttpResponseRedirect(reverse(ROUTE))


@page(POST=SIGNED_IN, back=ROUTE)
def test(request: HttpRequest) -> HttpResponse:
    """Send the person a test by every way that reaches them, and tell what came of it."""
    user = _person(request)
    if user is None:
        return HttpResponseRedirect(reverse("account"))
    for name, answers in preferences.send_test(actor=actor_of(request), user_id=user.pk):
        for answer in answers:
            if answer.delivered:
                messages.success(request, f"{name} has taken the test for {answer.recipient}.")
            else:
                why = answer.outcome.detail or answer.outcome.error_class
                messages.error(request, f"{name} did not take the test: {why}")
    return HttpResponseRedirect(reverse(ROUTE))


def _person(request: HttpRequest) -> User | None:
    """Return who is signed in, as they are stored now."""
    signed_in = cast("Any", request.user)
    return User.objects.filter(pk=signed_in.pk).first() if isinstance(signed_in, User) else None


def _ways(user: User) -> list[Way]:
    if not people.entitled().filter(pk=user.pk).exists():
        return []
    kinds = [name for name, kind in KINDS.items() if kind.takes_addresses]
    rows = Channel.objects.filter(kind__in=kinds, enabled=True).order_by("name")
    known = {row.channel_id: row for row in Contact.objects.filter(user=user)}
    ways = []
    for channel in filter(people.takes_addresses, rows):
        is_mail = channel.kind == Channel.Kind.EMAIL
        if is_mail and not channel.is_for_people and channel.pk not in known:
            # It has recipients of its own; people are mailed by the channel that is for them.
            continue
        found = known.get(channel.pk)
        address = user.email if is_mail else (found.address if found else "")
        by_default = is_mail and channel.is_for_people
        is_on = bool(address) and (found.enabled if found is not None else by_default)
        kind = KINDS[channel.kind]
        ways.append(Way(channel, kind, found, address, not is_mail, is_on))
    return ways
