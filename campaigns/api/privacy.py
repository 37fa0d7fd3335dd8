"""Everything about a person as an archive, certificates of erasure, and suppressions by the thousand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import privacy, suppressions
from campaigns.api.people import find, personal_channel
from campaigns.models import Channel, Erasure, SuppressionReason
from personalize.core.api import ApiView, Input, Output, one, person, read
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

MOST_ADDRESSES = 10_000


class ArchiveOutput(Output):
    number = serializers.UUIDField()
    address = serializers.CharField(help_text="GET it with the same key until it expires")
    expires_at = serializers.DateTimeField()


class ErasureOutput(Output):
    number = serializers.UUIDField()
    reason = NamedChoice(
        [("request", "On request"), ("retention", "By retention rule")], schema="ErasureReason"
    )
    asked_at = serializers.DateTimeField()
    done_at = serializers.DateTimeField()
    removed = serializers.DictField(help_text="How many rows and files went, by kind")
    signature = serializers.CharField()
    holds = serializers.BooleanField(
        help_text="Whether the signature fits: the certificate is as it was made"
    )


class AddressesInput(Input):
    addresses = serializers.ListField(
        child=serializers.CharField(max_length=320), min_length=1, max_length=MOST_ADDRESSES
    )
    channel = personal_channel(default=Channel.EMAIL)
    reason = NamedChoice(
        SuppressionReason.choices, schema="SuppressionReason", default=SuppressionReason.MANUAL
    )


class RefusedAddress(Output):
    index = serializers.IntegerField(help_text="Place in `addresses`, from 0")
    message = serializers.CharField()


class AddressesOutput(Output):
    added = serializers.IntegerField()
    known = serializers.IntegerField(help_text="On the list before")
    refused = serializers.IntegerField()
    errors = RefusedAddress(many=True, help_text="The first hundred of those refused")  # type: ignore[assignment]


class ArchivesView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_READ}
    required_permissions = {"POST": "campaigns.export_profile"}

    @operation(
        "ask_for_archive",
        tag="People",
        summary="Ask for everything kept about one person",
        answers={201: ArchiveOutput},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, external_id: str) -> Response:
        """The archive can be fetched for two days. Who asked is recorded; each fetch stands in the log."""
        asked = privacy.ask(external_id=find(external_id).external_id, by=person(request))
        address = f"/api/v1/archives/{asked.number}"
        body = {"number": asked.number, "address": address, "expires_at": asked.expires_at}
        return Response(ArchiveOutput(body).data, status=201, headers={"Location": address})


class ArchiveView(ApiView):
    required_scopes = {"GET": Scope.PROFILES_READ}
    required_permissions = {"GET": "campaigns.export_profile"}

    @operation(
        "get_archive",
        tag="People",
        summary="Fetch an archive",
        answers={(200, "application/zip"): OpenApiTypes.BINARY},
        problem_statuses=(404,),
    )
    def get(self, request: Request, number: UUID) -> Any:
        """A zip of JSON and CSV files, made while it is sent."""
        content = privacy.stream(number=number, by=person(request), count=False)
        response = StreamingHttpResponse(content, content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="{number}.zip"'
        response["Cache-Control"] = "no-store"
        return response


class ErasureView(ApiView):
    required_scopes = {"GET": Scope.PROFILES_READ}
    required_permissions = {"GET": "campaigns.view_erasure"}

    @operation(
        "get_erasure",
        tag="People",
        summary="The certificate of an erasure",
        answers={200: ErasureOutput},
        problem_statuses=(404,),
    )
    def get(self, request: Request, number: UUID) -> Response:
        """It names no person. Its number is the end of the `Location` that the erasure answered."""
        found: Any = one(Erasure.objects.all(), number=number)
        found.holds = privacy.verify(found)
        return Response(ErasureOutput(found).data)


class BulkSuppressionsView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_WRITE}
    required_permissions = {"POST": "campaigns.add_suppression"}

    @operation(
        "suppress_addresses",
        tag="People",
        summary=f"Let nothing more be sent to up to {MOST_ADDRESSES:,} addresses",
        body=AddressesInput,
        answers={200: AddressesOutput},
        write=True,
        example={"addresses": ["gone@example.com"], "channel": "email", "reason": "bounced"},
        answer_example={"added": 1, "known": 0, "refused": 0, "errors": []},
    )
    def post(self, request: Request) -> Response:
        """Good addresses are taken, bad ones reported. Only keyed hashes are kept. Safe to repeat."""
        result = suppressions.add(**read(AddressesInput, request))
        errors = [{"index": number - 1, "message": why} for number, why in result.refused]
        body = {"added": result.added, "known": result.known, "refused": result.bad, "errors": errors}
        return Response(body)
