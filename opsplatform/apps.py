from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConsoleConfig(admin_apps.AdminConfig):
    default = False
    default_site = "opsplatform.console.site.ConsoleSite"


class OpsPlatformConfig(AppConfig):
    name = "opsplatform"
    verbose_name = "OpsPlatform"

    def ready(self) -> None:
        from opsplatform import celery  # noqa: F401  # every process sends tasks through this app
