"""What a campaign would do, person by person, before anything is written or sent."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.campaigns import find as find_campaign
from campaigns.api.people import personal_channel
from campaigns.models import Channel
from delivery import dry_run
from personalize.core.api import ApiView, Input, Output, read
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

_MEANING = [
    (dry_run.WOULD, "Everybody who would get it"),
    (dry_run.WOULD_NOT, "Everybody who would not"),
    *((reason, dry_run.WORDS[reason]) for reason in (dry_run.NOW, *dry_run.LATER, *dry_run.Reason)),
]


class DryRunInput(Input):
    channel = personal_channel(required=False, help_text="Of the people listed; not given: the first one")
    at = serializers.DateTimeField(
        required=False, help_text="As if it left then; not given: at the next scheduled time, or now"
    )
    reason = NamedChoice(
        _MEANING, schema="DryRunReason", required=False, help_text="List only the people it applies to"
    )
    search = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="Part of the CRM's id, address or name"
    )
    limit = serializers.IntegerField(default=50, min_value=0, max_value=dry_run.MOST_PEOPLE)
    after = serializers.IntegerField(default=0, min_value=0, help_text="`next` of the page before")


class DryRunChannel(Output):
    channel = NamedChoice(Channel.choices, schema="Channel")
    would = serializers.DictField(child=serializers.IntegerField(), help_text="`now`, or why later: people")
    would_not = serializers.DictField(child=serializers.IntegerField(), help_text="Reason: people")


class DryRunPerson(Output):
    profile = serializers.CharField(source="external_id")
    channel = NamedChoice(Channel.choices, schema="Channel")
    would = serializers.BooleanField()
    reason = NamedChoice(_MEANING, schema="DryRunReason")
    words = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True, help_text="When it would leave")


class DryRunOutput(Output):
    campaign = serializers.CharField(source="campaign.slug")
    at = serializers.DateTimeField()
    audience = serializers.IntegerField(help_text="People in the segment")
    would = serializers.IntegerField(help_text="Messages to people, over all channels")
    would_not = serializers.IntegerField()
    ads = serializers.ListField(
        child=NamedChoice(Channel.choices, schema="Channel"), help_text="One piece each, for the audience"
    )
    channels = DryRunChannel(many=True)
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="What keeps all of it from leaving"
    )
    people = DryRunPerson(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`after` of the following page; null: last")


class DryRunView(ApiView):
    required_scopes = {"POST": Scope.CAMPAIGNS_READ}
    required_permissions = {"POST": "campaigns.view_campaign"}

    @operation(
        "dry_run",
        tag="Campaigns",
        summary="Who would get it, and who would not and why",
        body=DryRunInput,
        answers={200: DryRunOutput},
        problem_statuses=(404,),
        write=True,
        example={"channel": "email", "reason": "would_not", "limit": 100},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Nothing is written, sent or stored. Consent, addresses, suppressions, sending hours, quiet hours,
        blackouts and frequency caps are asked as a launch and a delivery would ask them."""
        sent = read(DryRunInput, request)
        run = dry_run.DryRun(find_campaign(slug, by=request.user), at=sent.get("at"))
        found: Any = run.report()
        lines: list[dry_run.Line] = []
        following = None
        if sent["limit"] and (run.personal or "channel" in sent):
            lines, following = run.people(
                channel=sent.get("channel") or run.personal[0],
                reason=sent.get("reason", ""),
                search=sent.get("search", ""),
                after=sent["after"],
                limit=sent["limit"],
            )
        shown = {
            **{name: getattr(found, name) for name in ("campaign", "at", "audience", "would", "would_not")},
            **{name: getattr(found, name) for name in ("ads", "channels", "problems")},
            "people": lines,
            "next": following,
        }
        return Response(DryRunOutput(shown).data)
