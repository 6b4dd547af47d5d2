"""Remember how the switch of a job stood when its heartbeat followed it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reliability", "0011_prober")]

    operations = [
        migrations.AddField(
            model_name="heartbeat",
            name="job_enabled",
            field=models.BooleanField(default=True, editable=False),
        ),
    ]
