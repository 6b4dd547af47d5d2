"""The words by which the console calls objectives, reports and maintenance."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reliability", "0017_named_checks")]

    operations = [
        migrations.AlterModelOptions(
            name="heartbeatping",
            options={
                "default_permissions": ("view",),
                "ordering": ["-id"],
                "verbose_name": "report",
            },
        ),
        migrations.AlterModelOptions(
            name="maintenancewindow",
            options={
                "ordering": ["-id"],
                "verbose_name": "maintenance",
                "verbose_name_plural": "maintenance",
            },
        ),
        migrations.AlterModelOptions(
            name="slo",
            options={"ordering": ["service__name", "id"], "verbose_name": "objective"},
        ),
    ]
