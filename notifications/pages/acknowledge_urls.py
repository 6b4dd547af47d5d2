"""The route of links that acknowledge, below /ack/."""

from django.urls import re_path

from notifications.pages.acknowledge import acknowledge

# One route for all that could hold a token, so that no other page or log line shows one.
urlpatterns = [re_path(r"^(?P<token>[^/]*)/?$", acknowledge, name="acknowledge")]
