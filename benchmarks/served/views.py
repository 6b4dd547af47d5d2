"""The smallest view of the REST framework that the platform would accept."""

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.rest.permissions import PUBLIC


class HelloView(APIView):
    """Says hello to anybody."""

    capabilities = {"GET": PUBLIC}

    def get(self, _request: Request) -> Response:
        """Answer."""
        return Response({"hello": "world"})


urlpatterns = [path("api/hello/", HelloView.as_view()), path("", include("opsplatform.urls"))]
