"""Routes of messages and channels."""

from rest_framework.routers import SimpleRouter

from notifications.api.views import ChannelViewSet, NotificationViewSet

router = SimpleRouter()
# Before the messages, whose detail route would otherwise be asked first.
router.register("notifications/channels", ChannelViewSet, basename="channel")
router.register("notifications", NotificationViewSet, basename="notification")
urlpatterns = router.urls
