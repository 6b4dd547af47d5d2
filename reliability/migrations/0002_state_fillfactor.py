"""Leave room in the pages of the states, which are written at every probe.

PostgreSQL then puts the new version of a row beside the old one and touches no index.
"""

from django.db import migrations


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE reliability_checkstate SET (fillfactor = 70)")


class Migration(migrations.Migration):
    dependencies = [("reliability", "0001_initial")]
    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
