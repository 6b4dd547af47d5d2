"""The audit log in the console: searchable, never editable."""

from audit.admin import records

__all__ = ["records"]
