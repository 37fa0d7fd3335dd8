import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="idempotencyrecord",
            name="headers",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="idempotencyrecord",
            name="claimed_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
    ]
