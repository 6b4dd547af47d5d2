"""Routes below /.well-known/."""

from django.urls import path

from accounts.api.key_set import KeySetView

urlpatterns = [path("jwks.json", KeySetView.as_view(), name="jwks")]
