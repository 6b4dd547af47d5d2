from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "System"

    def ready(self) -> None:
        from core import celery_signals, checks  # noqa: F401  # connects tracing, registers checks
