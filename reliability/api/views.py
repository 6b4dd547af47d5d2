"""Services, checks and uptime tests by API."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.db.models import Prefetch
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from accounts.actors import actor_of
from core.rest import filters
from core.rest.pagination import KeysetPagination
from reliability.api.serializers import (
    MOST_CHECKS,
    CheckSerializer,
    ServiceDetailSerializer,
    ServiceSerializer,
    UptimeSerializer,
    UptimeTestRequestSerializer,
    UptimeTestSerializer,
)
from reliability.models import Check, Service, UptimeTest
from reliability.selectors import ranks, states
from reliability.services import catalogue, uptime_tests

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

WAIT_SECONDS: Final = 25.0
MOST_WAITERS: Final = 2

_LOOK_SECONDS: Final = 0.1
# Whoever waits keeps a thread of this process, and others need the rest.
_waiters: Final = threading.BoundedSemaphore(MOST_WAITERS)


class ByName(KeysetPagination):
    """Pages in the order of names, which are unique."""

    ordering: tuple[str, ...] = ("name", "id")


class ById(KeysetPagination):
    """Pages in the order of creation."""

    ordering: tuple[str, ...] = ("id",)


class NewestFirst(KeysetPagination):
    """Pages from the newest on; ids rise with time."""

    ordering: tuple[str, ...] = ("-id",)


@extend_schema_view(
    list=extend_schema(
        description="Services by name with the state of their worst check; `environment`, `tier` "
        "and `owner` compare exactly. `/api/checks/?service=` has the checks of one.",
    ),
    retrieve=extend_schema(
        description=f"One service with its first {MOST_CHECKS} checks; `check_count` tells how "
        "many there are, `/api/checks/?service=` has all of them."
    ),
    create=extend_schema(description="Add a service; its name must be new."),
    partial_update=extend_schema(description="Change the given fields of a service."),
    destroy=extend_schema(
        description="Delete a service with its checks and all they ever found; this cannot be "
        "undone."
    ),
)
class ServiceViewSet(ModelViewSet[Service]):
    """The catalogue; filters `environment`, `tier` and `owner` compare exactly."""

    queryset = Service.objects.all()
    serializer_class = ServiceDetailSerializer
    pagination_class = ByName
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    capabilities: ClassVar = {
        "list": "reliability.view_service",
        "retrieve": "reliability.view_service",
        "create": "reliability.add_service",
        "partial_update": "reliability.change_service",
        "destroy": "reliability.delete_service",
    }

    def get_queryset(self) -> QuerySet[Service]:
        wanted = filters.texts(self.request, environment="environment", tier="tier", owner="owner")
        return super().get_queryset().filter(**wanted)

    def get_serializer_class(self) -> type[BaseSerializer[Service]]:
        return ServiceSerializer if self.action == "list" else super().get_serializer_class()

    def paginate_queryset(self, queryset: Any) -> Any:  # noqa: ANN401  # a long union
        page = super().paginate_queryset(queryset)
        ranks.complete(page or [])
        return page

    def perform_create(self, serializer: BaseSerializer[Service]) -> None:
        serializer.instance = catalogue.create_service(
            actor=actor_of(self.request), **serializer.validated_data
        )

    def perform_update(self, serializer: BaseSerializer[Service]) -> None:
        catalogue.update_service(
            actor=actor_of(self.request),
            service_id=int(self.kwargs["pk"]),
            **serializer.validated_data,
        )
        serializer.instance = self.get_object()

    def perform_destroy(self, instance: Service) -> None:
        catalogue.delete_service(actor=actor_of(self.request), service_id=instance.pk)


@extend_schema_view(
    list=extend_schema(
        description="Checks with what they say now; `service` takes the id of a service."
    ),
    retrieve=extend_schema(description="One check with what it says now."),
    create=extend_schema(description="Add a check to a service; it is asked within seconds."),
    partial_update=extend_schema(
        description="Change the given fields of a check; its service stays."
    ),
    destroy=extend_schema(
        description="Delete a check with all it ever found; this cannot be undone."
    ),
)
class CheckViewSet(ModelViewSet[Check]):
    """Checks with what they say now; filter `service` by id."""

    # Of parents only the numbers are told: their headers need not unseal.
    queryset = (
        states.checks()
        .select_related("heartbeat")
        .prefetch_related(Prefetch("parents", Check.objects.only("pk")))
    )
    serializer_class = CheckSerializer
    pagination_class = ById
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    capabilities: ClassVar = {
        "list": "reliability.view_check",
        "retrieve": "reliability.view_check",
        "create": "reliability.add_check",
        "partial_update": "reliability.change_check",
        "destroy": "reliability.delete_check",
    }

    def get_queryset(self) -> QuerySet[Check]:
        found = super().get_queryset()
        return found.filter(**filters.ids(self.request, service="service"))

    def perform_create(self, serializer: BaseSerializer[Check]) -> None:
        data = dict(serializer.validated_data)
        service = data.pop("service")
        serializer.instance = catalogue.create_check(
            actor=actor_of(self.request), service_id=service.pk, **data
        )

    def perform_update(self, serializer: BaseSerializer[Check]) -> None:
        data = dict(serializer.validated_data)
        data.pop("service", None)
        catalogue.update_check(
            actor=actor_of(self.request), check_id=int(self.kwargs["pk"]), **data
        )
        serializer.instance = self.get_object()

    def perform_destroy(self, instance: Check) -> None:
        catalogue.delete_check(actor=actor_of(self.request), check_id=instance.pk)


class UptimeView(ListAPIView[Check]):
    """What every check says now."""

    queryset = states.checks()
    serializer_class = UptimeSerializer
    pagination_class = ById
    capabilities: ClassVar = {"GET": "reliability.view_checkstate"}


class UptimeTestView(APIView):
    """Run checks now."""

    capabilities: ClassVar = {"POST": "reliability.run_uptimetest"}
    throttle_limit = 20

    @extend_schema(
        request=UptimeTestRequestSerializer,
        responses={
            200: UptimeTestSerializer,
            202: OpenApiResponse(UptimeTestSerializer, description="Still running; ask later."),
        },
    )
    def post(self, request: Request) -> Response:
        """Run checks now and wait up to 25 s for the results; after that answer 202 with the id.

        While two others wait already, the answer is 202 at once. The run is only a look: it changes
        no state and no incident.
        """
        asked = UptimeTestRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        test = uptime_tests.request(
            actor=actor_of(request), check_ids=asked.validated_data.get("checks")
        )
        if _waiters.acquire(blocking=False):
            try:
                _wait(test)
            finally:
                _waiters.release()
        is_over = test.finished_at is not None
        return Response(
            UptimeTestSerializer(test).data,
            status=status.HTTP_200_OK if is_over else status.HTTP_202_ACCEPTED,
        )


class UptimeTestResultView(RetrieveAPIView[UptimeTest]):
    """A run that was asked for, and what it found."""

    queryset = UptimeTest.objects.all()
    serializer_class = UptimeTestSerializer
    capabilities: ClassVar = {"GET": "reliability.view_uptimetest"}


class UptimeTestCancelView(APIView):
    """End a run before it is done."""

    capabilities: ClassVar = {"POST": "reliability.run_uptimetest"}

    @extend_schema(request=None, responses=UptimeTestSerializer)
    def post(self, request: Request, pk: UUID) -> Response:
        """Cancel a run; one that waits ends at once, one that runs within two seconds."""
        test = uptime_tests.cancel(actor=actor_of(request), test_id=str(pk))
        return Response(UptimeTestSerializer(test).data)


def _wait(test: UptimeTest) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while test.finished_at is None and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        test.refresh_from_db()
