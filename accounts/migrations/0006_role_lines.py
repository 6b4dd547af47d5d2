from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_console_access'),
    ]

    operations = [
        migrations.AlterField(
            model_name='accessreviewitem',
            name='kind',
            field=models.CharField(choices=[('person', 'Person'), ('role', 'Role of a person'), ('api_key', 'API key'), ('dashboard_key', 'Dashboard key')], max_length=13),
        ),
    ]
