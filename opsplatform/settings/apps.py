"""Which apps and middlewares make up the platform, in which order."""

from opsplatform.settings.paths import BASE_DIR

INSTALLED_APPS = [
    "opsplatform.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_celery_beat",
    "core",
    "audit",
    "accounts",
    "notifications",
    "reliability",
    "observability",
    "opsplatform",
]
MIDDLEWARE = [
    "observability.middleware.RequestLogMiddleware",
    "core.headers.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "reliability.pages.heartbeats.ReportMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.wellformed.WellFormedRequestMiddleware",
    "core.rest.slashes.EitherSlashMiddleware",
    "core.ratelimit.AddressRateLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "accounts.authentication.guard.SessionGuardMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.authentication.networks.AllowedNetworkMiddleware",
    "accounts.middleware.DueStepsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "opsplatform.urls"
WSGI_APPLICATION = "opsplatform.wsgi.application"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = "opsplatform.formats"
