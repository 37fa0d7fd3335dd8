"""Launching a campaign, and how far a run has come."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.campaigns import find as find_campaign
from campaigns.api.runs import RunItem
from campaigns.api.runs import find as find_run
from campaigns.models import Run, RunTrigger
from generation import drafting, review
from personalize.core.api import ApiView, Input, Output, person, read
from personalize.core.models import Scope
from personalize.core.operations import operation


class RunOutput(RunItem):
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Pieces by status; every status is named"
    )
    total = serializers.IntegerField()
    written = serializers.IntegerField()
    share = serializers.FloatField(help_text="Written of all, from 0 to 1")
    per_minute = serializers.FloatField(help_text="Pieces written a minute, over the last five minutes")
    minutes_left = serializers.FloatField(allow_null=True, help_text="At this speed; null while unknown")


def shown(run: Run) -> dict[str, Any]:
    progress = drafting.progress(run)
    for name in ("counts", "total", "written", "share", "per_minute", "minutes_left"):
        setattr(run, name, getattr(progress, name))
    return dict(RunOutput(run).data)


class LaunchView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"POST": "campaigns.launch_campaign"}

    @operation(
        "launch_campaign",
        tag="Campaigns",
        summary="Launch a campaign now",
        answers={202: RunOutput},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Freezes audience and brief into a run and makes its pieces; the writers start at once. A second launch
        within the same minute answers the same run. An incomplete brief is refused with every problem in
        `errors`."""
        run = drafting.launch(
            campaign=find_campaign(slug, by=request.user), by=person(request), trigger=RunTrigger.API
        )
        headers = {"Location": f"/api/v1/runs/{run.pk}"}
        return Response(shown(find_run(run.pk, by=request.user)), status=202, headers=headers)


class RunView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ}
    required_permissions = {"GET": "campaigns.view_run"}

    @operation(
        "get_run",
        tag="Runs",
        summary="One run and how far it has come",
        answers={200: RunOutput},
        problem_statuses=(404,),
    )
    def get(self, request: Request, run_id: int) -> Response:
        return Response(shown(find_run(run_id, by=request.user)))


class CancelRunView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"POST": "campaigns.launch_campaign"}

    @operation(
        "cancel_run",
        tag="Runs",
        summary="Close a run for good",
        answers={200: RunOutput},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Drafts, texts in review and approved pieces are withdrawn; what has left stays delivered."""
        run = drafting.cancel(run=find_run(run_id, by=request.user), by=person(request))
        return Response(shown(find_run(run.pk, by=request.user)))


class NoteInput(Input):
    note = serializers.CharField(default="", allow_blank=True, max_length=500)


class CleanResult(Output):
    approved = serializers.IntegerField()
    changed = serializers.IntegerField()
    blocked = serializers.IntegerField()


class ApproveCleanView(ApiView):
    required_scopes = {"POST": Scope.PIECES_REVIEW}
    required_permissions = {"POST": "generation.review_piece"}

    @operation(
        "approve_clean_pieces",
        tag="Runs",
        summary="Approve all pieces of a run that have no findings",
        body=NoteInput,
        answers={200: CleanResult},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Only if the campaign's review policy is `clean_together`."""
        sent = read(NoteInput, request)
        result = review.approve_clean(
            run=find_run(run_id, by=request.user), by=person(request), note=sent["note"]
        )
        return Response(CleanResult(result).data)
