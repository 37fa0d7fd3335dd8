"""Addresses of this app below /api/v1/."""

from django.urls import path

from delivery.api import metrics, outcomes, pieces
from personalize.core.metrics import register

register("deliveries", metrics.deliveries)

urlpatterns = [
    path("pieces/<int:piece_id>", pieces.PieceView.as_view(), name="api-piece"),
    path("compose", pieces.ComposeView.as_view(), name="api-compose"),
    path("outcomes", outcomes.OutcomesView.as_view(), name="api-outcomes"),
]
