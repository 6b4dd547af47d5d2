from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reliability", "0010_adopt_incidents")]

    operations = [
        migrations.RemoveField("checkstate", "alert_seq"),
        migrations.RemoveField("checkstate", "settled"),
        migrations.AddField(
            "checkstate", "cert_warned", models.BooleanField(db_default=False, default=False)
        ),
    ]
