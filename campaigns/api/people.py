"""People: one by one, in bulk, what they agreed to, and forgetting them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import cleaning, consent, people, privacy
from campaigns.api import bulk
from campaigns.models import Channel, Consent, ConsentStatus, Profile, SuppressionReason
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.models.privacy import MARKETING
from personalize.core import preconditions
from personalize.core.api import ApiView, Input, Output, one, person, read
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

_PERSONAL = [(channel.value, channel.label) for channel in PERSONAL_CHANNELS]
_EXAMPLE = {
    "email": "ada@example.com",
    "first_name": "Ada",
    "locale": "en-GB",
    "time_zone": "Europe/London",
    "attributes": {"lives_near": "coast"},
    "consents": [{"channel": "email", "status": "given", "source": "sign-up form"}],
}


def personal_channel(**options: Any) -> NamedChoice:
    return NamedChoice(_PERSONAL, schema="PersonalChannel", **options)


class ConsentInput(Input):
    channel = personal_channel()
    status = NamedChoice(ConsentStatus.choices, schema="ConsentStatus")
    source = serializers.CharField(max_length=100, help_text="Where it was said: 'sign-up form'")  # type: ignore[assignment]
    at = serializers.DateTimeField(required=False, help_text="When it was said; now if not given")
    explicit = serializers.BooleanField(
        default=False, help_text="The person said yes anew: only that undoes an earlier no"
    )
    purpose = serializers.CharField(
        default="", allow_blank=True, max_length=40,
        help_text="What for; left out, a yes is for marketing and a no for everything on the channel",
    )  # fmt: skip
    proof = serializers.CharField(
        default="", allow_blank=True, max_length=500,
        help_text="What shows it: the form's address, the id of a double opt-in, the version of the wording",
    )  # fmt: skip


class ProfileFields(Input):
    """A field that is not sent stays as it is; an empty one is emptied. An attribute of null is removed."""

    email = serializers.CharField(required=False, allow_blank=True, max_length=320)
    phone = serializers.CharField(
        required=False, allow_blank=True, max_length=40, help_text="With +, or with `region`"
    )
    first_name = serializers.CharField(required=False, allow_blank=True, max_length=200)
    last_name = serializers.CharField(required=False, allow_blank=True, max_length=200)
    locale = serializers.CharField(required=False, allow_blank=True, max_length=35)
    time_zone = serializers.CharField(required=False, allow_blank=True, max_length=64)
    region = serializers.CharField(required=False, max_length=2, help_text="Country of a phone without +: GB")
    attributes = serializers.DictField(required=False, help_text="Only defined names are kept")
    consents = ConsentInput(many=True, required=False, max_length=20)  # type: ignore[call-arg]


class ProfileItem(ProfileFields):
    external_id = serializers.CharField(max_length=128, help_text="The CRM's own id")


class BulkProfiles(bulk.Items):
    source = serializers.CharField(default="api", max_length=100, help_text="Written beside each consent")  # type: ignore[assignment]


class ProfileItems(BulkProfiles):
    """The same, as the API's description shows it: with the fields of its items."""

    items = ProfileItem(many=True, min_length=1, max_length=bulk.MOST_ITEMS)  # type: ignore[assignment,call-arg]


class BulkResult(Output):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    refused = serializers.IntegerField()
    ignored_attributes = serializers.ListField(child=serializers.CharField())
    results = bulk.ItemResult(many=True, help_text="Refused items and those with values left out")


class UpsertOutput(Output):
    external_id = serializers.CharField()
    created = serializers.BooleanField()
    ignored_attributes = serializers.ListField(
        child=serializers.CharField(), help_text="Attributes nobody defined; not kept"
    )
    left_out = bulk.ItemError(many=True, help_text="Values that could not be used; the rest is stored")


class ConsentOutput(Output):
    channel = personal_channel()
    purpose = serializers.CharField()
    status = NamedChoice(ConsentStatus.choices, schema="ConsentStatus")
    source = serializers.CharField()  # type: ignore[assignment]
    recorded_at = serializers.DateTimeField()


class ProfileRow(Output):
    external_id = serializers.CharField()
    email = serializers.CharField()
    phone = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    locale = serializers.CharField()
    time_zone = serializers.CharField()
    attributes = serializers.DictField()
    lifecycle = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ProfileOutput(ProfileRow):
    traits = serializers.ListField(
        child=serializers.CharField(), help_text="All that the writer is told of the person"
    )
    consents = ConsentOutput(many=True)
    reachable = serializers.ListField(
        child=personal_channel(), help_text="Channels with consent, address and no suppression"
    )


def to_input(external_id: str, fields: dict[str, Any], *, source: str) -> people.ProfileInput:
    given = {name: value for name, value in fields.items() if name not in ("consents", "external_id")}
    said = [
        consent.ConsentInput(
            channel=item["channel"],
            status=item["status"],
            source=item.get("source") or source,
            at=item.get("at"),
            explicit=item["explicit"],
            purpose=item["purpose"],
            proof=item["proof"],
        )
        for item in fields.get("consents", ())
    ]
    return people.ProfileInput(external_id=external_id, consents=said, **given)


def find(external_id: str) -> Profile:
    """The person of an address of the API, or 404."""
    try:
        normal = cleaning.identifier(external_id)
    except cleaning.Unusable:
        normal = ""
    found: Profile = one(Profile.objects.all(), external_id=normal)
    return found


def shown(profile: Profile) -> dict[str, Any]:
    """What GET answers about a person: their ETag is of this."""
    profile.reachable = [  # type: ignore[attr-defined]
        channel.value
        for channel in PERSONAL_CHANNELS
        if consent.may_receive(Profile.objects.filter(pk=profile.pk), channel=channel).exists()
    ]
    return dict(ProfileOutput(profile).data)


def _locked(external_id: str) -> dict[str, Any] | None:
    """The same, with the row locked until the change is done; None of nobody."""
    try:
        rows = Profile.objects.select_for_update().filter(external_id=cleaning.identifier(external_id))
    except cleaning.Unusable:
        return None
    return shown(profile) if (profile := rows.first()) else None


class ProfileView(ApiView):
    tagged = True
    required_scopes = {
        "PUT": Scope.PROFILES_WRITE,
        "GET": Scope.PROFILES_READ,
        "DELETE": Scope.PROFILES_WRITE,
    }
    required_permissions = {
        "PUT": "campaigns.change_profile",
        "GET": "campaigns.view_profile",
        "DELETE": "campaigns.delete_profile",
    }

    @operation(
        "upsert_profile",
        tag="People",
        summary="Create or update one person",
        body=ProfileFields,
        answers={200: UpsertOutput, 201: UpsertOutput},
        problem_statuses=(404,),
        write=True,
        conditional=True,
        example=_EXAMPLE,
        answer_example={"external_id": "c-1001", "created": True, "ignored_attributes": [], "left_out": []},
    )
    def put(self, request: Request, external_id: str) -> Response:
        """Safe to repeat. Consent once withdrawn stays withdrawn unless `explicit` says the person agreed anew.
        With If-Match only the version you saw is changed, with `If-None-Match: *` only somebody new is made; the
        answer then has the new ETag."""
        item = to_input(external_id, read(ProfileFields, request), source="api")
        asked = preconditions.check(request.headers, lambda: _locked(external_id))
        result = people.upsert(items=[item], source="api")
        body = {
            "external_id": next(iter(result.ids)),
            "created": bool(result.created),
            "ignored_attributes": sorted(result.ignored_attributes),
            "left_out": bulk.left_out(result.left_out),
        }
        headers = {}
        if asked:
            _refuse_late_twin(request, created=bool(result.created))
            headers["ETag"] = preconditions.etag(shown(find(str(body["external_id"]))))
        return Response(body, status=201 if result.created else 200, headers=headers)

    @operation(
        "get_profile",
        tag="People",
        summary="Everything kept about one person",
        answers={200: ProfileOutput},
        problem_statuses=(404,),
        tagged=True,
    )
    def get(self, request: Request, external_id: str) -> Response:
        return Response(shown(find(external_id)))

    @operation(
        "erase_profile",
        tag="People",
        summary="Erase one person",
        answers={204: None},
        problem_statuses=(404,),
        write=True,
        conditional=True,
    )
    def delete(self, request: Request, external_id: str) -> Response:
        """Everything goes: profile, events, embedding, texts, deliveries, results, mails and lines of export files,
        notes and logs. Keyed hashes of the addresses stay suppressed, so that a re-import cannot reach the person
        again. `Location` is the address of a certificate that names nobody."""
        profile = find(external_id)
        preconditions.check(request.headers, lambda: _locked(external_id))
        certificate = privacy.erase(external_id=profile.external_id, by=person(request))
        return Response(status=204, headers={"Location": f"/api/v1/erasures/{certificate.number}"})


def _refuse_late_twin(request: Request, *, created: bool) -> None:
    """Two may both have seen nobody: the row's own uniqueness says who was first, and the other is refused."""
    if not created and request.headers.get("If-None-Match", "").strip() == "*":
        raise preconditions.PreconditionFailed("Somebody else made this person at the same moment.")


class ProfilesBulkView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_WRITE}
    required_permissions = {"POST": "campaigns.change_profile"}

    @operation(
        "upsert_profiles",
        tag="People",
        summary="Create or update up to 1,000 people",
        body=ProfileItems,
        answers={200: BulkResult},
        write=True,
        example={"items": [{"external_id": "c-1001", **_EXAMPLE}]},
        answer_example={
            "created": 1,
            "updated": 0,
            "unchanged": 0,
            "refused": 0,
            "ignored_attributes": [],
            "results": [],
        },
    )
    def post(self, request: Request) -> Response:
        """Good items are stored, bad ones reported with their index, field and remedy. An item has the fields of
        a single upsert and `external_id`."""
        sent = read(BulkProfiles, request)
        defined = people.definitions()
        ignored: set[str] = set()

        def clean(fields: dict[str, Any]) -> tuple[people.ProfileInput, list[people.Problem]]:
            item = to_input(fields["external_id"], fields, source=sent["source"])
            cleaned = people.clean(item, defined=defined)
            ignored.update(cleaned.ignored)
            return cleaned.item, cleaned.problems

        checked = bulk.check(sent["items"], serializer=ProfileItem, clean=clean, id_field="external_id")
        stored = people.store(items=checked.good, source=sent["source"])
        bulk.tell_left_out(checked, stored.left_out, raw_items=sent["items"], id_field="external_id")
        body = {
            "created": stored.created,
            "updated": stored.updated,
            "unchanged": stored.unchanged,
            "refused": checked.refused,
            "ignored_attributes": sorted(ignored),
            "results": checked.results,
        }
        return Response(body)


class ConsentsView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_WRITE}
    required_permissions = {"POST": "campaigns.change_profile"}

    @operation(
        "record_consent",
        tag="People",
        summary="Record what a person agreed to",
        body=ConsentInput,
        answers={200: ConsentOutput},
        problem_statuses=(404,),
        write=True,
        example={"channel": "email", "status": "withdrawn", "source": "preference page"},
    )
    def post(self, request: Request, external_id: str) -> Response:
        """Answers what is true afterwards: a yes that only repeats an old one does not undo a no."""
        profile = find(external_id)
        said = read(ConsentInput, request)
        consent.record(profile_id=profile.pk, **said)
        whose = profile.merged_into_id or profile.pk  # an id that became another's speaks for that one
        known = Consent.objects.filter(profile=whose, channel=said["channel"])
        return Response(ConsentOutput(one(known, purpose=said["purpose"] or MARKETING)).data)


class SuppressionInput(Input):
    address = serializers.CharField(
        max_length=320, help_text="E-mail address, phone with + or, for push, the id"
    )
    channel = personal_channel(default=Channel.EMAIL)
    reason = NamedChoice(
        SuppressionReason.choices, schema="SuppressionReason", default=SuppressionReason.MANUAL
    )


class SuppressionOutput(Output):
    added = serializers.BooleanField(help_text="False: it was on the list before")


class SuppressionsView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_WRITE}
    required_permissions = {"POST": "campaigns.add_suppression"}

    @operation(
        "suppress_address",
        tag="People",
        summary="Let nothing more be sent to an address",
        body=SuppressionInput,
        answers={200: SuppressionOutput},
        write=True,
        example={"address": "gone@example.com", "channel": "email", "reason": "bounced"},
        answer_example={"added": True},
    )
    def post(self, request: Request) -> Response:
        """Only a keyed hash of the address is kept."""
        return Response({"added": consent.suppress(**read(SuppressionInput, request))})
