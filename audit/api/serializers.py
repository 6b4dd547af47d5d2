"""Audit rows as the API shows them."""

import json
from typing import Any

from rest_framework import serializers

from audit.models import AuditRecord


class AuditRecordSerializer(serializers.ModelSerializer[AuditRecord]):
    """One act."""

    details = serializers.SerializerMethodField()

    class Meta:
        model = AuditRecord
        fields = [
            "id",
            "at",
            "action",
            "outcome",
            "actor_kind",
            "actor_key",
            "actor_name",
            "address",
            "user_agent",
            "request_id",
            "trace_id",
            "target_type",
            "target_id",
            "target_name",
            "reason",
            "details",
        ]

    def get_details(self, row: AuditRecord) -> dict[str, Any]:
        """Return the payload as an object."""
        details: dict[str, Any] = json.loads(row.payload)
        return details
