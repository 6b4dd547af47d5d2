"""Bases of admin pages: records that nobody edits, and settings that services change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import capfirst
from django.views.decorators.http import require_GET

from core.adminforms import UtcDateTimeField, refused_form
from core.errors import DomainError, StepUpRequiredError
from core.listexport import FORMS, export
from core.pagebase import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.forms import ModelForm
    from django.http.response import HttpResponseBase
    from django.urls import URLPattern

M = TypeVar("M", bound=models.Model)

_OBJECTS_SHOWN: Final = 20


class ConsoleAdmin(admin.ModelAdmin[M]):
    """What all pages of the console share: lists that cost the same at any size, lean forms."""

    empty_text: ClassVar[str] = ""
    """What an empty list says: what would stand there, and how it gets there."""
    exports: ClassVar[bool] = False
    """Whether whoever may see the list may take it along as a file."""
    export_permission: ClassVar[str] = ""
    """What taking it along needs beside seeing it."""
    export_without: ClassVar[tuple[str, ...]] = ()
    """Columns that are pictures."""
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 200
    formfield_overrides: ClassVar[Any] = {
        models.DateTimeField: {"form_class": UtcDateTimeField, "widget": UtcDateTimeField.widget}
    }

    @property
    def media(self) -> forms.Media:
        """Load what forms need; most of Django's list serves slugs made up from titles."""
        if self.prepopulated_fields:
            return super().media
        jquery = "jquery.js" if settings.DEBUG else "jquery.min.js"
        return forms.Media(
            js=[
                f"admin/js/vendor/jquery/{jquery}",
                "admin/js/jquery.init.js",
                "admin/js/core.js",
                "admin/js/admin/RelatedObjectLookups.js",
            ]
        )

    def get_urls(self) -> list[URLPattern]:
        urls = super().get_urls()
        if not self.exports:
            return urls
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        view = self.admin_site.admin_view(require_GET(self.export))
        return [path("export.<str:form>", view, name=name), *urls]

    def may_export(self, request: HttpRequest) -> bool:
        """Tell whether this person may take the list along."""
        needed = self.export_permission
        return (
            self.exports
            and self.has_view_permission(request)
            and (not needed or request.user.has_perm(needed))
        )

    def complete(self, request: HttpRequest, rows: list[Any]) -> None:
        """Read what the columns of these rows need beyond the rows themselves."""

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        """Give the list as a file, as the query string filters and orders it."""
        if form not in FORMS:
            raise Http404
        if not self.may_export(request):
            raise PermissionDenied
        try:
            found = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(_list_of(self))
        return export(self, request, found, form)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        name = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": name, **(extra_context or {})})

    def get_action_choices(
        self,
        request: HttpRequest,
        default_choices: Any = (("", "Choose an action"),),  # noqa: ANN401  # Django's signature
    ) -> list[tuple[str, str]]:
        return super().get_action_choices(request, list(default_choices))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: M | None = None,
    ) -> HttpResponse:
        # Labels stand above their fields, where a colon says nothing.
        context["adminform"].form.label_suffix = ""
        # Our summary tells the mistakes once; Django's own lines would stand above it unlinked.
        context["mistakes"] = context.pop("errors", None)
        context["needs_proof"] = isinstance(getattr(request, "refused", None), StepUpRequiredError)
        for inline in context["inline_admin_formsets"]:
            inline.formset.form_kwargs = {**inline.formset.form_kwargs, "label_suffix": ""}
            for form in inline.formset.forms:
                form.label_suffix = ""
        return super().render_change_form(request, context, add, change, form_url, obj)


class RecordAdmin(ConsoleAdmin[M]):
    """Shows rows that only services change; what may be done stands among the actions."""

    def has_add_permission(self, request: HttpRequest, *_: object) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class SettingsAdmin(ConsoleAdmin[M]):
    """Edits rows through audited services; a broken rule is shown beside its field."""

    asks_for_name: ClassVar[bool] = False
    """Whether deleting one wants its name typed: for what takes more along than can be seen."""

    def save_service(
        self, request: HttpRequest, obj: M, form: ModelForm[M], change: bool
    ) -> None:  # Django's order
        """Call the service that creates or updates; it sets `obj.pk`."""
        message = f"{type(self).__name__} must name its service."
        raise TypeError(message)

    def delete_service(self, request: HttpRequest, obj: M) -> None:
        """Call the service that deletes."""
        message = f"{type(self).__name__} must name its service."
        raise TypeError(message)

    def save_model(
        self,
        request: HttpRequest,
        obj: M,
        form: ModelForm[M],
        change: bool,  # Django's signature
    ) -> None:
        self.save_service(request, obj, form, change)

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        self.delete_service(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[M]) -> None:
        for obj in queryset:
            self.delete_service(request, obj)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show and save; what the service refuses stands in the form with what was typed."""
        view = super().changeform_view
        try:
            return view(request, object_id, form_url, extra_context)
        except DomainError as error:
            if request.method != "POST":
                raise  # for a missing proof a middleware leads to the page that asks for it
            # The service's transaction has rolled back. This time the form is not sound.
            request.refused = error  # type: ignore[attr-defined]
            return view(request, object_id, form_url, extra_context)

    def get_form(
        self,
        request: HttpRequest,
        obj: M | None = None,
        change: bool = False,
        **kwargs: Any,  # noqa: ANN401  # Django's signature
    ) -> type[ModelForm[M]]:
        form = super().get_form(request, obj, change, **kwargs)
        error = getattr(request, "refused", None)
        if error is None:
            return form
        return cast("type[ModelForm[M]]", refused_form(form, error))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer to delete many at once only where one alone wants no name typed."""
        offered = super().get_actions(request)
        if self.asks_for_name:
            offered.pop("delete_selected", None)
        return offered

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id) if self.asks_for_name else None
        name = str(obj) if obj is not None else ""
        if name and request.method == "POST" and request.POST.get("typed_name") != name:
            self.message_user(request, "The name was not typed as it stands.", messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        context = {"typed_name": name, **(extra_context or {})}
        try:
            return super().delete_view(request, object_id, context)
        except StepUpRequiredError:
            raise  # nothing is lost on the way there and back
        except DomainError as error:
            if request.method != "POST":
                raise
            self.message_user(request, told(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())


def ask_to_confirm(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    queryset: models.QuerySet[Any],
    *,
    action: str,
    title: str,
    effect: str,
    button: str = "",
    is_dangerous: bool = False,
) -> TemplateResponse | None:
    """Return the page that asks before an admin action, or None once the person has confirmed.

    It lists the objects and the effect, waits for a POST, and works without JavaScript. Its button
    is named as the action is; no leads back to the page that the person came from.
    """
    if request.POST.get("confirmed") == "yes":
        return None
    shown = list(queryset[:_OBJECTS_SHOWN])
    offered = model_admin.get_actions(request).get(action)
    named = button or (str(offered[2]) if offered else "Confirm")
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "effect": effect,
        "action": action,
        "button": named,
        "is_dangerous": is_dangerous,
        "back": _came_from(request) or _list_of(model_admin),
        # One that the title names needs no list.
        "objects": [] if len(shown) == 1 and str(shown[0]) in title else shown,
        "selected": request.POST.getlist("_selected_action"),
        "select_across": request.POST.get("select_across", "0"),
        "more": max(0, queryset.count() - len(shown)),
        "opts": model_admin.opts,
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)


def _came_from(request: HttpRequest) -> str:
    """Return the page of ours that held the button, or nothing."""
    referrer = request.headers.get("Referer", "") if request.method == "POST" else ""
    if not url_has_allowed_host_and_scheme(referrer, allowed_hosts={request.get_host()}):
        return ""
    parts = urlsplit(referrer)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _list_of(model_admin: admin.ModelAdmin[Any]) -> str:
    opts = model_admin.opts
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")


def show_once(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    *,
    title: str,
    secrets: Mapping[str, str],
    note: str,
) -> TemplateResponse:
    """Return a page with secrets that are shown this once and stored nowhere in the clear."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "secrets": secrets,
        "note": note,
        "opts": model_admin.opts,
    }
    response = TemplateResponse(request, "admin/show_once.html", context)
    response["Cache-Control"] = "no-store"
    return response
