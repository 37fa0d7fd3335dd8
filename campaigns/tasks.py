"""Housekeeping of what comes in."""

from __future__ import annotations

from celery import shared_task

IMPORT_SOFT_SECONDS = 3_600  # a million rows take minutes; far above it something hangs


@shared_task(name="campaigns.forget_uploads", ignore_result=True)
def forget_uploads(**_newer: object) -> None:
    """Remove uploaded files that nobody imported. Safe at any time, any number of times."""
    from campaigns.importing import uploads

    uploads.forget_old()


@shared_task(
    name="campaigns.run_import",
    ignore_result=True,
    acks_late=True,
    soft_time_limit=IMPORT_SOFT_SECONDS,
    time_limit=IMPORT_SOFT_SECONDS + 60,
)
def run_import(*, import_id: int, **_newer: object) -> None:
    """Do what is left of an import. Delivered twice, the second finds nothing to claim."""
    from campaigns.importing import jobs

    jobs.work(import_id=import_id)


@shared_task(name="campaigns.sweep_imports", ignore_result=True)
def sweep_imports(**_newer: object) -> None:
    """Wake workers for imports that wait or were left behind. Safe at any time, any number of times."""
    from campaigns.importing import jobs

    jobs.sweep()


@shared_task(name="campaigns.apply_retention", ignore_result=True)
def apply_retention(**_newer: object) -> None:
    """Remove what the retention rules that are on let go. Run twice at once, each removes other rows."""
    from campaigns.privacy import retention

    retention.apply()
