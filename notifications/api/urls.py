"""Routes of messages and channels."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from notifications.api.escalation import EscalationRunViewSet, EscalationViewSet
from notifications.api.feed import FeedView
from notifications.api.groups import GroupViewSet
from notifications.api.inbox import InboxView, ReadView
from notifications.api.oncall import OnCallViewSet
from notifications.api.preferences import ContactsView, ContactView, PreferencesView
from notifications.api.routes import RouteViewSet
from notifications.api.silences import SilenceViewSet
from notifications.api.views import ChannelViewSet, NotificationViewSet

router = SimpleRouter()
# Before the messages, whose detail route would otherwise be asked first.
router.register("notifications/channels", ChannelViewSet, basename="channel")
router.register("notifications/escalations", EscalationViewSet, basename="escalation")
router.register("notifications/escalation-runs", EscalationRunViewSet, basename="escalation-run")
router.register("notifications/on-call", OnCallViewSet, basename="on-call")
router.register("notifications/routes", RouteViewSet, basename="route")
router.register("notifications/silences", SilenceViewSet, basename="silence")
router.register("notifications/groups", GroupViewSet, basename="group")
router.register("notifications", NotificationViewSet, basename="notification")
urlpatterns = [
    path("notifications/feed", FeedView.as_view(), name="feed"),
    path("notifications/feed/read", ReadView.as_view(), name="feed-read"),
    path("notifications/inbox", InboxView.as_view(), name="inbox"),
    path("notifications/preferences", PreferencesView.as_view(), name="preferences"),
    path("notifications/contacts", ContactsView.as_view(), name="contacts"),
    path("notifications/contacts/<uuid:channel_id>", ContactView.as_view(), name="contact"),
    *router.urls,
]
