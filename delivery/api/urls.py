"""Addresses of this app below /api/v1/."""

from django.urls import path

from delivery.api import dry_run, exports, metrics, outcomes, pieces, results
from personalize.core.metrics import register

register("deliveries", metrics.deliveries)

urlpatterns = [
    path("pieces/<int:piece_id>", pieces.PieceView.as_view(), name="api-piece"),
    path("campaigns/<slug:slug>/dry-run", dry_run.DryRunView.as_view(), name="api-dry-run"),
    path("compose", pieces.ComposeView.as_view(), name="api-compose"),
    path("runs/<int:run_id>/results", results.RunResultsView.as_view(), name="api-run-results"),
    path("campaigns/<slug:slug>/results", results.CampaignResultsView.as_view(), name="api-campaign-results"),
    path("runs/<int:run_id>/exports", exports.RunExportsView.as_view(), name="api-run-exports"),
    path("exports/<int:file_id>", exports.ExportFileView.as_view(), name="api-export-file"),
    path("outcomes", outcomes.OutcomesView.as_view(), name="api-outcomes"),
]
