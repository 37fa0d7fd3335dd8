"""What people did."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import events
from campaigns.api import bulk
from campaigns.cleaning import Problem
from personalize.core.api import ApiView, Input, Output, read
from personalize.core.models import Scope
from personalize.core.operations import operation


class EventItem(Input):
    message_id = serializers.CharField(
        max_length=128, help_text="Yours; a repeated one is counted, not stored"
    )
    external_id = serializers.CharField(max_length=128, help_text="Of the person")
    name = serializers.CharField(
        max_length=64, help_text="purchased, cart_left, viewed, signed_up, returned, …"
    )
    occurred_at = serializers.DateTimeField()
    sku = serializers.CharField(required=False, allow_blank=True, max_length=64)
    quantity = serializers.IntegerField(
        required=False, allow_null=True, min_value=-2_000_000_000, max_value=2_000_000_000
    )
    amount = serializers.DecimalField(
        required=False, allow_null=True, max_digits=12, decimal_places=2, help_text="Of the whole line"
    )
    properties = serializers.DictField(required=False)


class EventsResult(Output):
    created = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="Known message ids")
    refused = serializers.IntegerField()
    unknown_profiles = serializers.ListField(
        child=serializers.CharField(), help_text="Their events were not stored: send the people first"
    )
    unknown_products = serializers.ListField(
        child=serializers.CharField(), help_text="Their events were stored without a product"
    )
    results = bulk.ItemResult(many=True, help_text="Refused items and those with values left out")


class EventsView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_WRITE}
    required_permissions = {"POST": "campaigns.change_profile"}

    @operation(
        "record_events",
        tag="Events",
        summary="Record up to 1,000 events",
        body=bulk.envelope(EventItem),
        answers={200: EventsResult},
        write=True,
        example={
            "items": [
                {
                    "message_id": "order-77-line-1",
                    "external_id": "c-1001",
                    "name": "purchased",
                    "occurred_at": "2024-04-03T09:30:00Z",
                    "sku": "POT-6",
                    "quantity": 1,
                    "amount": "35.00",
                }
            ]
        },
        answer_example={
            "created": 1,
            "duplicates": 0,
            "refused": 0,
            "unknown_profiles": [],
            "unknown_products": [],
            "results": [],
        },
    )
    def post(self, request: Request) -> Response:
        """Each message id is stored once, however often it is sent. Item: message_id, external_id, name,
        occurred_at and, if they apply, sku, quantity, amount, properties."""

        def clean(fields: dict[str, Any]) -> tuple[events.EventInput, list[Problem]]:
            return events.clean(events.EventInput(**{k: v for k, v in fields.items() if v is not None}))

        sent = read(bulk.Items, request)
        checked = bulk.check(sent["items"], serializer=EventItem, clean=clean, id_field="message_id")
        stored = events.store(items=checked.good)
        body = {
            "created": stored.created,
            "duplicates": stored.duplicates,
            "refused": checked.refused,
            "unknown_profiles": sorted(stored.unknown_profiles),
            "unknown_products": sorted(stored.unknown_products),
            "results": checked.results,
        }
        return Response(body)
