"""Audit rows as the API shows them."""

from typing import Any

from rest_framework import serializers

from audit.engine.payload import SHOWN, read
from audit.models import AuditRecord


class AuditRecordSerializer(serializers.ModelSerializer[AuditRecord]):
    """One act, with its place in the chain once it is sealed."""

    details = serializers.SerializerMethodField()
    seq = serializers.IntegerField(read_only=True, allow_null=True)
    digest = serializers.SerializerMethodField()

    class Meta:
        model = AuditRecord
        fields = [*SHOWN, "seq", "digest"]

    def get_details(self, row: AuditRecord) -> dict[str, Any]:
        """Return the payload as an object."""
        return read(row.payload)

    def get_digest(self, row: AuditRecord) -> str | None:
        """Return the digest that the chain holds, in hexadecimal."""
        digest = getattr(row, "digest", None)
        return bytes(digest).hex() if digest is not None else None


class HeadSerializer(serializers.Serializer[Any]):
    """The signed head of the chain: keep it elsewhere, and later rewriting is noticed."""

    size = serializers.IntegerField()
    chain = serializers.CharField()
    at = serializers.CharField()
    prev = serializers.CharField(allow_blank=True)
    key_id = serializers.CharField()
    signature = serializers.CharField()
    public_key = serializers.CharField()
    seal_lag_seconds = serializers.FloatField()
