from django.db import migrations, models
import django.db.models.deletion


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0003_version_states'),
    ]

    operations = [
        migrations.RemoveConstraint('modelversion', 'model_version_one_active'),
        migrations.RemoveField('modelversion', 'is_active'),
        migrations.AlterModelOptions('modelversion', {'permissions': [('promote_modelversion', 'Can choose the version that writes')]}),
        migrations.AlterField('modelversion', 'adapter_hash', models.CharField(blank=True, max_length=64)),
        migrations.AddConstraint(
            'modelversion',
            models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('kind',), name='model_version_one_active'),
        ),
        migrations.AddConstraint(
            'modelversion',
            models.CheckConstraint(condition=models.Q(('state__in', ['candidate', 'active', 'retired'])), name='model_version_state_known'),
        ),
        migrations.CreateModel(
            name='VersionEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('action', models.CharField(choices=[('installed', 'Installed'), ('promoted', 'Promoted'), ('rolled_back', 'Rolled back')], max_length=12)),
                ('forced', models.BooleanField(default=False)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('refusals', models.JSONField(blank=True, default=list)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('actor_id', models.BigIntegerField(null=True)),
                ('actor_name', models.CharField(blank=True, max_length=150)),
                ('replaced', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaced_by', to='generation.modelversion')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='generation.modelversion')),
            ],
            options={
                'indexes': [models.Index(fields=['version', '-id'], name='version_event_latest')],
            },
        ),
    ]
