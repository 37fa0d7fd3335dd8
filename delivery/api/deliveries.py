"""What left, and what became of it."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access
from campaigns.models import Channel
from delivery.api.pieces import DeliveryOutput
from delivery.models import Delivery, DeliveryStatus
from generation.api.pieces import BIGGEST_ID
from personalize.core.api import ApiView, ListQuery, list_response, person, read_query
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation, page_of


class DeliveryRow(DeliveryOutput):
    piece = serializers.IntegerField(source="piece_id")
    run = serializers.IntegerField(source="piece.run_id")
    campaign = serializers.CharField(source="piece.run.campaign.slug")
    channel = NamedChoice(Channel.choices, schema="Channel")
    profile = serializers.CharField(source="piece.profile.external_id", default=None, allow_null=True)


class DeliveryQuery(ListQuery):
    status = NamedChoice(DeliveryStatus.choices, schema="DeliveryStatus", required=False)
    channel = NamedChoice(Channel.choices, schema="Channel", required=False)
    campaign = serializers.SlugField(required=False, max_length=80)
    run = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID)


_COLUMNS = {
    "status": "status",
    "channel": "channel",
    "campaign": "piece__run__campaign__slug",
    "run": "piece__run_id",
}


class DeliveriesView(ApiView):
    required_scopes = {"GET": Scope.PIECES_READ}
    required_permissions = {"GET": "delivery.view_delivery"}

    @operation(
        "list_deliveries",
        tag="Outcomes",
        summary="Deliveries, the newest first",
        query=DeliveryQuery,
        answers={200: page_of(DeliveryRow)},
    )
    def get(self, request: Request) -> Response:
        """One row for each piece that was handed over, or is being so; `unknown` are those a person must settle."""
        query = read_query(DeliveryQuery, request)
        rows = brand_access.visible(
            Delivery.objects.select_related("piece__run__campaign", "piece__profile"),
            person(request),
            "piece__run__campaign__brand",
        )
        for name, column in _COLUMNS.items():
            if name in query:
                rows = rows.filter(**{column: query[name]})
        return list_response(rows, query=query, output=DeliveryRow, request=request)
