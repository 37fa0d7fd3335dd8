import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('generation', '0008_edits_and_look_back'),
    ]

    operations = [
        migrations.CreateModel(
            name='BlindVote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pair', models.CharField(max_length=64)),
                ('preference', models.CharField(choices=[('first', 'The first version'), ('second', 'The second version'), ('neither', 'Neither is better')], max_length=8)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('first', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='generation.modelversion')),
                ('second', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='generation.modelversion')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('first', 'second', 'pair', 'by'), name='blind_vote_once'), models.CheckConstraint(condition=models.Q(('first__lt', models.F('second'))), name='blind_vote_one_way_round'), models.CheckConstraint(condition=models.Q(('preference__in', ['first', 'second', 'neither'])), name='blind_vote_preference_known')],
            },
        ),
    ]
