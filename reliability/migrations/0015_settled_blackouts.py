from django.db import migrations, models
from django.db.models import F


def settle(apps, _editor):
    """Mark what was moved already: before this, the end of a blackout moved at once."""
    blackouts = apps.get_model("reliability", "Blackout").objects
    blackouts.filter(ended_at__isnull=False).update(settled_at=F("ended_at"))


class Migration(migrations.Migration):
    dependencies = [("reliability", "0014_lean_results")]

    operations = [
        migrations.AddField("blackout", "settled_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "blackout", "settled_upto", models.BigIntegerField(db_default=0, default=0)
        ),
        migrations.AddField(
            "liveness", "silence_seconds", models.PositiveIntegerField(db_default=30, default=30)
        ),
        migrations.RunPython(settle, migrations.RunPython.noop),
    ]
