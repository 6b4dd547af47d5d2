"""Remember that an incident was ended by hand.

The default stands in the database, so that a prober of the version before still stores its states.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reliability", "0002_state_fillfactor")]
    operations = [
        migrations.AddField(
            model_name="checkstate",
            name="settled",
            field=models.BooleanField(default=False, db_default=False),
        )
    ]
