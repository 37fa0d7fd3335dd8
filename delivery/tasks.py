"""Delivery in the background. Each task claims its rows, so it may run twice and on any number of workers."""

from __future__ import annotations

from celery import shared_task

from delivery.transports import CannotConnect


@shared_task(name="delivery.deliver_due", ignore_result=True, acks_late=True)
def deliver_due(**_newer: object) -> None:
    """Send what is due. Nothing due: one query."""
    from delivery import sending

    sending.deliver_due()


@shared_task(
    name="delivery.deliver",
    ignore_result=True,
    acks_late=True,
    autoretry_for=(CannotConnect,),
    retry_backoff=30,
    retry_jitter=True,
    max_retries=5,
)
def deliver(*, piece_id: int, **_newer: object) -> None:
    """Send one approved e-mail. Delivered twice, the second finds nothing to claim."""
    from delivery import sending

    try:
        sending.deliver(piece_id=piece_id)
    except sending.NotSent as why:
        sending.log.info("not_sent", piece_id=piece_id, why=str(why))


@shared_task(name="delivery.sweep", ignore_result=True, acks_late=True)
def sweep(**_newer: object) -> None:
    """Settle claims that a dead worker left behind."""
    from delivery import sending

    sending.sweep()


@shared_task(name="delivery.count_variants", ignore_result=True, acks_late=True)
def count_variants(**_newer: object) -> None:
    """Keep how each variant does, for the shares of the next run."""
    from delivery.results import rewards

    rewards.refresh_all()
