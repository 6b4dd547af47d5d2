"""Pages of the audit log that Django's admin does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.template.response import TemplateResponse

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest

    from audit.models import AuditRecord


def page(
    admin: ModelAdmin[AuditRecord],
    request: HttpRequest,
    template: str,
    title: str,
    **context: object,
) -> TemplateResponse:
    """Show a template within the console."""
    site = admin.admin_site
    # Django's views set it in the same way; its type stubs do not know it.
    request.current_app = site.name
    everything = {**site.each_context(request), "title": title, "opts": admin.opts, **context}
    return TemplateResponse(request, f"admin/audit/auditrecord/{template}.html", everything)
