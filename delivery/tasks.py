"""Delivery in the background. Each task claims its rows, so it may run twice and on any number of workers."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from delivery.transports import CannotConnect


@shared_task(name="delivery.deliver_due", ignore_result=True, acks_late=True)
def deliver_due(**_newer: object) -> None:
    """Send what is due: mails, files, and messages by the operator's service. Nothing due: a few queries."""
    from delivery import connectors, sending

    sending.deliver_due()
    connectors.deliver_due()


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


@shared_task(name="webhooks.fan_out", ignore_result=True, acks_late=True, soft_time_limit=300, time_limit=330)
def tell_webhooks(**_newer: object) -> None:
    """Number what happened for each endpoint and wake the senders. Nothing happened: a few queries."""
    from delivery.webhooks import telling

    telling.mark_milestones(now=timezone.now())
    telling.fan_out()


@shared_task(name="webhooks.send", ignore_result=True, acks_late=True, soft_time_limit=300, time_limit=330)
def send_webhooks(*, endpoint_id: int, **_newer: object) -> None:
    """Send what is due to one endpoint. Delivered twice, the second finds it taken."""
    from delivery.webhooks import sending

    if sending.drain(endpoint_id=endpoint_id).more:
        send_webhooks.delay(endpoint_id=endpoint_id)


@shared_task(name="webhooks.purge", ignore_result=True, acks_late=True)
def purge_webhooks(**_newer: object) -> None:
    """Delete old messages."""
    from delivery.webhooks import telling

    telling.purge(now=timezone.now())


@shared_task(name="delivery.attribute", ignore_result=True, acks_late=True)
def attribute(**_newer: object) -> None:
    """Put purchases that came in down to the messages they followed."""
    from delivery import conversions

    conversions.attribute()
