"""The REST framework and its OpenAPI description."""

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.headers.HeaderAuthentication",
        "accounts.authentication.console_sessions.ConsoleSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["core.rest.permissions.HasCapability"],
    "DEFAULT_THROTTLE_CLASSES": ["core.rest.throttling.PrincipalThrottle"],
    "DEFAULT_PAGINATION_CLASS": "core.rest.pagination.KeysetPagination",
    "DEFAULT_PARSER_CLASSES": ["core.rest.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["core.rest.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.rest.negotiation.ShortNegotiation",
    "DEFAULT_SCHEMA_CLASS": "opsplatform.apischema.ApiSchema",
    "EXCEPTION_HANDLER": "core.rest.errors.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "OpsPlatform",
    "DESCRIPTION": "Is it up, can we get it back, is it safe, who touched it, who uses it.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AlertSeverityEnum": "notifications.models.Event.Severity",
        "AlertStatusEnum": "notifications.models.Event.Status",
        "ChangeKindEnum": "reliability.models.Change.Kind",
        "ChannelKindEnum": "notifications.models.Channel.Kind",
        "IncidentStateEnum": "reliability.models.Incident.State",
        "NotificationStateEnum": "notifications.models.Notification.State",
        "SessionKindEnum": "accounts.models.UserSession.Kind",
    },
}
