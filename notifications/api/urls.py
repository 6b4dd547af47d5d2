"""Routes of messages and channels."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from notifications.api.feed import FeedView
from notifications.api.inbox import InboxView, ReadView
from notifications.api.views import ChannelViewSet, NotificationViewSet

router = SimpleRouter()
# Before the messages, whose detail route would otherwise be asked first.
router.register("notifications/channels", ChannelViewSet, basename="channel")
router.register("notifications", NotificationViewSet, basename="notification")
urlpatterns = [
    path("notifications/feed", FeedView.as_view(), name="feed"),
    path("notifications/feed/read", ReadView.as_view(), name="feed-read"),
    path("notifications/inbox", InboxView.as_view(), name="inbox"),
    *router.urls,
]
