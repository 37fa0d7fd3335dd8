"""What a CRM looks through: people by filters, the brands and segments that campaigns name, many consents at once."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access, cleaning, consent
from campaigns.api import bulk
from campaigns.api.people import ConsentInput, ProfileRow, personal_channel
from campaigns.cleaning import Problem
from campaigns.models import Brand, Channel, Profile, Segment
from personalize.core.api import ApiView, ListQuery, Output, list_response, person, read, read_query
from personalize.core.errors import InvalidInput
from personalize.core.models import Scope
from personalize.core.operations import operation, page_of


class ProfileQuery(ListQuery):
    email = serializers.CharField(required=False, max_length=320, help_text="Exactly, whatever its case")
    phone = serializers.CharField(required=False, max_length=40, help_text="With +")
    lifecycle = serializers.CharField(required=False, max_length=20)
    updated_since = serializers.DateTimeField(required=False)


class ProfilesView(ApiView):
    required_scopes = {"GET": Scope.PROFILES_READ}
    required_permissions = {"GET": "campaigns.view_profile"}

    @operation(
        "list_profiles",
        tag="People",
        summary="People, the newest first",
        query=ProfileQuery,
        answers={200: page_of(ProfileRow)},
    )
    def get(self, request: Request) -> Response:
        """Read one person for their traits and consents."""
        query = read_query(ProfileQuery, request)
        rows = Profile.objects.all()
        if "email" in query:
            rows = rows.filter(email_hash=_hash(Channel.EMAIL, query["email"], "email"))
        if "phone" in query:
            rows = rows.filter(phone_hash=_hash(Channel.SMS, query["phone"], "phone"))
        if "lifecycle" in query:
            rows = rows.filter(lifecycle=query["lifecycle"])
        if "updated_since" in query:
            rows = rows.filter(updated_at__gte=query["updated_since"])
        return list_response(rows, query=query, output=ProfileRow, request=request)


def _hash(channel: Channel, address: str, field: str) -> str:
    try:
        return consent.address_hash(consent.normalise_address(channel, address))
    except InvalidInput as error:
        raise InvalidInput(str(error), field=field) from error


class BrandRow(Output):
    slug = serializers.CharField()
    name = serializers.CharField()
    about = serializers.CharField()
    version = serializers.IntegerField()
    updated_at = serializers.DateTimeField()


class BrandsView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ}
    required_permissions = {"GET": "campaigns.view_brand"}

    @operation(
        "list_brands",
        tag="Campaigns",
        summary="Brands, the newest first",
        query=ListQuery,
        answers={200: page_of(BrandRow)},
    )
    def get(self, request: Request) -> Response:
        """Brands are made in the admin; a campaign names one by its slug."""
        query = read_query(ListQuery, request)
        rows = brand_access.visible(Brand.objects.all(), person(request), "pk")
        return list_response(rows, query=query, output=BrandRow, request=request)


class SegmentRow(Output):
    slug = serializers.CharField()
    name = serializers.CharField()
    filter = serializers.JSONField()
    like_text = serializers.CharField(help_text="'People like …'")
    updated_at = serializers.DateTimeField()


class SegmentsView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ}
    required_permissions = {"GET": "campaigns.view_segment"}

    @operation(
        "list_segments",
        tag="Campaigns",
        summary="Segments, the newest first",
        query=ListQuery,
        answers={200: page_of(SegmentRow)},
    )
    def get(self, request: Request) -> Response:
        """Saved audiences; a campaign names one by its slug."""
        query = read_query(ListQuery, request)
        return list_response(Segment.objects.all(), query=query, output=SegmentRow, request=request)


class ConsentItem(ConsentInput):
    external_id = serializers.CharField(max_length=128, help_text="Of the person")
    channel = personal_channel()


class ConsentsResult(Output):
    changed = serializers.IntegerField(help_text="Statements that made a difference")
    refused = serializers.IntegerField()
    unknown_profiles = serializers.ListField(
        child=serializers.CharField(), help_text="Nothing was stored for them"
    )
    results = bulk.ItemResult(many=True, help_text="Refused items")


class ConsentsBulkView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_WRITE}
    required_permissions = {"POST": "campaigns.change_profile"}

    @operation(
        "record_consents",
        tag="People",
        summary="Record up to 1,000 consents",
        body=bulk.envelope(ConsentItem),
        answers={200: ConsentsResult},
        write=True,
        example={
            "items": [
                {
                    "external_id": "c-1001",
                    "channel": "email",
                    "status": "withdrawn",
                    "source": "preference page",
                }
            ]
        },
        answer_example={"changed": 1, "refused": 0, "unknown_profiles": [], "results": []},
    )
    def post(self, request: Request) -> Response:
        """By the same rules as one consent: a yes that only repeats an old one does not undo a no. Item: external_id,
        channel, status, source and, if they apply, at and explicit."""

        def clean(fields: dict[str, Any]) -> tuple[tuple[str, consent.ConsentInput], list[Problem]]:
            name = fields.pop("external_id")
            try:
                return (cleaning.identifier(name), consent.ConsentInput(**fields)), []
            except cleaning.Unusable as error:
                return (name, consent.ConsentInput(**fields)), [
                    Problem("external_id", str(error), refuses=True)
                ]

        sent = read(bulk.Items, request)
        checked = bulk.check(sent["items"], serializer=ConsentItem, clean=clean, id_field="external_id")
        names = {name for name, _ in checked.good}
        ids = dict(Profile.objects.filter(external_id__in=names).values_list("external_id", "pk"))
        known = [(ids[name], said) for name, said in checked.good if name in ids]
        body = {
            "changed": consent.record_many(items=known),
            "refused": checked.refused,
            "unknown_profiles": sorted(names - ids.keys()),
            "results": checked.results,
        }
        return Response(body)
