"""Routes of the audit log."""

from rest_framework.routers import SimpleRouter

from audit.api.views import AuditRecordViewSet

router = SimpleRouter()
router.register("audit", AuditRecordViewSet, basename="audit")
urlpatterns = router.urls
