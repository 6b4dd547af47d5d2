from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("reliability", "0015_settled_blackouts")]

    operations = [
        migrations.AlterModelOptions(
            name="sample",
            options={"ordering": ["-id"], "verbose_name": "result"},
        ),
    ]
