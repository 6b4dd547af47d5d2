"""Routes of the platform's own state, below /admin/."""

from django.urls import path

from observability.pages import sockets

urlpatterns = [path("live/", sockets.connections, name="live-connections")]
