import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reliability', '0013_segments_by_standing'),
    ]

    operations = [
        # No version that was released has packed anything into this table.
        migrations.DeleteModel(name='SampleChunk'),
        migrations.CreateModel(
            name='SampleChunk',
            fields=[
                ('pk', models.CompositePrimaryKey('check_of_id', 'starts_at', blank=True, editable=False, primary_key=True, serialize=False)),
                ('check_of', models.ForeignKey(db_column='check_id', db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='reliability.check')),
                ('starts_at', models.DateTimeField()),
                ('seconds', models.PositiveIntegerField()),
                ('n', models.PositiveIntegerField()),
                ('bad', models.PositiveIntegerField()),
                ('data', models.BinaryField()),
            ],
            options={
                'ordering': ['check_of', 'starts_at'],
                'default_permissions': (),
                'constraints': [models.CheckConstraint(condition=models.Q(('seconds__in', [3600, 86400])), name='chunk_is_an_hour_or_a_day')],
            },
        ),
        migrations.AlterField(
            model_name='sample',
            name='check_of',
            field=models.ForeignKey(db_column='check_id', db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='samples', to='reliability.check'),
        ),
        migrations.AlterField(
            model_name='rollup',
            name='check_of',
            field=models.ForeignKey(db_column='check_id', db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='rollups', to='reliability.check'),
        ),
    ]
