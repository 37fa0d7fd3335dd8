from django.db import migrations, models


def carry_over(apps, schema_editor):
    """What was active stays active; kind is the base as the settings named it."""
    versions = apps.get_model("generation", "ModelVersion")
    for version in versions.objects.all():
        version.state = "active" if version.is_active else "retired"
        version.kind = (version.settings.get("source") or version.base).split("|")[0]
        version.save(update_fields=["state", "kind"])


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0002_claim_order'),
    ]

    operations = [
        migrations.AddField('piece', 'written_with', models.JSONField(blank=True, default=dict, editable=False)),
        migrations.AddField('modelversion', 'kind', models.CharField(default='', max_length=200), preserve_default=False),
        migrations.AddField('modelversion', 'adapter_hash', models.CharField(blank=True, max_length=64, default=''), preserve_default=False),
        migrations.AddField('modelversion', 'evaluated_at', models.DateTimeField(blank=True, null=True)),
        migrations.AddField(
            'modelversion', 'state',
            models.CharField(choices=[('candidate', 'Candidate'), ('active', 'Active'), ('retired', 'Retired')], default='candidate', max_length=10),
        ),
        migrations.RunPython(carry_over, migrations.RunPython.noop, elidable=True),
    ]
