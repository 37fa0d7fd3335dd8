"""Addresses of this app below /api/v1/."""

from django.urls import path

from generation.api import audit, deciding, experiments, metrics, pieces, runs, sampling
from personalize.core.metrics import register

register("pieces", metrics.pieces)

urlpatterns = [
    path("campaigns/<slug:slug>/launch", runs.LaunchView.as_view(), name="api-campaign-launch"),
    path("campaigns/<slug:slug>/experiment", experiments.ExperimentView.as_view(), name="api-experiment"),
    path("runs/<int:run_id>", runs.RunView.as_view(), name="api-run"),
    path("runs/<int:run_id>/cancel", runs.CancelRunView.as_view(), name="api-run-cancel"),
    path("runs/<int:run_id>/approve-clean", runs.ApproveCleanView.as_view(), name="api-run-approve-clean"),
    path("runs/<int:run_id>/pieces", pieces.RunPiecesView.as_view(), name="api-run-pieces"),
    path("runs/<int:run_id>/sample", sampling.RunSampleView.as_view(), name="api-run-sample"),
    path("sample-groups/<int:group_id>/decide", sampling.DecideGroupView.as_view(), name="api-sample-group"),
    path("samples/<int:plan_id>/drop", sampling.DropSampleView.as_view(), name="api-sample-drop"),
    path("audit", audit.AuditView.as_view(), name="api-audit"),
    path("pieces", pieces.PiecesView.as_view(), name="api-pieces"),
    path("pieces/decide", deciding.DecideView.as_view(), name="api-decide"),
    path("pieces/<int:piece_id>/approve", deciding.ApproveView.as_view(), name="api-piece-approve"),
    path("pieces/<int:piece_id>/reject", deciding.RejectView.as_view(), name="api-piece-reject"),
    path("pieces/<int:piece_id>/edit", deciding.EditView.as_view(), name="api-piece-edit"),
    path("pieces/<int:piece_id>/write-again", deciding.WriteAgainView.as_view(), name="api-piece-again"),
    path("pieces/<int:piece_id>/reopen", deciding.ReopenView.as_view(), name="api-piece-reopen"),
]
