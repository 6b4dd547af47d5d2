"""Access reviews by API, to read (SPEC R12)."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import Count, Q, QuerySet
from rest_framework import generics, serializers

from accounts.models import AccessReview, AccessReviewItem
from core.rest.pagination import KeysetPagination

_OPEN = AccessReviewItem.Decision.OPEN


class ReviewItemSerializer(serializers.ModelSerializer[AccessReviewItem]):
    """One person or key, with what was found and what was decided."""

    class Meta:
        model = AccessReviewItem
        fields = ["id", "kind", "subject", "name", "facts", "decision", "decided_by", "decided_at"]
        read_only_fields = fields


class ReviewSerializer(serializers.ModelSerializer[AccessReview]):
    """A quarter's review in figures."""

    items_total = serializers.IntegerField(read_only=True)
    items_open = serializers.IntegerField(read_only=True)

    class Meta:
        model = AccessReview
        fields = [
            "quarter",
            "opened_at",
            "due_at",
            "closed_at",
            "closed_by",
            "items_total",
            "items_open",
        ]
        read_only_fields = fields


class WholeReviewSerializer(ReviewSerializer):
    """A quarter's review with every line."""

    items = ReviewItemSerializer(many=True, read_only=True)

    class Meta(ReviewSerializer.Meta):
        fields = [*ReviewSerializer.Meta.fields, "items"]


class ReviewPagination(KeysetPagination):
    """The newest quarter first; there is one review a quarter."""

    ordering: tuple[str, ...] = ("-quarter",)


def _counted() -> QuerySet[AccessReview]:
    return AccessReview.objects.annotate(
        items_total=Count("items"), items_open=Count("items", filter=Q(items__decision=_OPEN))
    )


class ReviewsView(generics.ListAPIView[AccessReview]):
    """All access reviews, the newest first."""

    queryset = _counted()
    serializer_class = ReviewSerializer
    pagination_class = ReviewPagination
    capabilities: ClassVar = {"GET": "accounts.view_accessreview"}


class ReviewView(generics.RetrieveAPIView[AccessReview]):
    """One access review with every line and its decision."""

    queryset = _counted().prefetch_related("items")
    serializer_class = WholeReviewSerializer
    lookup_field = "quarter"
    capabilities: ClassVar = {"GET": "accounts.view_accessreview"}
