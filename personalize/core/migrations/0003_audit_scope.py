import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0002_idempotency_headers_and_claim")]

    operations = [
        migrations.AlterField(
            model_name="apikey",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("profiles:write", "Send in people, consent, events and products"),
                        ("profiles:read", "Read people"),
                        ("campaigns:write", "Create, launch and pause campaigns"),
                        ("campaigns:read", "Read campaigns and runs"),
                        ("pieces:read", "Read pieces"),
                        ("pieces:review", "Approve and reject pieces"),
                        ("compose", "Write one piece now"),
                        ("outcomes:write", "Report what came back"),
                        ("audit:read", "Read the audit trail"),
                    ],
                    max_length=32,
                ),
                size=None,
            ),
        ),
    ]
