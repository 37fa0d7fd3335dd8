"""Ads and messages as files for their platforms."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access
from campaigns.api.runs import find as find_run
from campaigns.models import Channel
from delivery import exports
from delivery.models import ExportFile
from personalize.core.api import ApiView, Output, one, person
from personalize.core.errors import DomainError
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation


class ExportFileOutput(Output):
    id = serializers.IntegerField()
    channel = NamedChoice(Channel.choices, schema="Channel")
    rows = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="Of the file's bytes")
    created_at = serializers.DateTimeField()


class ExportFiles(Output):
    items = ExportFileOutput(many=True)


class RunExportsView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ, "POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"GET": "campaigns.view_run", "POST": "campaigns.send_campaign"}

    @operation(
        "list_run_exports",
        tag="Exports",
        summary="The files made for a run",
        answers={200: ExportFiles},
        problem_statuses=(404,),
    )
    def get(self, request: Request, run_id: int) -> Response:
        files = (
            ExportFile.objects.ready().filter(run=find_run(run_id, by=person(request))).order_by("-id")[:200]
        )
        return Response(ExportFiles({"items": files}).data)

    @operation(
        "export_run",
        tag="Exports",
        summary="Write a run's approved ads and messages into files",
        answers={200: ExportFiles},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, run_id: int) -> Response:
        """One file a channel, in the columns its platform reads; the run must be released. Each piece is exported
        once: a second call answers with what was approved since, maybe nothing."""
        files = exports.export_run(run=find_run(run_id, by=person(request)), by=person(request))
        return Response(ExportFiles({"items": files}).data)


class ExportFileView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"GET": "campaigns.send_campaign"}

    @operation(
        "get_export_file",
        tag="Exports",
        summary="The file itself, as CSV",
        answers={200: OpenApiTypes.BINARY},
        problem_statuses=(404,),
    )
    def get(self, request: Request, file_id: int) -> HttpResponse:
        files = brand_access.visible(ExportFile.objects.ready(), person(request), "run__campaign__brand")
        file: ExportFile = one(files, pk=file_id)
        try:
            path = exports.location(file)
            content = path.read_bytes()
        except (OSError, DomainError) as error:
            raise Http404 from error
        headers = {"Content-Disposition": f'attachment; filename="{path.name}"', "Cache-Control": "no-store"}
        return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)
