"""Create the schedule; `sync_periodic_jobs` adds what later releases declare."""

from django.db import migrations

from core.periodic import synchronise


def create(apps, schema_editor):
    synchronise(
        apps.get_model("django_celery_beat", "CrontabSchedule"),
        apps.get_model("django_celery_beat", "PeriodicTask"),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
