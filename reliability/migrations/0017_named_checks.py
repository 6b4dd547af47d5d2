from django.db import migrations, models


def note(apps, _editor):
    """Remember which objectives were narrowed to checks that they name."""
    apps.get_model("reliability", "SLO").objects.filter(checks__isnull=False).update(
        names_checks=True
    )


class Migration(migrations.Migration):
    dependencies = [("reliability", "0016_results_by_name")]

    operations = [
        migrations.AddField(
            "slo",
            "names_checks",
            models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.RunPython(note, migrations.RunPython.noop),
    ]
