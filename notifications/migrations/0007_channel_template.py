from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0006_escalation_rounds"),
    ]

    operations = [
        migrations.AddField(
            model_name="channel",
            name="template",
            field=models.TextField(
                blank=True,
                default="",
                help_text="The text below the headline, in own words: $title, $body, $service, $alerts, $link, ${label.NAME} and others. Empty: the built-in text.",
                max_length=4000,
            ),
            preserve_default=False,
        ),
    ]
