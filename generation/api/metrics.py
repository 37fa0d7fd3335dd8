"""What /metrics says of pieces, read from the database at scrape time."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from campaigns.models import RunStatus
from generation.models import Piece, Status


def pieces() -> Iterable[Metric]:
    """Pieces by status, and how long the oldest draft of an open run has waited."""
    counts = dict(Piece.objects.values_list("status").annotate(Count("pk")).order_by())
    by_status = GaugeMetricFamily("personalize_pieces", "Pieces by status.", labels=["status"])
    for status in Status.values:
        by_status.add_metric([status], counts.get(status, 0))
    waiting = Piece.objects.filter(status=Status.DRAFT, run__status=RunStatus.OPEN)
    since = waiting.aggregate(since=Min("created_at"))["since"]
    age = GaugeMetricFamily(
        "personalize_oldest_draft_age_seconds",
        "Age of the oldest piece that still is to be written; 0 when there is none.",
        value=(timezone.now() - since).total_seconds() if since else 0.0,
    )
    return [by_status, age]
