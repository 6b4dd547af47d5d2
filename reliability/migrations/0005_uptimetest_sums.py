"""Keep the sums of an uptime test beside its results, which may be megabytes.

The defaults stand in the database, so that a process of the version before still asks for tests.
"""

from django.db import migrations, models


def sum_up(apps, schema_editor):
    tests = apps.get_model("reliability", "UptimeTest").objects.using(schema_editor.connection.alias)
    # One at a time: together they may be more than the memory holds.
    for key in list(tests.order_by().values_list("pk", flat=True)):
        test = tests.only("check_ids", "results").get(pk=key)
        failures = [result for result in test.results if not result["ok"]]
        tests.filter(pk=key).update(
            check_count=len(test.check_ids),
            good=len(test.results) - len(failures),
            failed=len(failures),
            first_failures=failures[:5],
        )


class Migration(migrations.Migration):
    dependencies = [("reliability", "0004_uptimetest_asked_by")]
    operations = [
        migrations.AddField(
            model_name="uptimetest",
            name="check_count",
            field=models.PositiveIntegerField(default=0, db_default=0, editable=False),
        ),
        migrations.AddField(
            model_name="uptimetest",
            name="good",
            field=models.PositiveIntegerField(default=0, db_default=0, editable=False),
        ),
        migrations.AddField(
            model_name="uptimetest",
            name="failed",
            field=models.PositiveIntegerField(default=0, db_default=0, editable=False),
        ),
        migrations.AddField(
            model_name="uptimetest",
            name="first_failures",
            field=models.JSONField(
                default=list, db_default=models.Value([], models.JSONField()), editable=False
            ),
        ),
        migrations.RunPython(sum_up, migrations.RunPython.noop),
    ]
