"""What a run or campaign did."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns.api.campaigns import find as find_campaign
from campaigns.api.runs import find as find_run
from delivery.results import report
from delivery.results.report import Compared, Measure, Report
from delivery.results.statistics import Interval, Verdict
from generation.models import Arm
from personalize.core.api import ApiView, Output, person
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

_ARMS, _MEASURES = Arm.choices, [(m.value, m.value) for m in Measure]


class ArmOutput(Output):
    arm = NamedChoice(_ARMS, schema="Arm")
    people = serializers.IntegerField(help_text="Everybody in it, whether or not a message left")
    got_message = serializers.IntegerField()
    visitors = serializers.IntegerField()
    buyers = serializers.IntegerField()
    revenue = serializers.FloatField()
    clickers = serializers.IntegerField()
    openers = serializers.IntegerField(help_text="Shown; decides nothing")


class IntervalOutput(Output):
    low = serializers.FloatField()
    high = serializers.FloatField()


class ComparisonOutput(Output):
    measure = NamedChoice(_MEASURES, schema="Measure")
    arm = NamedChoice(_ARMS, schema="Arm")
    against = NamedChoice(_ARMS, schema="Arm")
    verdict = NamedChoice([(v.value, v.value) for v in Verdict], schema="Verdict")
    missing = serializers.CharField(help_text="What there is too little of, for too_few")
    difference = serializers.FloatField(allow_null=True, help_text="Of shares, or of money a person")
    relative = serializers.FloatField(allow_null=True)
    always = IntervalOutput(allow_null=True, help_text="95 %, however often you look")
    once = IntervalOutput(allow_null=True, help_text="95 %, for one look at a time set beforehand")
    sentence = serializers.CharField()


class ResultsOutput(Output):
    since = serializers.DateTimeField(allow_null=True, help_text="null: nothing has left yet")
    until = serializers.DateTimeField(allow_null=True)
    is_closed = serializers.BooleanField(help_text="The days that count are over")
    arms = ArmOutput(many=True)
    comparisons = ComparisonOutput(many=True)
    notes = serializers.ListField(child=serializers.CharField())


def shown(found: Report) -> dict[str, Any]:
    body = {
        "since": found.counted.since,
        "until": found.counted.until,
        "is_closed": found.is_closed,
        "arms": [
            {
                "arm": arm.value,
                "people": counts.people,
                "got_message": counts.got,
                "visitors": counts.visitors,
                "buyers": counts.buyers,
                "revenue": round(counts.revenue, 2),
                "clickers": counts.clickers,
                "openers": counts.openers,
            }
            for arm, counts in found.arms
        ],
        "comparisons": [_compared(one) for one in found.compared],
        "notes": found.notes,
    }
    return dict(ResultsOutput(body).data)


def _compared(one: Compared) -> dict[str, Any]:
    enough = one.found.enough
    return {
        "measure": one.measure.value,
        "arm": one.arm.value,
        "against": one.other.value,
        "verdict": one.found.verdict.value,
        "missing": one.found.missing,
        "difference": one.found.difference if enough else None,
        "relative": one.found.relative if enough else None,
        "always": _interval(one.found.always),
        "once": _interval(one.found.once),
        "sentence": one.sentence,
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"low": interval.low, "high": interval.high}


class RunResultsView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ}
    required_permissions = {"GET": "campaigns.view_run"}

    @operation(
        "get_run_results",
        tag="Results",
        summary="What a run did, arm by arm",
        answers={200: ResultsOutput},
        problem_statuses=(404,),
    )
    def get(self, request: Request, run_id: int) -> Response:
        return Response(shown(report.of_run(find_run(run_id, by=person(request)))))


class CampaignResultsView(ApiView):
    required_scopes = {"GET": Scope.CAMPAIGNS_READ}
    required_permissions = {"GET": "campaigns.view_run"}

    @operation(
        "get_campaign_results",
        tag="Results",
        summary="What all runs of a campaign did together",
        answers={200: ResultsOutput},
        problem_statuses=(404,),
    )
    def get(self, request: Request, slug: str) -> Response:
        return Response(shown(report.of_campaign(find_campaign(slug, by=person(request)))))
