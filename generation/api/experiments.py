"""What a campaign compares."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.campaigns import find as find_campaign
from campaigns.models import Campaign
from generation import experiments
from generation.models import Reward
from personalize.core.api import ApiView, Input, Output, person, read
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

_EVENT = r"^[a-z][a-z0-9_]{0,63}$"


class VariantInput(Input):
    name = serializers.CharField(max_length=40)
    steer = serializers.CharField(max_length=200, help_text="A hint to the writer, without numbers")


class ExperimentInput(Input):
    """Only what is sent is changed; variants are replaced as a whole list."""

    holdout_percent = serializers.IntegerField(
        required=False, min_value=0, max_value=50, help_text="People who get nothing, for comparison"
    )
    generic_percent = serializers.IntegerField(
        required=False, min_value=0, max_value=50, help_text="People whose copy knows nothing of them"
    )
    window_days = serializers.IntegerField(required=False, min_value=1, max_value=90)
    visit_events = serializers.ListField(
        child=serializers.RegexField(_EVENT), required=False, min_length=1, max_length=10
    )
    purchase_events = serializers.ListField(
        child=serializers.RegexField(_EVENT), required=False, min_length=1, max_length=10
    )
    is_adaptive = serializers.BooleanField(
        required=False, help_text="Give more people the variant that works (Thompson sampling)"
    )
    reward = NamedChoice(Reward.choices, schema="Reward", required=False)
    reward_days = serializers.IntegerField(required=False, min_value=1, max_value=30)
    floor_percent = serializers.IntegerField(
        required=False, min_value=0, max_value=25, help_text="Least share of a variant"
    )
    variants = VariantInput(many=True, required=False, max_length=6)  # type: ignore[call-arg]


class VariantOutput(Output):
    name = serializers.CharField()
    steer = serializers.CharField()
    people = serializers.IntegerField(help_text="Whose days are over")
    successes = serializers.IntegerField()
    counted_at = serializers.DateTimeField(allow_null=True)


class ExperimentOutput(Output):
    holdout_percent = serializers.IntegerField()
    generic_percent = serializers.IntegerField()
    window_days = serializers.IntegerField()
    visit_events = serializers.ListField(child=serializers.CharField())
    purchase_events = serializers.ListField(child=serializers.CharField())
    is_adaptive = serializers.BooleanField()
    reward = NamedChoice(Reward.choices, schema="Reward")
    reward_days = serializers.IntegerField()
    floor_percent = serializers.IntegerField()
    variants = VariantOutput(many=True)


def shown(campaign: Campaign) -> dict[str, Any]:
    found: Any = experiments.of(campaign)
    found.variants = experiments.variants_of(campaign)
    return dict(ExperimentOutput(found).data)


class ExperimentView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ, "PATCH": Scope.CAMPAIGNS_WRITE}
    required_permissions = {"GET": "campaigns.view_campaign", "PATCH": "campaigns.change_campaign"}

    @operation(
        "get_experiment",
        tag="Results",
        summary="What a campaign compares",
        answers={200: ExperimentOutput},
        problem_statuses=(404,),
    )
    def get(self, request: Request, slug: str) -> Response:
        return Response(shown(find_campaign(slug, by=person(request))))

    @operation(
        "change_experiment",
        tag="Results",
        summary="Change what a campaign compares",
        body=ExperimentInput,
        answers={200: ExperimentOutput},
        problem_statuses=(404,),
        write=True,
        example={"holdout_percent": 10, "generic_percent": 20},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Runs launched from now on follow it; those that are open keep their shares."""
        sent = read(ExperimentInput, request)
        variants = sent.pop("variants", None)
        campaign = find_campaign(slug, by=person(request))
        experiments.save(
            campaign=campaign,
            by=person(request),
            changes=sent,
            variants=None if variants is None else [(one["name"], one["steer"]) for one in variants],
        )
        return Response(shown(campaign))
