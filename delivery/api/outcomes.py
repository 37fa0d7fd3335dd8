"""What came back."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api import bulk
from campaigns.cleaning import Problem
from delivery import outcomes
from delivery.models import OutcomeKind
from generation.api.pieces import BIGGEST_ID
from personalize.core.api import ApiView, Input, Output, read
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation


class OutcomeItem(Input):
    event_id = serializers.CharField(max_length=200, help_text="Yours; a repeated one is counted, not stored")
    kind = NamedChoice(OutcomeKind.choices, schema="OutcomeKind")
    occurred_at = serializers.DateTimeField()
    message_id = serializers.CharField(required=False, max_length=200, help_text="Our Message-ID")
    delivery_id = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID)
    piece_id = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID)
    amount = serializers.DecimalField(required=False, allow_null=True, max_digits=12, decimal_places=2)
    permanent = serializers.BooleanField(default=True, help_text="False: a bounce that may pass")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if sum(name in attrs for name in ("message_id", "delivery_id", "piece_id")) != 1:
            raise serializers.ValidationError("Send exactly one of message_id, delivery_id and piece_id.")
        return attrs


class OutcomesResult(Output):
    created = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="Known event ids")
    refused = serializers.IntegerField()
    unknown = serializers.ListField(
        child=serializers.CharField(), help_text="Event ids whose delivery is not known here"
    )
    results = bulk.ItemResult(many=True, help_text="Refused items")


class OutcomesView(ApiView):
    required_scopes = {"POST": Scope.OUTCOMES_WRITE}
    required_permissions = {"POST": "delivery.add_outcome"}

    @operation(
        "record_outcomes",
        tag="Outcomes",
        summary="Report up to 1,000 outcomes",
        body=bulk.envelope(OutcomeItem),
        answers={200: OutcomesResult},
        write=True,
        example={
            "items": [
                {
                    "event_id": "evt-1",
                    "kind": "clicked",
                    "occurred_at": "2024-05-01T08:00:00Z",
                    "message_id": "<0190b5f2@mail.example.com>",
                }
            ]
        },
        answer_example={"created": 1, "duplicates": 0, "refused": 0, "unknown": [], "results": []},
    )
    def post(self, request: Request) -> Response:
        """A bounce that lasts, a complaint or an unsubscription stops everything else to that address at once.
        Item: event_id, kind, occurred_at, one of message_id, delivery_id, piece_id, and amount of a purchase."""

        def clean(fields: dict[str, Any]) -> tuple[outcomes.OutcomeInput, list[Problem]]:
            return outcomes.OutcomeInput(**fields), []

        sent = read(bulk.Items, request)
        checked = bulk.check(sent["items"], serializer=OutcomeItem, clean=clean, id_field="event_id")
        stored = outcomes.record(items=checked.good)
        body = {
            "created": stored.created,
            "duplicates": stored.duplicates,
            "refused": checked.refused,
            "unknown": sorted(stored.unknown),
            "results": checked.results,
        }
        return Response(body)
