"""The Celery application. Tasks live in each app's tasks.py; the timetable of beat is here."""

from __future__ import annotations

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")

app = Celery("personalize")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Every entry is safe to run twice at once: each claims its rows in Postgres.
app.conf.beat_schedule = {
    "start due campaigns": {"task": "generation.start_due_runs", "schedule": 20.0},
    "return stale drafts": {"task": "generation.sweep", "schedule": 60.0},
    "seal the audit trail": {"task": "generation.seal_audit", "schedule": 10.0},
    "embed what changed": {"task": "generation.embed_changed", "schedule": 120.0},
    "count how variants do": {"task": "delivery.count_variants", "schedule": 900.0},
    # A throttle's bucket holds what may leave in ten seconds: looked at less often, the limit is not reached.
    "deliver what is due": {"task": "delivery.deliver_due", "schedule": 10.0},
    "settle stale deliveries": {"task": "delivery.sweep", "schedule": 60.0},
    "take up imports": {"task": "campaigns.sweep_imports", "schedule": 60.0},
    "tell webhooks": {"task": "webhooks.fan_out", "schedule": 5.0},
    "forget old webhook messages": {"task": "webhooks.purge", "schedule": 3600.0},
    "attribute purchases": {"task": "delivery.attribute", "schedule": 300.0},
    "forget uploads": {"task": "campaigns.forget_uploads", "schedule": 900.0},
    "apply retention rules": {"task": "campaigns.apply_retention", "schedule": crontab(hour=3, minute=20)},
    "forget old answers": {"task": "core.purge_idempotency", "schedule": 3600.0},
}
