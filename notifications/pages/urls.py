"""Routes of what a person is told, below /account/."""

from django.urls import path

from notifications.pages import centre, preferences

urlpatterns = [
    path("centre/", centre.centre, name="notification-centre"),
    path("centre/read/", centre.read, name="notification-centre-read"),
    path("notifications/", preferences.overview, name="account-notifications"),
    path("notifications/test/", preferences.test, name="account-notifications-test"),
    path(
        "notifications/<uuid:channel_id>/",
        preferences.contact,
        name="account-notifications-contact",
    ),
]
