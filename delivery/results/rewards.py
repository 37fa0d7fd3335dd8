"""How the variants of a campaign do, kept on their rows for the next run's shares (see `generation.variants`).

A person counts once their own `reward_days` after the message left are over, so that a variant is not blamed for
people who had no time yet; what they did later does not count for any.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection, transaction
from django.utils import timezone

from campaigns.models import Campaign
from generation.models import Experiment, Reward, Variant

log = structlog.get_logger(__name__)

_SQL = """
WITH tried AS (
    SELECT piece.variant_id, piece.profile_id, d.id AS delivery_id, d.finished_at AS since,
           d.finished_at + make_interval(days => %(days)s) AS ended
    FROM delivery_delivery d JOIN generation_piece piece ON piece.id = d.piece_id
    WHERE piece.variant_id = ANY(%(variants)s) AND d.status = 'handed_over'
      AND d.finished_at + make_interval(days => %(days)s) <= %(now)s
)
SELECT variant_id, count(*), count(*) FILTER (WHERE {did}) FROM tried GROUP BY variant_id
"""
_CLICKED = """EXISTS (SELECT FROM delivery_outcome o WHERE o.delivery_id = tried.delivery_id AND o.kind = 'clicked'
    AND o.counted AND o.occurred_at >= tried.since AND o.occurred_at < tried.ended)"""
_EVENT = """EXISTS (SELECT FROM campaigns_event e WHERE e.profile_id = tried.profile_id AND e.name = ANY(%(names)s)
    AND e.occurred_at >= tried.since AND e.occurred_at < tried.ended)"""


def refresh_all(*, now: datetime | None = None) -> int:
    """Count anew the variants of every campaign that shares people out by them; how many campaigns."""
    found = Experiment.objects.filter(is_adaptive=True).select_related("campaign")
    campaigns = [one.campaign for one in found]
    for campaign in campaigns:
        refresh(campaign=campaign, now=now)
    return len(campaigns)


@transaction.atomic
def refresh(*, campaign: Campaign, now: datetime | None = None) -> dict[int, tuple[int, int]]:
    """Count the campaign's variants anew: variant -> (successes, people). Opens are never a success."""
    now = now or timezone.now()
    experiment = Experiment.objects.filter(campaign=campaign).first() or Experiment(campaign=campaign)
    rows = list(Variant.objects.select_for_update().filter(campaign=campaign).order_by("pk"))
    names = {
        Reward.CLICKED: [],
        Reward.VISITED: list(experiment.visit_events),
        Reward.PURCHASED: list(experiment.purchase_events),
    }[Reward(experiment.reward)]
    did = _CLICKED if experiment.reward == Reward.CLICKED else _EVENT
    with connection.cursor() as cursor:
        cursor.execute(
            _SQL.format(did=did),
            {
                "variants": [row.pk for row in rows],
                "days": experiment.reward_days,
                "now": now,
                "names": names,
            },
        )
        counted = {pk: (successes, people) for pk, people, successes in cursor.fetchall()}
    for row in rows:
        row.successes, row.people = counted.get(row.pk, (0, 0))
        row.counted_at = now
    Variant.objects.bulk_update(rows, ["successes", "people", "counted_at"])
    log.info("variants_counted", campaign_id=campaign.pk, counts={k: list(v) for k, v in counted.items()})
    return counted
