"""A reader followed a link, or a mail program loaded the picture: where to send them on, and what is kept of it.

Of each link and mail one click of a person and one of machines are kept at most, so an address that is called a
million times fills nothing. No network address and no program name is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.utils import timezone

from campaigns.models import Run
from delivery import links, machines, outcomes
from delivery.models import Delivery, OutcomeKind
from delivery.outcomes import OutcomeInput


def follow(token: str, *, headers: Mapping[str, str], look: bool = False) -> str:
    """Where the link leads, '' for a token that is not ours; counts the click unless it is a mere `look` (HEAD)."""
    click = links.clicked(token)
    if click is None:
        return ""
    run = Run.objects.select_related("campaign__brand").filter(pk=click.run_id).first()
    where = links.target(run, click.name) if run is not None else ""
    # The mail of somebody who was erased still leads to its page; there is nobody left to count it for.
    delivery = Delivery.objects.filter(piece_id=click.piece_id).first() if where and not look else None
    if delivery is not None and delivery.begun_at is not None:
        why = machines.why_click(headers, after=_since(delivery))
        _keep(delivery, OutcomeKind.CLICKED, f"click:{click.piece_id}:{click.name}", why)
    return where


def opened(token: str, *, agent: str) -> None:
    """Note that the picture was loaded. Whatever the token is, the caller answers with the picture."""
    piece_id = links.opened(token)
    delivery = Delivery.objects.filter(piece_id=piece_id).first() if piece_id is not None else None
    if delivery is not None and delivery.begun_at is not None:
        _keep(delivery, OutcomeKind.OPENED, f"open:{piece_id}", machines.why_open(agent))


def _since(delivery: Delivery) -> timedelta | None:
    left = delivery.finished_at or delivery.begun_at
    return timezone.now() - left if left else None


def _keep(delivery: Delivery, kind: OutcomeKind, event_id: str, why: str) -> None:
    item = OutcomeInput(
        kind=kind,
        event_id=f"{event_id}:machine" if why else event_id,
        occurred_at=timezone.now(),
        delivery_id=delivery.pk,
        counted=not why,
        detail=why,
    )
    outcomes.record(items=[item])
