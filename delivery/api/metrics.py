"""What /metrics says of deliveries, read from the database at scrape time."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily, Metric

from delivery.models import Delivery, DeliveryStatus


def deliveries() -> Iterable[Metric]:
    """Deliveries by status; `unknown` are those a person must look at."""
    counts = dict(Delivery.objects.values_list("status").annotate(Count("pk")).order_by())
    by_status = GaugeMetricFamily("personalize_deliveries", "Deliveries by status.", labels=["status"])
    for status in DeliveryStatus.values:
        by_status.add_metric([status], counts.get(status, 0))
    return [by_status]
