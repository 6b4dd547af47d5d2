"""Routes of what a person is told, below /account/."""

from django.urls import path

from notifications.pages import centre

urlpatterns = [
    path("centre/", centre.centre, name="notification-centre"),
    path("centre/read/", centre.read, name="notification-centre-read"),
]
