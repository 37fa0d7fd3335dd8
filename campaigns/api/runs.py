"""Runs as a whole. How far their pieces have come is generation's to say."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access, runs
from campaigns.api.campaigns import find as find_campaign
from campaigns.models import Run, RunStatus, RunTrigger
from personalize.core.api import ApiView, ListQuery, Output, list_response, one, person, read_query
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation, page_of


class RunItem(Output):
    id = serializers.IntegerField()
    campaign = serializers.CharField(source="campaign.slug")
    status = NamedChoice(RunStatus.choices, schema="RunStatus")
    trigger = NamedChoice(RunTrigger.choices, schema="RunTrigger")
    scheduled_for = serializers.DateTimeField()
    model_version = serializers.CharField()
    brand_version = serializers.IntegerField()
    audience_size = serializers.IntegerField()
    excluded = serializers.DictField(
        child=serializers.IntegerField(), help_text="Why people of the segment get nothing: reason to number"
    )
    created_at = serializers.DateTimeField()
    released_at = serializers.DateTimeField(allow_null=True, help_text="null: approved pieces wait")


def find(run_id: int, *, by: brand_access.Person) -> Run:
    rows = brand_access.visible(Run.objects.select_related("campaign"), by, "campaign__brand")
    found: Run = one(rows, pk=run_id)
    return found


class RunQuery(ListQuery):
    status = NamedChoice(RunStatus.choices, schema="RunStatus", required=False)


class CampaignRunsView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ}
    required_permissions = {"GET": "campaigns.view_run"}

    @operation(
        "list_runs",
        tag="Runs",
        summary="Runs of a campaign, the newest first",
        query=RunQuery,
        answers={200: page_of(RunItem)},
        problem_statuses=(404,),
    )
    def get(self, request: Request, slug: str) -> Response:
        query = read_query(RunQuery, request)
        rows = Run.objects.select_related("campaign").filter(campaign=find_campaign(slug, by=request.user))
        if "status" in query:
            rows = rows.filter(status=query["status"])
        return list_response(rows, query=query, output=RunItem, request=request)


class ReleaseRunView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"POST": "campaigns.send_campaign"}

    @operation(
        "release_run",
        tag="Runs",
        summary="Send what is approved, and what will be",
        answers={200: RunItem},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Idempotent."""
        return Response(RunItem(runs.release(run=find(run_id, by=request.user), by=person(request))).data)


class PauseRunView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"POST": "campaigns.launch_campaign"}

    @operation(
        "pause_run",
        tag="Runs",
        summary="Write and send nothing more of a run",
        answers={200: RunItem},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Idempotent. What is being handed over at this moment still goes."""
        return Response(RunItem(runs.pause(run=find(run_id, by=request.user), by=person(request))).data)


class ResumeRunView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"POST": "campaigns.launch_campaign"}

    @operation(
        "resume_run",
        tag="Runs",
        summary="Go on with a paused run",
        answers={200: RunItem},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Idempotent."""
        return Response(RunItem(runs.resume(run=find(run_id, by=request.user), by=person(request))).data)
