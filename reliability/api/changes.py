"""Changes by API: pipelines tell of deploys, people look them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.response import Response

from accounts.actors import actor_of
from core.errors import InvalidInputError
from core.rest import filters
from core.rest.serializers import StrictSerializer
from reliability.api.views import NewestFirst
from reliability.models import Change, Service
from reliability.services import changes

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request


class ChangeSerializer(serializers.ModelSerializer[Change]):
    """A change that was told."""

    service_name = serializers.CharField(source="service.name", read_only=True, default=None)

    class Meta:
        model = Change
        fields: ClassVar = [
            "id",
            "service",
            "service_name",
            "kind",
            "title",
            "version",
            "url",
            "external_key",
            "at",
            "recorded_at",
            "told_by",
        ]


class ChangeRequestSerializer(StrictSerializer[Any]):
    """A change to record; its service by id or by name, neither means all of them.

    With an `external_key`, such as that of a pipeline's run, telling twice records once.
    """

    service = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**63 - 1
    )
    service_name = serializers.CharField(required=False, max_length=120)
    kind = serializers.ChoiceField(choices=Change.Kind.choices, default=Change.Kind.DEPLOY)
    title = serializers.CharField(max_length=200)
    version = serializers.CharField(required=False, allow_blank=True, max_length=100)
    url = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    external_key = serializers.CharField(required=False, allow_blank=True, max_length=200)
    at = serializers.DateTimeField(required=False)


class ChangeListView(ListAPIView[Change]):
    """What changed."""

    queryset = Change.objects.select_related("service")
    serializer_class = ChangeSerializer
    pagination_class = NewestFirst
    capabilities: ClassVar = {"GET": "reliability.view_change", "POST": "reliability.add_change"}

    def get_queryset(self) -> QuerySet[Change]:
        return (
            super()
            .get_queryset()
            .filter(
                **filters.texts(self.request, kind="kind"),
                **filters.ids(self.request, service="service"),
            )
        )

    @extend_schema(
        description="Changes in the order of telling, newest first; `service` (an id) and `kind` "
        "compare exactly."
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  # REST's signature
        """Return what was told."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=ChangeRequestSerializer, responses={201: ChangeSerializer})
    def post(self, request: Request) -> Response:
        """Record a deploy or another change; incidents of the next hour show it."""
        asked = ChangeRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        service_id = _service_id(given.pop("service", None), given.pop("service_name", ""))
        change = changes.tell(actor=actor_of(request), service_id=service_id, **given)
        return Response(ChangeSerializer(change).data, status=status.HTTP_201_CREATED)


def _service_id(service_id: int | None, name: str) -> int | None:
    if not name:
        return service_id
    if service_id is not None:
        message = "Give the id or the name of the service, not both."
        raise InvalidInputError(message, errors={"service_name": [message]})
    found = Service.objects.filter(name__iexact=name).values_list("pk", flat=True).first()
    if found is None:
        message = "There is no service of this name."
        raise InvalidInputError(message, errors={"service_name": [message]})
    return found
