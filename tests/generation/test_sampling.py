"""Approval by sample: who may, what is drawn, what a reading shows, and what passes with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from campaigns import people
from campaigns.models import Campaign, Channel, ReviewPolicy, Run, RunStatus
from generation import review, transitions
from generation.models import (
    Piece,
    PieceEvent,
    Reading,
    SampleDraw,
    SamplePlan,
    SampleStratum,
    Status,
    StratumState,
)
from generation.review import bulk, rules, sample_groups, sample_standing, sampling, sampling_plans
from generation.review.sampling_plans import Promise
from personalize.core.errors import InvalidInput, NotAllowed
from tests.factories import (
    CampaignFactory,
    ModelVersionFactory,
    PieceFactory,
    ProfileFactory,
    RunFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

PROMISE = Promise(Decimal("0.8"), Decimal("0.3"))  # a handful of thirty: quick to read
EDITED = {
    "subject": "Another subject",
    "preheader": "Other words",
    "body": "All cast iron is {{discount}} off.",
    "cta": "See",
}


@pytest.fixture
def reviewer() -> User:
    return UserFactory(username="reader", permissions=["generation.review_piece"])


@pytest.fixture
def editor() -> User:
    return UserFactory(username="editor", permissions=["generation.edit_piece", "generation.review_piece"])


def a_run(count: int = 30, **piece: Any) -> Run:
    run = RunFactory(campaign=CampaignFactory(review_policy=ReviewPolicy.BY_SAMPLE))
    PieceFactory.create_batch(count, run=run, **piece)
    return run


def drawn(run: Run, by: User, **options: Any) -> tuple[SamplePlan, SampleStratum]:
    plan = sampling.draw(run=run, by=by, promise=options.pop("promise", PROMISE), **options)
    return plan, plan.strata.get()


def read_all(stratum: SampleStratum, by: User) -> list[int]:
    ids = sampling.sample_ids(stratum)
    for pk in ids:
        review.approve(piece_id=pk, revision=Piece.objects.get(pk=pk).revision, by=by)
    return ids


def reject(pk: int, by: User, reason: str = "untrue") -> None:
    review.reject(piece_id=pk, revision=Piece.objects.get(pk=pk).revision, by=by, reason=reason)


def standing(stratum: SampleStratum) -> sample_standing.Standing:
    return sample_standing.standings(stratum.plan, [stratum])[stratum.pk]


# -- drawing -----------------------------------------------------------------------------------------


def test_only_clean_pieces_that_nobody_touched_are_covered(reviewer: User, editor: User) -> None:
    run = a_run(8)
    for columns in ({"blocking": 1}, {"warnings": 2}, {"edited_by": editor}, {"status": Status.DRAFT}):
        PieceFactory(run=run, **columns)
    PieceFactory(run__campaign=run.campaign)  # of another run
    back = Piece.objects.filter(run=run, blocking=0, warnings=0, edited_by=None, status=Status.IN_REVIEW)[0]
    reject(back.pk, reviewer)
    review.reopen(piece_id=back.pk, by=reviewer)

    plan, stratum = drawn(run, reviewer)

    assert (plan.covered, plan.set_aside, stratum.size) == (7, 4, 7)
    covered = set(SampleDraw.objects.filter(stratum=stratum).values_list("piece_id", flat=True))
    assert back.pk not in covered, "what was rejected once is read by itself"
    assert sample_groups.groups_of(run).set_aside == {
        sample_groups.BLOCKED: 1,
        sample_groups.WARNED: 1,
        sample_groups.EDITED: 1,
        sample_groups.DECIDED: 1,
    }
    members = Piece.objects.filter(pk__in=covered).values_list("pk", "revision", "text_hash")
    assert plan.fingerprint == stratum.fingerprint == sampling_plans.fingerprint(members)
    assert stratum.segment == run.campaign.segment.name and stratum.model_version.name == "test-writer"


def test_groups_are_by_channel_version_and_risk(reviewer: User) -> None:
    run = a_run(0)
    other = ModelVersionFactory(name="another-writer")
    base = PieceFactory(run=run, score=0.01)
    copies = []
    for number, profile in enumerate(ProfileFactory.create_batch(119), start=1):
        copy = Piece.objects.get(pk=base.pk)
        copy.pk, copy.profile, copy.score = None, profile, number / 100
        copy.attempts = 2 if number == 119 else 1
        copies.append(copy)
    Piece.objects.bulk_create(copies)
    PieceFactory(run=run, model_version=other)
    PieceFactory(run=run, profile=None, channel=Channel.META_AD)

    plan = sampling.draw(run=run, by=reviewer, promise=PROMISE)

    kinds = {
        (s.channel, s.model_version.name, s.risk, s.size) for s in plan.strata.select_related("model_version")
    }
    assert kinds == {
        ("email", "test-writer", "ordinary", 95),
        ("email", "test-writer", "raised", 25),  # the lowest fifth, and the one that took two attempts
        ("email", "another-writer", "ordinary", 1),
        ("meta_ad", "test-writer", "ordinary", 1),
    }
    ad = plan.strata.get(channel="meta_ad")
    assert (ad.segment, ad.sample_size) == ("people looking for a pan that lasts", 1)
    raised = plan.strata.get(risk="raised")
    assert raised.sample_size == sampling_plans.sample_size(25, PROMISE)


def test_the_draw_can_be_made_again_from_the_seed(reviewer: User) -> None:
    run = a_run(20)
    plan, stratum = drawn(run, reviewer)
    texts = Piece.objects.filter(run=run).values_list("pk", "text_hash")

    order = list(
        SampleDraw.objects.filter(stratum=stratum).order_by("place").values_list("piece_id", flat=True)
    )

    assert order == sampling_plans.draw_order(plan.seed, texts)
    assert sampling.sample_ids(stratum) == order[: stratum.sample_size]


def test_drawing_again_gets_nobody_rid_of_a_piece(reviewer: User) -> None:
    run = a_run(20)
    plan, stratum = drawn(run, reviewer)
    first = sampling.sample_ids(stratum)
    with pytest.raises(sampling.PlanOpen):
        sampling.draw(run=run, by=reviewer, promise=PROMISE)

    assert sampling.drop(plan_id=plan.pk, by=reviewer) == 0
    again, other = drawn(run, reviewer, promise=Promise(Decimal("0.95"), Decimal("0.3")))

    assert again.seed == plan.seed
    assert sampling.sample_ids(other)[: len(first)] == first
    stratum.refresh_from_db()
    assert stratum.state == StratumState.DROPPED
    with pytest.raises(sampling.AlreadyDecided):
        sampling.drop(plan_id=plan.pk, by=reviewer)


def test_nothing_to_draw_and_the_policy(reviewer: User) -> None:
    run = a_run(1, warnings=1)
    with pytest.raises(sampling.NothingToDraw, match="one by one"):
        sampling.draw(run=run, by=reviewer, promise=PROMISE)
    Piece.objects.all().update(status=Status.DRAFT)
    with pytest.raises(sampling.NothingToDraw, match="in review"):
        sampling.draw(run=run, by=reviewer, promise=PROMISE)
    Run.objects.update(status=RunStatus.CANCELLED)
    with pytest.raises(rules.RunCancelled):
        sampling.draw(run=run, by=reviewer, promise=PROMISE)
    for policy in (ReviewPolicy.READ_ALL, ReviewPolicy.CLEAN_TOGETHER):
        Campaign.objects.update(review_policy=policy)
        with pytest.raises(bulk.PolicyForbids):
            sampling.draw(run=run, by=reviewer, promise=PROMISE)
    with pytest.raises(InvalidInput):
        sampling.promised(Decimal("1.5"), Decimal("0.05"))


@pytest.mark.parametrize("permissions", [[], ["generation.edit_piece", "campaigns.launch_campaign"]])
def test_nobody_without_the_permission_to_review(permissions: list[str], reviewer: User) -> None:
    run = a_run(6)
    other = UserFactory(permissions=permissions)
    with pytest.raises(NotAllowed):
        sampling.draw(run=run, by=other, promise=PROMISE)
    plan, stratum = drawn(run, reviewer)
    read_all(stratum, reviewer)
    for deed in (
        lambda: sampling.pass_group(stratum_id=stratum.pk, by=other),
        lambda: sampling.fail_group(stratum_id=stratum.pk, by=other, note="so", write_again=True),
        lambda: sampling.drop(plan_id=plan.pk, by=other),
    ):
        with pytest.raises(NotAllowed):
            deed()
    stratum.refresh_from_db()
    assert stratum.state == StratumState.OPEN


def test_by_sample_lets_nothing_through_together(reviewer: User) -> None:
    run = a_run(3)

    result = review.decide_many(verdict="approve", by=reviewer, queryset=Piece.objects.filter(run=run))

    assert result.approved == 0 and len(result.refused) == 3
    assert all("sample" in why for why in result.refused.values())
    with pytest.raises(bulk.PolicyForbids):
        review.approve_clean(run=run, by=reviewer)


# -- passing -----------------------------------------------------------------------------------------


def test_a_good_sample_passes_the_rest(reviewer: User) -> None:
    run = a_run()
    plan, stratum = drawn(run, reviewer)
    with pytest.raises(sampling.NotRead):
        sampling.pass_group(stratum_id=stratum.pk, by=reviewer)
    ids = read_all(stratum, reviewer)
    assert standing(stratum).is_ready

    passed = sampling.pass_group(stratum_id=stratum.pk, by=reviewer, note="fine")

    assert 1 < len(ids) < 12
    assert (passed.approved, passed.left) == (30 - len(ids), {})
    assert set(Piece.objects.filter(run=run).values_list("status", flat=True)) == {Status.APPROVED}
    covered = Piece.objects.filter(run=run).exclude(pk__in=ids)
    assert all(piece.approved_hash == piece.text_hash and piece.reviewed_by == reviewer for piece in covered)
    events = PieceEvent.objects.filter(piece_id__in=covered.values("pk"))
    assert len(events) == len(covered)
    told = f"approved by sample: plan {plan.pk}, group {stratum.pk}, {len(ids)} of 30 read and none bad. fine"
    assert {(e.note, e.actor_name, e.to_status) for e in events} == {(told, "reader", "approved")}
    stratum.refresh_from_db()
    plan.refresh_from_db()
    assert (stratum.state, stratum.approved, stratum.left, stratum.decided_by) == (
        "passed",
        30 - len(ids),
        0,
        reviewer,
    )
    assert f"{len(ids)} of 30 were drawn at random and read" in stratum.statement
    assert "80 % sure" in stratum.statement and plan.closed_at is not None
    read = SampleDraw.objects.filter(stratum=stratum, reading=Reading.GOOD)
    assert {(r.piece_id, r.read_by_name) for r in read} == {(pk, "reader") for pk in ids}
    assert all(r.read_at is not None for r in read)
    assert SampleDraw.objects.filter(stratum=stratum, reading=Reading.COVERED).count() == 30 - len(ids)
    with pytest.raises(sampling.AlreadyDecided, match="passed, by reader"):
        sampling.pass_group(stratum_id=stratum.pk, by=reviewer)


def test_what_changed_since_the_draw_stays_and_is_named(reviewer: User, editor: User) -> None:
    run = a_run(60)
    _, stratum = drawn(run, reviewer)
    ids = read_all(stratum, reviewer)
    rest = list(Piece.objects.filter(run=run).exclude(pk__in=ids).order_by("pk"))
    edited, rejected, undone, erased = rest[:4]
    review.edit(piece_id=edited.pk, revision=1, fields=EDITED, by=editor)
    reject(rejected.pk, reviewer, "dull")
    reject(undone.pk, reviewer)
    review.reopen(piece_id=undone.pk, by=reviewer)
    people.erase(external_id=erased.profile.external_id, by=None)

    passed = sampling.pass_group(stratum_id=stratum.pk, by=reviewer)

    assert passed.approved == 60 - len(ids) - 4
    assert passed.left == {
        edited.pk: "It has a new text since the draw.",
        rejected.pk: "It is rejected since the draw.",
        undone.pk: "Something was decided on it since the draw, and taken back.",
        erased.pk: "It is gone: its reader was erased.",
    }
    statuses = dict(Piece.objects.filter(run=run).values_list("pk", "status"))
    assert statuses[edited.pk] == statuses[undone.pk] == Status.IN_REVIEW
    left = SampleDraw.objects.filter(stratum=stratum, reading=Reading.LEFT).values_list("piece_id", flat=True)
    assert set(left) == set(passed.left)


def test_too_much_changed(reviewer: User) -> None:
    run = a_run(30)
    _, stratum = drawn(run, reviewer)
    ids = read_all(stratum, reviewer)
    for piece in Piece.objects.filter(run=run).exclude(pk__in=ids)[:4]:
        review.approve(piece_id=piece.pk, revision=piece.revision, by=reviewer)

    with pytest.raises(sampling.GroupChanged):
        sampling.pass_group(stratum_id=stratum.pk, by=reviewer)
    assert Piece.objects.filter(run=run, status=Status.APPROVED).count() == len(ids) + 4


def test_the_policy_and_the_run_are_asked_again_when_it_passes(reviewer: User) -> None:
    run = a_run(6)
    _, stratum = drawn(run, reviewer)
    read_all(stratum, reviewer)
    Campaign.objects.update(review_policy=ReviewPolicy.READ_ALL)
    with pytest.raises(bulk.PolicyForbids):
        sampling.pass_group(stratum_id=stratum.pk, by=reviewer)
    Campaign.objects.update(review_policy=ReviewPolicy.BY_SAMPLE)
    Run.objects.update(status=RunStatus.CANCELLED)
    with pytest.raises(rules.RunCancelled):
        sampling.pass_group(stratum_id=stratum.pk, by=reviewer)


def test_a_small_group_is_read_whole(reviewer: User) -> None:
    _, stratum = drawn(a_run(2), reviewer)
    assert stratum.sample_size == 2
    read_all(stratum, reviewer)

    passed = sampling.pass_group(stratum_id=stratum.pk, by=reviewer)

    assert passed.approved == 0 and "nothing was approved unread" in passed.statement


def test_an_erased_reader_is_replaced_by_the_next_of_the_order(reviewer: User) -> None:
    run = a_run(30)
    _, stratum = drawn(run, reviewer)
    order = list(
        SampleDraw.objects.filter(stratum=stratum).order_by("place").values_list("piece_id", flat=True)
    )
    n = stratum.sample_size
    people.erase(external_id=Piece.objects.get(pk=order[1]).profile.external_id, by=None)

    assert sampling.sample_ids(stratum) == [order[0], *order[2 : n + 1]]
    read_all(stratum, reviewer)
    passed = sampling.pass_group(stratum_id=stratum.pk, by=reviewer)

    assert passed.approved == 30 - n - 1
    assert SampleDraw.objects.get(stratum=stratum, piece_id=order[1]).reading == Reading.GONE


# -- failing -----------------------------------------------------------------------------------------


def _edit(pk: int, by: User) -> None:
    review.edit(piece_id=pk, revision=1, fields=EDITED, by=by)


BAD: dict[str, Callable[[int, User], object]] = {
    "untrue": lambda pk, by: reject(pk, by, "untrue"),
    "senseless": lambda pk, by: reject(pk, by, "senseless"),
    "reader": lambda pk, by: reject(pk, by, "reader"),
    "creepy": lambda pk, by: reject(pk, by, "creepy"),
    "other": lambda pk, by: reject(pk, by, "other"),
    "changed": _edit,
    "again": lambda pk, by: review.write_again(piece_id=pk, revision=1, by=by, queue=False),
    "taken_out": lambda pk, by: review.withdraw(piece_id=pk, by=by),
}


@pytest.mark.parametrize("how", list(BAD))
def test_one_bad_piece_breaks_the_sample(how: str, editor: User) -> None:
    run = a_run(12)
    _, stratum = drawn(run, editor)
    first, *others = sampling.sample_ids(stratum)
    BAD[how](first, editor)
    for pk in others:
        review.approve(piece_id=pk, revision=1, by=editor)

    found = standing(stratum)
    assert found.is_broken and not found.is_ready and [r.reason for r in found.bad] == [how]
    with pytest.raises(sampling.SampleBroken, match=f"piece {first}"):
        sampling.pass_group(stratum_id=stratum.pk, by=editor)
    assert Piece.objects.filter(run=run, status=Status.APPROVED).count() == len(others)


@pytest.mark.parametrize(("counts", "broken"), [(False, False), (True, True)])
def test_taste_counts_as_the_plan_says(counts: bool, broken: bool, reviewer: User) -> None:
    run = a_run(30)
    _, stratum = drawn(run, reviewer, taste_counts=counts)
    first, second, *others = sampling.sample_ids(stratum)
    reject(first, reviewer, "dull")
    reject(second, reviewer, "voice")
    for pk in others:
        review.approve(piece_id=pk, revision=1, by=reviewer)

    assert standing(stratum).is_broken is broken
    if broken:
        with pytest.raises(sampling.SampleBroken):
            sampling.pass_group(stratum_id=stratum.pk, by=reviewer)
    else:
        review.write_again(piece_id=first, revision=1, by=reviewer, queue=False)
        passed = sampling.pass_group(stratum_id=stratum.pk, by=reviewer)
        assert passed.approved == 30 - stratum.sample_size
        assert "2 were rejected for taste" in passed.statement


def test_a_rejection_cannot_be_washed_off(reviewer: User, editor: User) -> None:
    """Only who rejected it by mistake takes it back, and only for a few minutes."""
    _, stratum = drawn(a_run(12), reviewer)
    first = sampling.sample_ids(stratum)[0]
    reject(first, reviewer)
    review.reopen(piece_id=first, by=reviewer)
    assert not standing(stratum).is_broken, "a slip of the finger"

    reject(first, reviewer)
    review.reopen(piece_id=first, by=editor)
    assert standing(stratum).is_broken, "taken back by somebody else"
    review.approve(piece_id=first, revision=1, by=editor)
    assert standing(stratum).is_broken


def test_a_late_change_of_mind_counts_as_well(reviewer: User) -> None:
    import time_machine

    _, stratum = drawn(a_run(12), reviewer)
    first = sampling.sample_ids(stratum)[0]
    reject(first, reviewer)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        review.reopen(piece_id=first, by=reviewer)
    assert standing(stratum).is_broken


def test_an_approval_taken_back_is_unread_again(reviewer: User) -> None:
    _, stratum = drawn(a_run(12), reviewer)
    ids = read_all(stratum, reviewer)
    review.reopen(piece_id=ids[0], by=reviewer)

    assert standing(stratum).next_id == ids[0]
    with pytest.raises(sampling.NotRead):
        sampling.pass_group(stratum_id=stratum.pk, by=reviewer)


def test_a_failed_group_is_read_one_by_one(reviewer: User) -> None:
    run = a_run(12)
    plan, stratum = drawn(run, reviewer)
    reject(sampling.sample_ids(stratum)[0], reviewer)

    assert sampling.fail_group(stratum_id=stratum.pk, by=reviewer) == 0

    stratum.refresh_from_db()
    plan.refresh_from_db()
    assert stratum.state == StratumState.FAILED and plan.closed_at is not None
    assert "rejected: says something that is not so, by reader" in stratum.statement
    with pytest.raises(sampling.NothingToDraw):
        sampling.draw(run=run, by=reviewer, promise=PROMISE)
    assert sample_groups.groups_of(run).set_aside == {sample_groups.FAILED: 11}
    review.approve(piece_id=Piece.objects.filter(run=run, status="in_review")[0].pk, revision=1, by=reviewer)


def test_a_failed_group_is_written_again(
    reviewer: User, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(12)
    _, stratum = drawn(run, reviewer)
    ids = sampling.sample_ids(stratum)
    reject(ids[0], reviewer)
    review.approve(piece_id=ids[1], revision=1, by=reviewer)
    seeds = dict(Piece.objects.filter(run=run).values_list("pk", "seed"))
    woken: list[int] = []
    monkeypatch.setattr("generation.drafting.enqueue", lambda *, run_id: woken.append(run_id))

    with django_capture_on_commit_callbacks(execute=True):
        moved = sampling.fail_group(stratum_id=stratum.pk, by=reviewer, write_again=True)

    assert moved == 10 and woken == [run.pk]
    drafts = Piece.objects.filter(run=run, status=Status.DRAFT)
    assert len(drafts) == 10 and all(piece.seed != seeds[piece.pk] for piece in drafts)
    event = PieceEvent.objects.filter(piece_id=drafts[0].pk).latest("pk")
    assert f"group {stratum.pk} of plan {stratum.plan_id} failed" in event.note
    for piece in drafts:  # the writer's new text may be drawn
        Piece.objects.filter(pk=piece.pk).update(status="in_review", revision=2, text_hash=f"{piece.pk:064x}")
    assert sampling.draw(run=run, by=reviewer, promise=PROMISE).covered == 10


def test_failing_without_a_bad_piece_needs_a_reason(reviewer: User) -> None:
    _, stratum = drawn(a_run(6), reviewer)
    with pytest.raises(InvalidInput):
        sampling.fail_group(stratum_id=stratum.pk, by=reviewer, note="  ")
    sampling.fail_group(stratum_id=stratum.pk, by=reviewer, note="the brief was wrong")
    stratum.refresh_from_db()
    assert (stratum.state, stratum.note) == ("failed", "the brief was wrong")


def test_dropping_a_plan_does_not_hide_a_bad_piece(reviewer: User) -> None:
    run = a_run(12)
    plan, stratum = drawn(run, reviewer)
    reject(sampling.sample_ids(stratum)[0], reviewer)

    assert sampling.drop(plan_id=plan.pk, by=reviewer) == 1

    stratum.refresh_from_db()
    assert stratum.state == StratumState.FAILED
    with pytest.raises(sampling.NothingToDraw):
        sampling.draw(run=run, by=reviewer, promise=PROMISE)


def test_four_eyes_hold(editor: User) -> None:
    """Who edited a text cannot approve it by way of a sample either: edited texts belong to none."""
    run = a_run(20)
    review.edit(piece_id=Piece.objects.filter(run=run)[0].pk, revision=1, fields=EDITED, by=editor)
    _, stratum = drawn(run, editor)
    ids = read_all(stratum, editor)
    late = Piece.objects.filter(run=run, edited_by=None).exclude(pk__in=ids)[0]
    review.edit(piece_id=late.pk, revision=1, fields=EDITED, by=editor)

    sampling.pass_group(stratum_id=stratum.pk, by=editor)

    own = Piece.objects.filter(run=run, edited_by=editor)
    assert len(own) == 2 and {piece.status for piece in own} == {Status.IN_REVIEW}


def test_standing_takes_few_queries(reviewer: User, django_assert_num_queries: Any) -> None:
    run = a_run(30)
    plan, stratum = drawn(run, reviewer)
    with django_assert_num_queries(3):
        sample_standing.standings(plan, [stratum])


# -- races -------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_draws_at_once_make_one_plan(race: Callable[..., list[Any]]) -> None:
    reviewer = UserFactory(permissions=["generation.review_piece"])
    run = a_run(10)

    results = race(lambda: sampling.draw(run=run, by=reviewer, promise=PROMISE), 4)

    assert sum(isinstance(result, SamplePlan) for result in results) == 1
    assert sum(isinstance(result, sampling.PlanOpen) for result in results) == 3
    assert SampleDraw.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_two_reviewers_pass_at_once(race: Callable[..., list[Any]]) -> None:
    reviewer = UserFactory(permissions=["generation.review_piece"])
    run = a_run(20)
    _, stratum = drawn(run, reviewer)
    read_all(stratum, reviewer)
    before = PieceEvent.objects.count()

    results = race(lambda: sampling.pass_group(stratum_id=stratum.pk, by=reviewer), 8)

    assert sum(isinstance(result, sampling.Passed) for result in results) == 1
    assert sum(isinstance(result, sampling.AlreadyDecided) for result in results) == 7
    assert PieceEvent.objects.count() - before == 20 - stratum.sample_size, "one audit row each"


def together(race: Callable[..., list[Any]], *deeds: Callable[[], Any]) -> list[Any]:
    """Each deed from a thread of its own, at the same moment."""
    waiting = list(deeds)
    return race(lambda: waiting.pop()(), len(deeds))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("edits", [3, 7])
def test_edits_while_it_passes(edits: int, race: Callable[..., list[Any]]) -> None:
    """Some threads edit the rest, one passes. Whatever order they come in, no edited text is approved."""
    editor = UserFactory(permissions=["generation.edit_piece", "generation.review_piece"])
    run = a_run(90)
    _, stratum = drawn(run, editor)
    ids = read_all(stratum, editor)
    targets = list(Piece.objects.filter(run=run).exclude(pk__in=ids).order_by("pk")[:edits])

    def edit(pk: int) -> Callable[[], Any]:
        return lambda: review.edit(piece_id=pk, revision=1, fields=EDITED, by=editor)

    results = together(
        race,
        *(edit(piece.pk) for piece in targets),
        lambda: sampling.pass_group(stratum_id=stratum.pk, by=editor),
    )

    errors = [r for r in results if isinstance(r, Exception) and not isinstance(r, transitions.StalePiece)]
    assert errors == []
    passed = next(r for r in results if isinstance(r, sampling.Passed))
    for piece in Piece.objects.filter(pk__in=[target.pk for target in targets]):
        # An edit after the pass takes the piece back into review; one before it was left alone.
        assert piece.revision == 1 or piece.status == Status.IN_REVIEW
        if piece.pk in passed.left:
            assert (piece.revision, piece.status) == (2, Status.IN_REVIEW)
    approved = Piece.objects.filter(run=run, status=Status.APPROVED)
    assert all(piece.approved_hash == piece.text_hash and piece.revision == 1 for piece in approved)
    seen = SampleDraw.objects.filter(stratum=stratum).values_list("piece_id", "text_hash")
    decided = PieceEvent.objects.filter(run_id=run.pk, to_status="approved").values_list(
        "piece_id", "text_hash"
    )
    assert set(decided) <= set(seen), "nothing was approved but what was drawn"


@pytest.mark.django_db(transaction=True)
def test_a_rejection_while_it_passes(race: Callable[..., list[Any]]) -> None:
    """The last drawn piece is approved, or rejected, while somebody passes: never both bad and passed."""
    reviewer = UserFactory(permissions=["generation.review_piece"])
    for _ in range(3):
        run = a_run(12)
        _, stratum = drawn(run, reviewer)
        *others, last = sampling.sample_ids(stratum)
        for pk in others:
            review.approve(piece_id=pk, revision=1, by=reviewer)

        def passing(pk: int = stratum.pk) -> Any:
            return sampling.pass_group(stratum_id=pk, by=reviewer)

        def rejecting(pk: int = last) -> Any:
            return review.reject(piece_id=pk, revision=1, by=reviewer, reason="untrue")

        def approving(pk: int = last) -> Any:
            return review.approve(piece_id=pk, revision=1, by=reviewer)

        together(race, passing, rejecting, approving)

        stratum.refresh_from_db()
        approved = Piece.objects.filter(run=run, status=Status.APPROVED).count()
        status = Piece.objects.get(pk=last).status
        if stratum.state == StratumState.PASSED:
            assert (status, approved) == (Status.APPROVED, 12)
        else:
            assert approved == len(others) + (status == Status.APPROVED)
