"""Channels in the console: settings, health, and a test that tells what the receiver answers."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse

from accounts.actors import actor_of
from core.adminbase import SettingsAdmin, ask_to_confirm, show_once
from core.components import badge, when
from core.errors import DomainError
from core.keyring import KeyringError
from notifications.admin.forms import FORMS, ChannelForm, private_fields
from notifications.engine.kinds import KINDS
from notifications.models import Channel
from notifications.services import channels, testing

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse

_SECRET = "ops.signing_secret"  # noqa: S105  # a key of the request, not a secret


@admin.register(Channel)
class ChannelAdmin(SettingsAdmin[Channel]):
    """Ways to reach people; those of the environment are shown and tested, not edited."""

    empty_text = "No channel yet, so nobody is told. Add one and send a test."

    list_display = ["name", "kind", "leads_to", "health", "delivered", "last_error"]
    list_filter = ["kind", "enabled"]
    actions = ["send_test", "rotate_secrets"]
    change_form_template = "admin/notifications/channel/change_form.html"
    settings = ["name", "enabled"]
    pace = ["timeout_seconds", "max_parallel", "rate_per_minute", "fallback"]
    quiet = ["quiet_from", "quiet_until", "quiet_days", "time_zone"]
    facts = ["kind", "leads_to", "managed_by", "health", "why_off", "failures"]
    times = ["paused_until", "delivered", "last_error"]

    def get_form(
        self,
        request: HttpRequest,
        obj: Channel | None = None,
        change: bool = False,  # Django's signature
        **kwargs: Any,  # noqa: ANN401  # Django's signature
    ) -> type[ModelForm[Channel]]:
        kind = obj.kind if obj is not None else request.GET.get("kind", "")
        kwargs["form"] = FORMS.get(kind, ChannelForm)
        # Named here, since the form's own fields are none of the model's.
        kwargs["fields"] = self._editable(kind)
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:  # noqa: ANN401  # Django's type is a long union
        kind = obj.kind if obj is not None else request.GET.get("kind", "")
        private = self._private(kind, obj)
        known = KINDS[kind]
        people = ["is_for_people"] if known.takes_addresses else []
        text = [("Text", {"fields": ["template"]})] if known.is_worded else []
        if obj is None:
            return [
                (None, {"fields": ["name", *private, "enabled", *people]}),
                *text,
                ("Pace", {"fields": self.pace, "classes": ["collapse"]}),
                ("Quiet hours", {"fields": self.quiet, "classes": ["collapse"]}),
            ]
        mine = private if self.has_change_permission(request, obj) else []
        return [
            (None, {"fields": ["name", *mine, "enabled", *people]}),
            *text,
            ("Pace", {"fields": self.pace}),
            ("Quiet hours", {"fields": self.quiet}),
            ("How it fares", {"fields": [*self.facts, *self.times]}),
        ]

    def _editable(self, kind: str) -> list[str]:
        known = KINDS.get(kind)
        people = ["is_for_people"] if known is not None and known.takes_addresses else []
        text = ["template"] if known is not None and known.is_worded else []
        return [*self.settings, *people, *text, *self.pace, "quiet_from", "quiet_until"]

    def _private(self, kind: str, obj: Channel | None) -> list[str]:
        stored: dict[str, Any] = {}
        if obj is not None:
            with contextlib.suppress(KeyringError):
                stored = dict(obj.config)
        return private_fields(kind, is_new=obj is None, stored=stored)

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> list[str]:
        return self.facts + self.times

    def has_change_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        editable = obj is None or not obj.is_managed_by_environment
        return editable and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        editable = obj is None or not obj.is_managed_by_environment
        return editable and super().has_delete_permission(request, obj)

    def has_test_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.test_channel")

    @admin.display(description="Health")
    def health(self, channel: Channel) -> str:
        return badge(channel.health, str(channel.health.label))

    @admin.display(description="Leads to", ordering="target")
    def leads_to(self, channel: Channel) -> str:
        return channel.target

    @admin.display(description="Last delivery", ordering="last_ok_at")
    def delivered(self, channel: Channel) -> str:
        return when(channel.last_ok_at, "none yet")

    @admin.display(description="Why it is off")
    def why_off(self, channel: Channel) -> str:
        return channel.disabled_reason or "-"

    @admin.display(description="Failures in a row")
    def failures(self, channel: Channel) -> str:
        return f"{channel.fails:,}"

    @admin.display(description="Paused until")
    def paused_until(self, channel: Channel) -> str:
        return when(channel.open_until)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.GET.get("kind") in FORMS:
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Add channel",
            "kinds": KINDS.values(),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/notifications/channel/choose_kind.html", context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,  # Django's signature
        change: bool = False,  # Django's signature
        form_url: str = "",
        obj: Channel | None = None,
    ) -> HttpResponse:
        context["may_test"] = self.has_test_permission(request)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_service(
        self, request: HttpRequest, obj: Channel, form: ModelForm[Channel], change: bool
    ) -> None:
        data = form.cleaned_data
        names = [*self._editable(obj.kind or request.GET["kind"]), "quiet_days", "time_zone"]
        settings = {name: data[name] for name in names}
        config = form.config() if isinstance(form, ChannelForm) else None
        actor = actor_of(request)
        if change:
            channels.update(actor=actor, channel_id=obj.pk, config=config, **settings)
            return
        kind = request.GET["kind"]
        created = channels.create(actor=actor, kind=kind, config=config or {}, **settings)
        obj.pk = created.channel.pk
        request.META[_SECRET] = created.signing_secret

    def delete_service(self, request: HttpRequest, obj: Channel) -> None:
        channels.delete(actor=actor_of(request), channel_id=obj.pk)

    def response_add(
        self, request: HttpRequest, obj: Channel, post_url_continue: str | None = None
    ) -> HttpResponse:
        if secret := request.META[_SECRET]:
            return self._show_secrets(request, {obj.name: secret})
        return super().response_add(request, obj, post_url_continue)

    @admin.action(description="Send a test", permissions=["test"])
    def send_test(
        self, request: HttpRequest, queryset: QuerySet[Channel]
    ) -> TemplateResponse | None:
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="send_test",
            title="Send a test?",
            effect="Everybody whom these channels reach gets a message that says it is a test.",
        )
        if asked is not None:
            return asked
        actor = actor_of(request)
        results: list[tuple[Channel, list[testing.Answer]]] = []
        for channel in queryset[: testing.MOST_CHANNELS]:
            try:
                answers = testing.send_test(actor=actor, channel_id=channel.pk)
            except DomainError as error:
                self.message_user(request, f"{channel}: {error.message}", messages.ERROR)
            else:
                results.append((channel, answers))
        if queryset.count() > testing.MOST_CHANNELS:
            told = f"{testing.MOST_CHANNELS} channels are tested at once; the others were not."
            self.message_user(request, told, messages.WARNING)
        context = {
            **self.admin_site.each_context(request),
            "title": "What came of the test",
            "results": results,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/notifications/channel/test_results.html", context)

    @admin.action(description="Make a new signing secret", permissions=["change"])
    def rotate_secrets(
        self, request: HttpRequest, queryset: QuerySet[Channel]
    ) -> TemplateResponse | None:
        asked = ask_to_confirm(
            self,
            request,
            queryset,
            action="rotate_secrets",
            title="Make new signing secrets?",
            effect="The old ones sign beside them for 48 hours; meanwhile tell the receivers.",
        )
        if asked is not None:
            return asked
        actor = actor_of(request)
        secrets: dict[str, str] = {}
        for channel in queryset:
            try:
                secrets[channel.name] = channels.rotate_secret(actor=actor, channel_id=channel.pk)
            except DomainError as error:
                self.message_user(request, f"{channel}: {error.message}", messages.ERROR)
        return self._show_secrets(request, secrets) if secrets else None

    def _show_secrets(self, request: HttpRequest, secrets: dict[str, str]) -> TemplateResponse:
        return show_once(
            self,
            request,
            title="Signing secrets",
            secrets=secrets,
            note="The receiver verifies the header X-OpsPlatform-Signature with it.",
        )
