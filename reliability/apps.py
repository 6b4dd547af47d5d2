from django.apps import AppConfig


class ReliabilityConfig(AppConfig):
    name = "reliability"

    def ready(self) -> None:
        from reliability import receivers  # noqa: F401  # registers receivers
