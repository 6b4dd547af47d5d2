"""Create the seven roles; their permissions follow after migration, from accounts.roles."""

from django.db import migrations

ROLES = ("admin", "operator", "manager", "engineer", "analyst", "auditor", "user")


def create(apps, schema_editor):
    group_model = apps.get_model("auth", "Group")
    for name in ROLES:
        group_model.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
