from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from audit import checks  # noqa: F401  # registers the check
        from audit.receivers import make_room, put_back

        pre_migrate.connect(make_room, sender=self)
        post_migrate.connect(put_back, sender=self)
