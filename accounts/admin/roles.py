"""Roles in the console."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils.html import format_html_join

from accounts.roles import PURPOSE
from core.adminbase import RecordAdmin

admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(RecordAdmin[Group]):
    """The built-in roles; their permissions come from the table in the code."""

    list_display = ["role", "purpose"]
    fields = ["role", "purpose", "allowed"]
    readonly_fields = ["role", "purpose", "allowed"]

    @admin.display(description="Role", ordering="name")
    def role(self, group: Group) -> str:
        return group.name

    @admin.display(description="What it is for")
    def purpose(self, group: Group) -> str:
        return PURPOSE.get(group.name, "-")

    @admin.display(description="What it allows")
    def allowed(self, group: Group) -> str:
        names = group.permissions.values_list("name", flat=True).order_by("name")
        return format_html_join(", ", "{}", ((name.removeprefix("Can "),) for name in names)) or "-"
