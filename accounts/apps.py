from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Access"

    def ready(self) -> None:
        from accounts import checks, receivers  # noqa: F401  # registers checks and receivers

        post_migrate.connect(receivers.fill_roles, sender=self)
