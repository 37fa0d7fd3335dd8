"""Approval by sample over the API: what would be drawn, drawing, and deciding each group by what was read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access
from campaigns.api.runs import find as find_run
from campaigns.models import Channel, ReviewPolicy
from generation.models import Reading, Risk, SampleDraw, SamplePlan, SampleStratum, StratumState
from generation.review import sampling, sampling_plans
from generation.review.sample_groups import groups_of
from generation.review.sample_standing import standings
from personalize.core.api import ApiView, Input, Output, one, person, read, read_query
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

_COVERED = (Reading.COVERED, Reading.LEFT, Reading.UNREAD)


class PromiseInput(Input):
    confidence = serializers.DecimalField(
        max_digits=6, decimal_places=2, min_value=Decimal(50), max_value=Decimal("99.99"), default=Decimal(95),
        help_text="How sure, in percent",
    )  # fmt: skip
    bad_in_100 = serializers.DecimalField(
        max_digits=5, decimal_places=2, min_value=Decimal("0.1"), max_value=Decimal(50), default=Decimal(5),
        help_text="That fewer than so many of 100 of the unread are bad",
    )  # fmt: skip


class DrawInput(PromiseInput):
    taste_counts = serializers.BooleanField(
        default=False, help_text="Whether a rejection for taste fails a group as well"
    )


class DecideGroupInput(Input):
    verdict = NamedChoice([("pass", "Pass"), ("fail", "Fail")], schema="SampleVerdict")
    write_again = serializers.BooleanField(
        default=False,
        help_text="fail only: the rest goes back to the writer instead of being read one by one",
    )
    note = serializers.CharField(default="", allow_blank=True, max_length=500)


class DropInput(Input):
    note = serializers.CharField(default="", allow_blank=True, max_length=500)


class OfferItem(Output):
    channel = NamedChoice(Channel.choices, schema="Channel")
    segment = serializers.CharField()
    writer = serializers.CharField(help_text="Model version")
    risk = NamedChoice(Risk.choices, schema="SampleRisk")
    size = serializers.IntegerField()
    to_read = serializers.IntegerField()


class DrawnItem(Output):
    id = serializers.IntegerField(help_text="Piece")
    revision = serializers.IntegerField(help_text="As drawn: decide on this one")
    reading = NamedChoice(Reading.choices, schema="SampleReading")


class GroupItem(Output):
    id = serializers.IntegerField()
    channel = NamedChoice(Channel.choices, schema="Channel")
    segment = serializers.CharField()
    writer = serializers.CharField()
    risk = NamedChoice(Risk.choices, schema="SampleRisk")
    state = NamedChoice(StratumState.choices, schema="SampleState")
    size = serializers.IntegerField()
    to_read = serializers.IntegerField()
    may_pass = serializers.BooleanField(help_text="All drawn pieces were read, and none was bad")
    why_broken = serializers.CharField(help_text="The bad pieces, while the group is open")
    statement = serializers.CharField(help_text="The risk in words, or why it failed, once it is decided")
    approved = serializers.IntegerField(help_text="Approved unread, by the decision")
    left = serializers.IntegerField(help_text="Were no longer as drawn, and stayed")
    rewritten = serializers.IntegerField()
    drawn = DrawnItem(many=True, help_text="In the order of the draw")


class PlanItem(Output):
    id = serializers.IntegerField()
    run = serializers.IntegerField(source="run_id")
    confidence = serializers.CharField(help_text="In percent")
    bad_in_100 = serializers.CharField()
    taste_counts = serializers.BooleanField()
    covered = serializers.IntegerField()
    set_aside = serializers.IntegerField(help_text="In review, to be read one by one")
    seed = serializers.IntegerField()
    fingerprint = serializers.CharField(help_text="sha256 over id, revision and hash of every text it covers")
    drawn_at = serializers.DateTimeField()
    drawn_by = serializers.CharField(source="drawn_by_name")
    closed_at = serializers.DateTimeField(allow_null=True)
    groups = GroupItem(many=True)


class SampleOutput(Output):
    run = serializers.IntegerField()
    review_policy = NamedChoice(ReviewPolicy.choices, schema="ReviewPolicy")
    offers = OfferItem(many=True, help_text="What would be drawn now")
    one_by_one = serializers.IntegerField(help_text="In review, and in no group")
    plan = PlanItem(allow_null=True, help_text="The plan that is being read")


def plan_shown(plan: SamplePlan) -> dict[str, Any]:
    strata = list(plan.strata.select_related("model_version").order_by("pk"))
    live = standings(plan, [s for s in strata if s.state == StratumState.OPEN])
    decided = SampleDraw.objects.filter(stratum__in=[s.pk for s in strata if s.pk not in live])
    kept: dict[int, list[SampleDraw]] = {}
    for draw in decided.exclude(reading__in=_COVERED).order_by("place"):
        kept.setdefault(draw.stratum_id, []).append(draw)
    revisions = (
        dict(SampleDraw.objects.filter(stratum__in=list(live)).values_list("piece_id", "revision"))
        if live
        else {}
    )
    item: Any = plan
    item.groups = [_group(s, live.get(s.pk), kept.get(s.pk, []), revisions) for s in strata]
    item.bad_in_100 = sampling_plans.percent(plan.defect_rate)
    shown = dict(PlanItem(item).data)
    return {**shown, "confidence": sampling_plans.percent(plan.confidence)}


def _group(stratum: Any, standing: Any, kept: list[SampleDraw], revisions: dict[int, int]) -> Any:
    stratum.writer = stratum.model_version.name if stratum.model_version else ""
    stratum.to_read = standing.size if standing else stratum.sample_size
    stratum.may_pass = bool(standing and standing.is_ready)
    stratum.why_broken = standing.why_broken if standing else ""
    stratum.drawn = (
        [{"id": r.piece_id, "revision": revisions[r.piece_id], "reading": r.reading} for r in standing.reads]
        if standing
        else [{"id": d.piece_id, "revision": d.revision, "reading": d.reading} for d in kept]
    )
    return stratum


def _plan(request: Request, plan_id: int) -> SamplePlan:
    rows = brand_access.visible(SamplePlan.objects.all(), request.user, "run__campaign__brand")
    found: SamplePlan = one(rows, pk=plan_id)
    return found


def _promise(sent: dict[str, Any]) -> sampling_plans.Promise:
    return sampling.promised(sent["confidence"] / 100, sent["bad_in_100"] / 100)


class RunSampleView(ApiView):
    required_scopes = {"GET": Scope.PIECES_READ, "POST": Scope.PIECES_REVIEW}
    required_permissions = {"GET": "generation.view_piece", "POST": "generation.review_piece"}

    @operation(
        "get_sample",
        tag="Samples",
        summary="What a sample of a run would be, and the one being read",
        query=PromiseInput,
        answers={200: SampleOutput},
        problem_statuses=(404,),
    )
    def get(self, request: Request, run_id: int) -> Response:
        promise = _promise(read_query(PromiseInput, request))
        run = find_run(run_id, by=request.user)
        groups = groups_of(run)
        plan = sampling.open_plan(run)
        return Response(
            {
                "run": run.pk,
                "review_policy": run.campaign.review_policy,
                "offers": [
                    {
                        "channel": group.channel,
                        "segment": group.segment,
                        "writer": group.version,
                        "risk": group.risk,
                        "size": group.size,
                        "to_read": group.sample_size(promise),
                    }
                    for group in groups.groups
                ],
                "one_by_one": groups.one_by_one,
                "plan": plan_shown(plan) if plan else None,
            }
        )

    @operation(
        "draw_sample",
        tag="Samples",
        summary="Draw a sample of what is clean and in review of a run",
        body=DrawInput,
        answers={201: PlanItem},
        problem_statuses=(404,),
        write=True,
        example={"confidence": "95", "bad_in_100": "5"},
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Read and decide each piece of `drawn` as any other, then decide the groups. Refused with `policy_forbids`
        unless the campaign's review policy is `by_sample`, `plan_open` while another is read, `nothing_to_draw`."""
        sent = read(DrawInput, request)
        run = find_run(run_id, by=request.user)
        plan = sampling.draw(
            run=run, by=person(request), promise=_promise(sent), taste_counts=sent["taste_counts"]
        )
        return Response(plan_shown(plan), status=201)


class DecideGroupView(ApiView):
    required_scopes = {"POST": Scope.PIECES_REVIEW}
    required_permissions = {"POST": "generation.review_piece"}

    @operation(
        "decide_sample_group",
        tag="Samples",
        summary="Pass or fail a group by what its sample showed",
        body=DecideGroupInput,
        answers={200: PlanItem},
        problem_statuses=(404,),
        write=True,
        example={"verdict": "pass"},
    )
    def post(self, request: Request, group_id: int) -> Response:
        """Passing approves the rest unread, each text only if it still is as drawn. Refused with `not_read`,
        `sample_broken` or `group_changed`. Failing without a bad piece needs a note that says why."""
        sent = read(DecideGroupInput, request)
        rows = brand_access.visible(SampleStratum.objects.all(), request.user, "plan__run__campaign__brand")
        stratum: SampleStratum = one(rows, pk=group_id)
        if sent["verdict"] == "pass":
            sampling.pass_group(stratum_id=stratum.pk, by=person(request), note=sent["note"])
        else:
            sampling.fail_group(
                stratum_id=stratum.pk, by=person(request), note=sent["note"], write_again=sent["write_again"]
            )
        return Response(plan_shown(_plan(request, stratum.plan_id)))


class DropSampleView(ApiView):
    required_scopes = {"POST": Scope.PIECES_REVIEW}
    required_permissions = {"POST": "generation.review_piece"}

    @operation(
        "drop_sample",
        tag="Samples",
        summary="Give an open plan up, to draw by other numbers",
        body=DropInput,
        answers={200: PlanItem},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, plan_id: int) -> Response:
        """A new draw begins with the same unread pieces; a group in which a bad piece was found fails now."""
        sent = read(DropInput, request)
        plan = _plan(request, plan_id)
        sampling.drop(plan_id=plan.pk, by=person(request), note=sent["note"])
        return Response(plan_shown(_plan(request, plan.pk)))
