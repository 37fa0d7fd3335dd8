"""Campaigns: the brief, its audience and its schedule."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access, briefs, schedules
from campaigns.api import saving
from campaigns.models import (
    Campaign,
    CampaignStatus,
    Channel,
    EntryKind,
    MissedPolicy,
    ReviewPolicy,
    ScheduleKind,
    SendPolicy,
    ValueKind,
)
from personalize.core import preconditions
from personalize.core.api import (
    ApiView,
    Input,
    ListQuery,
    Output,
    list_response,
    one,
    person,
    read,
    read_query,
)
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation, page_of

_NAME = r"^[a-z][a-z0-9_]{0,39}$"
_EXAMPLE = {
    "name": "Spring coffee",
    "brand": "lumen",
    "goal": "Bring people back for the new moka pot",
    "facts": ["The moka pot costs {{price}} until {{end_date}}.", "Every order ships in recycled paper."],
    "values": [
        {"name": "price", "text": "£35", "kind": "price"},
        {"name": "end_date", "text": "30 April", "kind": "date", "valid_until": "2030-04-30T21:59:00Z"},
        {"name": "link", "text": "https://lumen.example/moka", "kind": "link"},
    ],
    "cta": "See the moka pot",
    "must_mention": ["price"],
    "channels": ["email"],
    "segment_filter": {"all": [{"field": "lifecycle", "op": "is", "value": "lapsed"}]},
}


class NoFirstName:
    def __call__(self, name: str) -> None:
        if name in briefs.RESERVED:
            raise serializers.ValidationError("This name is the reader's own; choose another.")


class ValueInput(Input):
    name = serializers.RegexField(_NAME, max_length=40, validators=[NoFirstName()])
    text = serializers.CharField(max_length=300)
    kind = NamedChoice(ValueKind.choices, schema="ValueKind", default=ValueKind.OTHER)
    valid_until = serializers.DateTimeField(required=False, allow_null=True)


def _days(help_text: str) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=7),
        required=False,
        max_length=7,
        help_text=help_text,
    )


class ScheduleInput(Input):
    kind = NamedChoice(ScheduleKind.choices, schema="ScheduleKind")
    at = serializers.DateTimeField(required=False, allow_null=True, help_text="For once")
    cron = serializers.CharField(required=False, allow_blank=True, max_length=100, help_text="'0 9 * * MON'")
    time = serializers.TimeField(required=False, allow_null=True, help_text="For daily and weekly")
    days = _days("For weekly: 1 is Monday, 7 is Sunday")
    time_zone = serializers.CharField(required=False, max_length=64)
    missed = NamedChoice(
        MissedPolicy.choices,
        schema="MissedPolicy",
        required=False,
        help_text="What becomes of times that passed while nothing was running",
    )
    entry = NamedChoice(
        EntryKind.choices, schema="EntryKind", required=False, help_text="For always_on: who is due"
    )
    event = serializers.RegexField(
        r"^([a-z][a-z0-9_]{0,63})?$", required=False, allow_blank=True, help_text="For always_on by event"
    )
    again_after_days = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=3650,
        help_text="For always_on; null: once a person",
    )
    takes_present = serializers.BooleanField(
        required=False, help_text="For always_on: also people who are in the segment when it starts"
    )


class WindowInput(Input):
    start = serializers.TimeField(required=False, allow_null=True, help_text="In the reader's own time zone")
    end = serializers.TimeField(required=False, allow_null=True, help_text="Before start: past midnight")
    days = _days("1 is Monday; empty: every day")


class CampaignChange(Input):
    """Only what is sent is changed; facts and values are replaced as whole lists."""

    name = serializers.CharField(required=False, max_length=120)
    brand = serializers.SlugField(required=False, max_length=50, help_text="Slug of the brand")
    goal = serializers.CharField(required=False, max_length=300)
    facts = serializers.ListField(
        child=serializers.CharField(max_length=300),
        required=False,
        max_length=40,
        help_text="No digits: {{name}}",
    )
    values = ValueInput(many=True, required=False, max_length=60)  # type: ignore[call-arg]
    cta = serializers.CharField(required=False, max_length=40)
    cta_link = serializers.RegexField(
        _NAME, required=False, max_length=40, help_text="Value the button links to"
    )
    must_mention = serializers.ListField(
        child=serializers.RegexField(_NAME, max_length=40), required=False, max_length=20
    )
    channels = serializers.ListField(
        child=NamedChoice(Channel.choices, schema="Channel"), required=False, min_length=1, max_length=6
    )
    segment = serializers.SlugField(
        required=False, allow_null=True, max_length=50, help_text="Slug of a saved segment"
    )
    segment_filter = serializers.JSONField(
        required=False,
        help_text='Instead of segment: {"all": [{"field", "op", "value"}, …]}; {} is everybody',
    )
    audience = serializers.CharField(
        required=False, allow_blank=True, max_length=300, help_text="Of ads, in words"
    )
    review_policy = NamedChoice(ReviewPolicy.choices, schema="ReviewPolicy", required=False)
    send_policy = NamedChoice(SendPolicy.choices, schema="SendPolicy", required=False)
    schedule = ScheduleInput(required=False)
    window = WindowInput(required=False, allow_null=True, help_text="Sending hours; null: any hour")
    per_minute = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=1_000_000,
        help_text="Most messages a minute, by all workers together",
    )
    utm_source = serializers.CharField(
        required=False, allow_blank=True, max_length=60, help_text="Empty: links get no utm tags"
    )
    utm_medium = serializers.CharField(required=False, allow_blank=True, max_length=60)
    utm_campaign = serializers.CharField(
        required=False, allow_blank=True, max_length=80, help_text="Empty: the slug"
    )
    count_clicks = serializers.BooleanField(required=False, help_text="Links go by way of this server")
    count_opens = serializers.BooleanField(required=False, help_text="An invisible picture in each mail")


class CampaignInput(CampaignChange):
    slug = serializers.SlugField(required=False, max_length=80, help_text="Made from the name if not given")
    name = serializers.CharField(max_length=120)
    brand = serializers.SlugField(max_length=50, help_text="Slug of the brand")
    goal = serializers.CharField(max_length=300)
    cta = serializers.CharField(max_length=40)
    channels = serializers.ListField(
        child=NamedChoice(Channel.choices, schema="Channel"), min_length=1, max_length=6
    )


class ValueOutput(Output):
    name = serializers.CharField()
    text = serializers.CharField()
    kind = NamedChoice(ValueKind.choices, schema="ValueKind")
    valid_until = serializers.DateTimeField(allow_null=True)


class ScheduleOutput(Output):
    kind = NamedChoice(ScheduleKind.choices, schema="ScheduleKind", source="schedule")
    at = serializers.DateTimeField(source="schedule_at", allow_null=True)
    cron = serializers.CharField(source="schedule_cron")
    time = serializers.TimeField(source="schedule_time", allow_null=True)
    days = serializers.ListField(child=serializers.IntegerField(), source="schedule_days")
    time_zone = serializers.CharField(source="schedule_time_zone")
    missed = NamedChoice(MissedPolicy.choices, schema="MissedPolicy", source="missed_policy")
    entry = NamedChoice(EntryKind.choices, schema="EntryKind")
    event = serializers.CharField(source="entry_event")
    again_after_days = serializers.IntegerField(source="reentry_days", allow_null=True)
    takes_present = serializers.BooleanField()
    next_run_at = serializers.DateTimeField(allow_null=True)
    skipped_at = serializers.DateTimeField(allow_null=True, help_text="The last time missed and skipped")


class WindowOutput(Output):
    start = serializers.TimeField(source="window_start", allow_null=True)
    end = serializers.TimeField(source="window_end", allow_null=True)
    days = serializers.ListField(child=serializers.IntegerField(), source="window_days")


class CampaignItem(Output):
    slug = serializers.CharField()
    name = serializers.CharField()
    brand = serializers.CharField(source="brand.slug")
    status = NamedChoice(CampaignStatus.choices, schema="CampaignStatus")
    channels = serializers.ListField(child=NamedChoice(Channel.choices, schema="Channel"))
    schedule = ScheduleOutput(source="*")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class BriefProblem(Output):
    field = serializers.CharField()
    message = serializers.CharField()


class CampaignOutput(CampaignItem):
    goal = serializers.CharField()
    facts = serializers.ListField(child=serializers.CharField(), source="fact_texts")
    values = ValueOutput(many=True, source="value_rows")
    cta = serializers.CharField()
    cta_link = serializers.CharField()
    must_mention = serializers.ListField(child=serializers.CharField())
    segment = serializers.CharField(source="segment.slug", default=None, allow_null=True)
    segment_filter = serializers.JSONField(
        source="segment.filter", default=None, help_text="null: no segment"
    )
    audience = serializers.CharField()
    review_policy = NamedChoice(ReviewPolicy.choices, schema="ReviewPolicy")
    send_policy = NamedChoice(SendPolicy.choices, schema="SendPolicy")
    window = WindowOutput(source="*")
    per_minute = serializers.IntegerField(allow_null=True)
    next_times = serializers.ListField(
        child=serializers.DateTimeField(), help_text="The next five, in the campaign's time zone"
    )
    utm_source = serializers.CharField()
    utm_medium = serializers.CharField()
    utm_campaign = serializers.CharField()
    count_clicks = serializers.BooleanField()
    count_opens = serializers.BooleanField()
    held_because = serializers.CharField(help_text="Why the schedule stopped by itself")
    problems = BriefProblem(many=True, help_text="What must be mended before it can be launched")

    def to_representation(self, instance: Any) -> Any:
        instance.problems = briefs.problems(instance)
        instance.next_times = schedules.upcoming(instance)
        # The row's own `facts` and `values` are managers.
        instance.fact_texts = list(instance.facts.order_by("position", "id").values_list("text", flat=True))
        instance.value_rows = list(instance.values.order_by("name"))
        return super().to_representation(instance)


def find(slug: str, *, by: brand_access.Person) -> Campaign:
    """404 for those of a brand that is kept to others, too."""
    rows = brand_access.visible(Campaign.objects.select_related("brand", "segment"), by, "brand")
    found: Campaign = one(rows, slug=slug)
    return found


def _locked(slug: str, by: brand_access.Person) -> dict[str, Any]:
    """What GET answers, with the row locked until the change is done."""
    Campaign.objects.select_for_update().filter(slug=slug).first()
    return dict(CampaignOutput(find(slug, by=by)).data)


class CampaignQuery(ListQuery):
    status = NamedChoice(CampaignStatus.choices, schema="CampaignStatus", required=False)
    brand = serializers.SlugField(required=False, max_length=50)


class CampaignsView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE, "GET": Scope.CAMPAIGNS_READ}
    required_permissions = {"POST": "campaigns.add_campaign", "GET": "campaigns.view_campaign"}

    @operation(
        "create_campaign",
        tag="Campaigns",
        summary="Create a campaign",
        body=CampaignInput,
        answers={201: CampaignOutput},
        write=True,
        example=_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """It is a draft until it is launched. `problems` of the answer say what a launch would refuse."""
        campaign = saving.create(sent=read(CampaignInput, request), by=person(request))
        headers = {"Location": f"/api/v1/campaigns/{campaign.slug}"}
        return Response(CampaignOutput(campaign).data, status=201, headers=headers)

    @operation(
        "list_campaigns",
        tag="Campaigns",
        summary="Campaigns, the newest first",
        query=CampaignQuery,
        answers={200: page_of(CampaignItem)},
    )
    def get(self, request: Request) -> Response:
        query = read_query(CampaignQuery, request)
        rows = brand_access.visible(Campaign.objects.select_related("brand"), request.user, "brand")
        if "status" in query:
            rows = rows.filter(status=query["status"])
        if "brand" in query:
            rows = rows.filter(brand__slug=query["brand"])
        return list_response(rows, query=query, output=CampaignItem, request=request)


class CampaignView(ApiView):
    tagged = True
    required_scopes = {"GET": Scope.CAMPAIGNS_READ, "PATCH": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"GET": "campaigns.view_campaign", "PATCH": "campaigns.change_campaign"}

    @operation(
        "get_campaign",
        tag="Campaigns",
        summary="One campaign",
        answers={200: CampaignOutput},
        problem_statuses=(404,),
        tagged=True,
    )
    def get(self, request: Request, slug: str) -> Response:
        return Response(CampaignOutput(find(slug, by=request.user)).data)

    @operation(
        "change_campaign",
        tag="Campaigns",
        summary="Change a campaign",
        body=CampaignChange,
        answers={200: CampaignOutput},
        problem_statuses=(404,),
        write=True,
        conditional=True,
        example={"cta": "Find your pot", "schedule": {"kind": "cron", "cron": "0 9 * * MON"}},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Runs that are open keep the brief they were launched with. With If-Match only the version you saw is
        changed; the answer has the new ETag."""
        campaign = find(slug, by=request.user)
        preconditions.check(request.headers, lambda: _locked(slug, request.user), may_be_required=True)
        saving.change(campaign_id=campaign.pk, sent=read(CampaignChange, request), by=person(request))
        changed = CampaignOutput(find(slug, by=request.user)).data
        return Response(changed, headers={"ETag": preconditions.etag(changed)})


class PauseCampaignView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"POST": "campaigns.launch_campaign"}

    @operation(
        "pause_campaign",
        tag="Campaigns",
        summary="Stop writing and sending, and start no new run",
        answers={200: CampaignOutput},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Idempotent."""
        schedules.pause(campaign=find(slug, by=request.user), by=person(request))
        return Response(CampaignOutput(find(slug, by=request.user)).data)


class ResumeCampaignView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"POST": "campaigns.launch_campaign"}

    @operation(
        "resume_campaign",
        tag="Campaigns",
        summary="Start or resume the schedule",
        answers={200: CampaignOutput},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Idempotent."""
        schedules.activate(campaign=find(slug, by=request.user), by=person(request))
        return Response(CampaignOutput(find(slug, by=request.user)).data)
