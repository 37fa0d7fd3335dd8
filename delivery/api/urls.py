"""Addresses of this app below /api/v1/."""

from django.urls import path

from delivery.api import deliveries, dry_run, exports, metrics, outcomes, pieces, results, webhooks
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
    path("deliveries", deliveries.DeliveriesView.as_view(), name="api-deliveries"),
    path("webhooks", webhooks.EndpointsView.as_view(), name="api-webhooks"),
    path("webhooks/<int:endpoint_id>", webhooks.EndpointView.as_view(), name="api-webhook"),
    path("webhooks/<int:endpoint_id>/rotate", webhooks.RotateSecretView.as_view(), name="api-webhook-rotate"),
    path("webhooks/<int:endpoint_id>/test", webhooks.TestView.as_view(), name="api-webhook-test"),
    path("webhooks/<int:endpoint_id>/messages", webhooks.MessagesView.as_view(), name="api-webhook-messages"),
    path("webhooks/<int:endpoint_id>/replay", webhooks.ReplayView.as_view(), name="api-webhook-replay"),
]
