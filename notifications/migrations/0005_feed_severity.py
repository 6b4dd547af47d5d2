"""The severity of what a feed tells beside it, so that the few that matter are found at once."""

from django.db import migrations, models


def fill(apps, schema_editor):
    """Take over the severity of the alerts that are still kept."""
    entries = apps.get_model("notifications", "FeedEntry").objects
    alerts = entries.filter(kind="alert")
    for severity in ("critical", "warning", "info"):
        alerts.filter(payload__severity=severity).update(severity=severity)


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0004_acknowledged_alerts"),
    ]

    operations = [
        migrations.AddField(
            model_name="feedentry",
            name="severity",
            field=models.CharField(blank=True, db_default="", default="", max_length=10),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="feedentry",
            index=models.Index(
                fields=["audience", "severity", "seq"],
                name="feed_entry_by_severity",
            ),
        ),
    ]
