"""Planted pieces: look like any other, are never sent by any road, and count for who decided."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from campaigns.models import ReviewPolicy, RunStatus
from delivery import claiming, exports, sending
from delivery.models import Delivery
from generation import faults, planting, review, texts, transitions
from generation.drafting import launching
from generation.drafting.progress import progress
from generation.models import Fault, How, Outcome, Piece, PieceEvent, Plant, PlantingRate, Status
from personalize.core.errors import InvalidInput, NotAllowed
from tests.factories import CampaignFactory, PieceFactory, RunFactory, SuperuserFactory, UserFactory

pytestmark = pytest.mark.django_db

BODY = (
    "Good morning {{first_name}},\n\nThe kettle is quiet and the tea is ready before you are. "
    "It sits on any stove that you have at home. You can see it in the shop with your own eyes."
)


@pytest.fixture
def root() -> Any:
    return SuperuserFactory()


@pytest.fixture
def reviewer() -> Any:
    return UserFactory(permissions=["generation.review_piece", "generation.edit_piece"])


@pytest.fixture
def run() -> Any:
    return RunFactory(campaign=CampaignFactory(review_policy=ReviewPolicy.CLEAN_TOGETHER))


def planted(run: Any, *, fault: Fault = Fault.PROMISE, **given: Any) -> Piece:
    """One planted piece, its fault the last sentence; made by hand, so that each test knows its text."""
    given = {"planted": True, **given}
    piece = PieceFactory(run=run, **given)
    said = "We return what you paid."
    piece.fields = {**piece.fields, "body": f"{piece.fields['body']} {said}"}
    piece.text_hash = texts.text_hash(piece.fields)
    piece.save()
    body = piece.fields["body"]
    Plant.objects.create(
        piece_id=piece.pk, run=run, fault=fault, field="body", start=len(body) - len(said), end=len(body),
        planted_by=SuperuserFactory(),
    )  # fmt: skip
    return piece


def outcome(piece: Piece) -> tuple[str, str, Any]:
    row = Plant.objects.get(piece_id=piece.pk)
    return row.outcome, row.how, row.decided_by


# -- never sent --------------------------------------------------------------------------------------


def test_the_database_itself_refuses_every_state_but_two(run: Any) -> None:
    piece = planted(run)
    for status in set(Status) - {Status.IN_REVIEW, Status.WITHDRAWN}:
        with pytest.raises(IntegrityError, match="piece_planted_never_approved"), transaction.atomic():
            connection.cursor().execute(
                "UPDATE generation_piece SET status = %s, approved_hash = text_hash, delivered_at = now() "
                "WHERE id = %s",
                [status, piece.pk],
            )


@pytest.mark.parametrize("to", [s for s in Status if s is not Status.WITHDRAWN], ids=str)
def test_no_transition_moves_it_but_out(run: Any, to: Status) -> None:
    piece = planted(run)

    with pytest.raises(transitions.InvalidTransition):
        transitions.advance(piece, to, approved_hash=piece.text_hash)
    if to in transitions.TRANSITIONS[Status.IN_REVIEW]:
        assert transitions.advance_many(Piece.everything.all(), to, was=Status.IN_REVIEW) == []
    assert Piece.everything.get().status == Status.IN_REVIEW


def test_it_is_sent_by_no_road(run: Any, root: Any, settings: Any, tmp_path: Any) -> None:
    """Approved one by one, together, all that is clean, by the command's call, by export and by delivery."""
    settings.OUTPUT_DIR = tmp_path
    one, many, left = planted(run), planted(run), planted(run)
    real = PieceFactory(run=run)
    sms = planted(run, channel="sms", fields={"text": "x", "body": "x"})
    run.released_at, run.released_by = timezone.now(), root
    run.save()

    review.approve(piece_id=one.pk, revision=1, by=root)
    together = review.decide_many(verdict="approve", by=root, piece_ids=[many.pk, real.pk])
    clean = review.approve_clean(run=run, by=root)
    with pytest.raises(sending.NotSent):
        sending.deliver(piece_id=left.pk)
    for file in exports.export_run(run=run, by=root):
        assert file.rows == 0
    claimed = claiming.due(now=timezone.now(), channels=["email", "sms"])

    assert (together.approved, together.planted, clean.approved) == (1, 1, 0)
    assert list(claimed.values_list("pk", flat=True)) == [real.pk]
    for piece in (one, many, left, sms):
        row = Piece.everything.get(pk=piece.pk)
        assert row.status in (Status.IN_REVIEW, Status.WITHDRAWN) and row.approved_hash == ""
    assert not Delivery.objects.filter(piece__planted=True).exists()


def test_it_counts_nowhere(run: Any) -> None:
    real = PieceFactory(run=run)
    planted(run)

    assert list(run.pieces.all()) == [real] and list(Piece.objects.all()) == [real]
    assert review.clean_revisions(run) == {real.pk: 1}
    counted = progress(run)
    assert counted.total == 1 and counted.counts[Status.IN_REVIEW] == 1
    assert Piece.everything.count() == 2


# -- deciding ----------------------------------------------------------------------------------------


def test_approving_one_is_a_miss_and_the_reviewer_learns_what_was_wrong(run: Any, reviewer: Any) -> None:
    piece = planted(run)

    done = review.approve(piece_id=piece.pk, revision=1, by=reviewer, seconds=1)

    assert (done.status, done.reviewed_by) == (Status.WITHDRAWN, reviewer)
    assert outcome(piece) == (Outcome.MISSED, How.READ, reviewer)
    told = planting.told(done)
    assert told is not None and (told.words, told.caught) == ("We return what you paid.", False)
    event = PieceEvent.objects.get(piece_id=piece.pk)
    assert (event.to_status, event.reason, event.actor_name) == (
        Status.WITHDRAWN, "plant_missed", reviewer.username,
    )  # fmt: skip


def test_rejecting_sending_back_and_mending_are_catches(run: Any, reviewer: Any) -> None:
    rejected, again, mended, kept = (planted(run) for _ in range(4))

    review.reject(piece_id=rejected.pk, revision=1, by=reviewer, reason="untrue")
    review.write_again(piece_id=again.pk, revision=1, by=reviewer)
    good = {**mended.fields, "body": mended.fields["body"].replace(" We return what you paid.", "")}
    review.edit(piece_id=mended.pk, revision=1, fields=good, by=reviewer)
    bad = {**kept.fields, "body": f"Well. {kept.fields['body']}"}
    review.edit(piece_id=kept.pk, revision=1, fields=bad, by=reviewer)

    for piece in (rejected, again, mended):
        assert outcome(piece) == (Outcome.CAUGHT, How.READ, reviewer)
        assert Piece.everything.get(pk=piece.pk).status == Status.WITHDRAWN
    assert outcome(kept) == (Outcome.OPEN, "", None)  # the fault is still in it: another has to see it
    other = UserFactory(permissions=["generation.review_piece"])
    done = review.approve(piece_id=kept.pk, revision=2, by=other)
    told = planting.told(done)
    assert told is not None and told.words == "We return what you paid."


def test_together_is_kept_apart_and_decided_once(run: Any, reviewer: Any) -> None:
    missed, caught = planted(run), planted(run)

    result = review.decide_many(verdict="approve", by=reviewer, piece_ids=[missed.pk])
    review.decide_many(verdict="reject", by=reviewer, piece_ids=[caught.pk], reason="dull")
    again = review.decide_many(verdict="approve", by=reviewer, piece_ids=[missed.pk, caught.pk])

    assert "1 planted to see who reads" in str(result)
    assert outcome(missed) == (Outcome.MISSED, How.TOGETHER, reviewer)
    assert outcome(caught) == (Outcome.CAUGHT, How.TOGETHER, reviewer)
    assert (again.planted, again.changed) == (0, 2)
    with pytest.raises(review.NotInReview):
        review.reopen(piece_id=missed.pk, by=reviewer)


def test_what_nobody_decided_is_not_counted(run: Any, root: Any) -> None:
    withdrawn, cancelled = planted(run), planted(RunFactory())
    alone, erased = planted(RunFactory()), planted(run)
    PieceFactory(run=run)

    review.withdraw(piece_id=withdrawn.pk, by=root)
    launching.cancel(run=cancelled.run, by=root)
    erased.profile.delete()
    planting.retire()

    for piece in (withdrawn, cancelled, alone, erased):
        assert outcome(piece)[0] == Outcome.VOID
    assert set(Piece.everything.filter(planted=True).values_list("status", flat=True)) == {Status.WITHDRAWN}


# -- planting ----------------------------------------------------------------------------------------


def test_planting_follows_the_rate_and_looks_like_any_other(run: Any, root: Any) -> None:
    for _ in range(20):
        good = PieceFactory(run=run, score=0.7).fields["body"]
    planting.set_rate(campaign=run.campaign, percent=10, by=root)

    assert planting.sweep() == 2
    assert planting.sweep() == 0

    made = list(Piece.everything.filter(planted=True))
    assert len(made) == Plant.objects.count() == 2
    for piece in made:
        assert (piece.status, piece.blocking, piece.score) == (Status.IN_REVIEW, 0, 0.7)
        assert piece.fields["body"] != good and piece.model_version is not None and piece.reader
        event = PieceEvent.objects.get(piece_id=piece.pk)
        assert (event.reason, event.actor_name, event.from_status) == ("planted", root.username, "")
        assert planting.told(piece) is None  # nobody learns it before deciding
    run.status = RunStatus.PAUSED
    run.save()
    PlantingRate.objects.update(percent=20)
    assert planting.sweep() == 0


def test_planting_needs_the_permission_and_a_small_rate(run: Any, root: Any, reviewer: Any) -> None:
    with pytest.raises(NotAllowed):
        planting.set_rate(campaign=run.campaign, percent=1, by=reviewer)
    with pytest.raises(NotAllowed):
        planting.plant(run=run, count=1, by=reviewer)
    with pytest.raises(InvalidInput):
        planting.set_rate(campaign=run.campaign, percent=21, by=root)
    assert not PlantingRate.objects.exists()  # off unless somebody sets it


def test_every_fault_is_where_it_says() -> None:
    fields: dict[str, str | list[str]] = {"subject": "A quiet kettle", "body": BODY}
    other: dict[str, str | list[str]] = {
        "subject": "Boots",
        "body": "Boots for the hills are in the shop now.",
    }
    seen = set()
    for seed in range(30):
        for made in faults.attempts(fields, other=other, rng=random.Random(seed)):
            words = faults.fragment(
                made.fields, field=made.field, index=made.index, start=made.start, end=made.end
            )
            assert words and words not in BODY and made.fields != fields
            assert faults.locate(made.fields, words) is not None
            seen.add(made.fault)
    assert seen == set(Fault)


def test_a_hasty_decision_is_marked_and_not_stopped(run: Any, reviewer: Any, settings: Any) -> None:
    settings.REVIEW_WORDS_PER_SECOND = 10
    body = " ".join(["word"] * 200)
    quick, slow, unmeasured = (
        PieceFactory(run=run, fields={"subject": "", "preheader": "", "body": body, "cta": ""}) for _ in "123"
    )

    review.approve(piece_id=quick.pk, revision=1, by=reviewer, seconds=19)
    review.approve(piece_id=slow.pk, revision=1, by=reviewer, seconds=20)
    review.approve(piece_id=unmeasured.pk, revision=1, by=reviewer)

    rows = PieceEvent.objects.order_by("pk").values_list("seconds", "is_hasty")
    assert list(rows) == [(19, True), (20, False), (None, False)]
    assert Piece.objects.filter(status=Status.APPROVED).count() == 3
