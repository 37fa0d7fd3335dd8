"""Pieces as lists, and what every answer about one says."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access
from campaigns.api.runs import find as find_run
from campaigns.models import Channel
from generation.models import Piece, RejectReason, Status
from personalize.core.api import ApiView, ListQuery, Output, list_response, one, read_query
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation, page_of

BIGGEST_ID = 2**63 - 1


class PieceItem(Output):
    id = serializers.IntegerField()
    run = serializers.IntegerField(source="run_id")
    campaign = serializers.CharField(source="run.campaign.slug")
    channel = NamedChoice(Channel.choices, schema="Channel")
    profile = serializers.CharField(
        source="profile.external_id", default=None, allow_null=True, help_text="null: an ad, for an audience"
    )
    status = NamedChoice(Status.choices, schema="PieceStatus")
    revision = serializers.IntegerField(
        help_text="Send it back with a decision: you decide on the text you saw"
    )
    fields = serializers.DictField(help_text="The text, values standing as {{name}}")  # type: ignore[assignment]
    blocking = serializers.IntegerField(help_text="Findings that stop approval")
    warnings = serializers.IntegerField()
    score = serializers.FloatField(allow_null=True)
    reject_reason = NamedChoice([*RejectReason.choices, ("", "None")], schema="RejectReasonOrNone")
    written_at = serializers.DateTimeField(allow_null=True)
    reviewed_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField()


class PieceQuery(ListQuery):
    status = NamedChoice(Status.choices, schema="PieceStatus", required=False)
    channel = NamedChoice(Channel.choices, schema="Channel", required=False)
    profile = serializers.CharField(required=False, max_length=128, help_text="External id")


class AllPiecesQuery(PieceQuery):
    campaign = serializers.SlugField(required=False, max_length=80)
    run = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID)


_COLUMNS = {
    "status": "status",
    "channel": "channel",
    "profile": "profile__external_id",
    "campaign": "run__campaign__slug",
    "run": "run_id",
}


def rows(by: brand_access.Person) -> Any:
    """Without those of brands that are kept to others."""
    found = Piece.objects.select_related("run__campaign", "profile")
    return brand_access.visible(found, by, "run__campaign__brand")


def find(piece_id: int, *, by: brand_access.Person) -> Piece:
    found: Piece = one(rows(by), pk=piece_id)
    return found


def _listed(request: Request, query: dict[str, Any], chosen: Any) -> Response:
    for name, column in _COLUMNS.items():
        if name in query:
            chosen = chosen.filter(**{column: query[name]})
    return list_response(chosen, query=query, output=PieceItem, request=request)


class PiecesView(ApiView):
    required_scopes = {"GET": Scope.PIECES_READ}
    required_permissions = {"GET": "generation.view_piece"}

    @operation(
        "list_pieces",
        tag="Pieces",
        summary="Pieces, the newest first",
        query=AllPiecesQuery,
        answers={200: page_of(PieceItem)},
    )
    def get(self, request: Request) -> Response:
        return _listed(request, read_query(AllPiecesQuery, request), rows(request.user))


class RunPiecesView(ApiView):
    required_scopes = {"GET": Scope.PIECES_READ}
    required_permissions = {"GET": "generation.view_piece"}

    @operation(
        "list_run_pieces",
        tag="Runs",
        summary="Pieces of one run, the newest first",
        query=PieceQuery,
        answers={200: page_of(PieceItem)},
        problem_statuses=(404,),
    )
    def get(self, request: Request, run_id: int) -> Response:
        return _listed(
            request,
            read_query(PieceQuery, request),
            rows(request.user).filter(run=find_run(run_id, by=request.user)),
        )
