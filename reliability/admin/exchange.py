"""The page of import and export: first what a file would do, then the doing."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.actors import actor_of
from core.components import Column, Table, badge
from core.errors import DomainError
from reliability.engine import exchange as files
from reliability.selectors import exchange as catalogue
from reliability.services import exchange
from reliability.services.exchange_plan import Verdict, plan

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest, HttpResponse

    from reliability.services.exchange_plan import Line, Plan

NEEDED: Final = (
    "reliability.add_service",
    "reliability.change_service",
    "reliability.add_check",
    "reliability.change_check",
)
_TYPES: Final = {"csv": "text/csv; charset=utf-8", "yaml": "application/yaml"}
_FORMS: Final = {".csv": "csv", ".yaml": "yaml", ".yml": "yaml"}
_SHOWN: Final = 200
# The text travels in a field of the form; the bound of a request's body is 2.5 MB.
_MOST_BYTES: Final = 2_000_000
_TONES: Final = {"added": "ok", "changed": "info", "refused": "bad", "left": "unknown"}


class FileForm(forms.Form):
    """A file of checks."""

    file = forms.FileField(
        label="File",
        allow_empty_file=True,
        help_text="CSV or YAML, as the export writes them; at most 2 MB. Larger ones are taken "
        "over on the machine: manage.py checks import.",
        widget=forms.FileInput(attrs={"accept": ".csv,.yaml,.yml"}),
    )


def take_along(request: HttpRequest, form: str) -> HttpResponse:
    """Give all checks as a file, and record that somebody took them along."""
    if not request.user.has_perm("reliability.change_check"):
        raise PermissionDenied
    if form not in _TYPES:
        raise Http404
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    exchange.note_export(actor=actor_of(request), form=form)
    body = (
        files.write_csv(catalogue.rows(), catalogue.COLUMNS)
        if form == "csv"
        else files.write_yaml(catalogue.services())
    )
    headers = {
        "Content-Disposition": f'attachment; filename="checks.{form}"',
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(body, content_type=_TYPES[form], headers=headers)  # type: ignore[return-value]  # a response as good as any


def page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Show the forms, what a file would do, and do it once that is confirmed."""
    if not request.user.has_perms(NEEDED):
        raise PermissionDenied
    if request.method not in {"GET", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    if request.method == "POST" and request.POST.get("confirmed") == "yes":
        return _take_over(request)
    form = (
        FileForm(request.POST, request.FILES, label_suffix="")
        if request.method == "POST"
        else FileForm(label_suffix="")
    )
    shown: dict[str, Any] = {}
    if form.is_bound and form.is_valid():
        shown = _looked_at(form)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Import and export",
        "opts": model_admin.opts,
        "form": form,
        **shown,
    }
    return TemplateResponse(request, "admin/reliability/service/exchange.html", context)


def _looked_at(form: FileForm) -> dict[str, Any]:
    """Return what a file would do; what is wrong with it stands beside the field."""
    file = form.cleaned_data["file"]
    kind = _FORMS.get(PurePath(file.name).suffix.lower())
    if kind is None:
        form.add_error("file", "Choose a file whose name ends in .csv, .yaml or .yml.")
        return {}
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        form.add_error("file", "The file is longer than 2 MB. Use manage.py checks import.")
        return {}
    try:
        made = plan(exchange.rows_of(content, kind))
    except DomainError as error:
        form.add_error("file", error.message)
        return {}
    return {
        "counts": made.counts,
        "table": _table(made),
        "more": max(len(_told(made)) - _SHOWN, 0),
        "content": content.decode("utf-8-sig"),
        "kind": kind,
        "may_take_over": not made.refused and made.acts,
    }


def _take_over(request: HttpRequest) -> HttpResponse:
    kind = request.POST.get("form", "")
    content = request.POST.get("content", "")
    address = reverse("admin:reliability_service_exchange")
    if kind not in _TYPES:
        raise Http404
    try:
        rows = exchange.rows_of(content.encode(), kind)
        made = exchange.take_over(actor=actor_of(request), rows=rows)
    except DomainError as error:
        details = [text for texts in error.errors.values() for text in texts]
        messages.error(request, " ".join(dict.fromkeys([error.message, *details[:1]])))
        return HttpResponseRedirect(address)
    counts = made.counts
    messages.success(request, f"{counts['added']} added, {counts['changed']} changed.")
    return HttpResponseRedirect(reverse("admin:reliability_service_changelist"))


def _told(made: Plan) -> list[Line]:
    """Return the lines that tell something: refused ones first, which no limit may hide."""
    told = [line for line in made.lines if line.verdict is not Verdict.LEFT]
    return sorted(told, key=lambda line: (line.verdict is not Verdict.REFUSED, line.number))


def _table(made: Plan) -> Table:
    return Table(
        columns=[
            Column("Line", numeric=True),
            Column("What"),
            Column("Service"),
            Column("Check"),
            Column("How"),
        ],
        rows=[
            [
                line.number,
                badge(line.verdict, tone=_TONES[line.verdict]),
                line.service,
                line.check or "-",
                line.text,
            ]
            for line in sorted(_told(made)[:_SHOWN], key=lambda line: line.number)
        ],
        caption="What the file would do",
        empty="All of it is here already: nothing would change.",
    )
