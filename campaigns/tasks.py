"""Housekeeping of what comes in."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="campaigns.forget_uploads", ignore_result=True)
def forget_uploads(**_newer: object) -> None:
    """Remove uploaded files that nobody imported. Safe at any time, any number of times."""
    from campaigns.importing import uploads

    uploads.forget_old()
