"""Housekeeping."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone


@shared_task(name="core.purge_idempotency", ignore_result=True)
def purge_idempotency(**_newer: object) -> None:
    """Delete stored answers that are older than a day. Safe at any time, any number of times."""
    from personalize.core import idempotency

    idempotency.purge(now=timezone.now())
