"""Give each service that has none the objective that a new one gets."""

from django.conf import settings
from django.db import migrations


def promise(apps, schema_editor):
    service_model = apps.get_model("reliability", "Service")
    slo_model = apps.get_model("reliability", "SLO")
    bare = service_model.objects.filter(slos=None).values_list("pk", flat=True)
    slo_model.objects.bulk_create(
        [
            slo_model(
                service_id=key,
                objective=settings.SLO_TARGET,
                window_days=settings.SLO_WINDOW_DAYS,
            )
            for key in bare
        ],
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [("reliability", "0008_rollups_of_all_checks")]

    operations = [migrations.RunPython(promise, migrations.RunPython.noop)]
