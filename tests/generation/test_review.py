"""Decisions on one text: who may take them, on which text, and what they change."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns import runs
from generation import review, texts, transitions
from generation.models import Finding, Piece, PieceEvent, Status
from generation.transitions import StalePiece
from personalize.core.errors import InvalidInput, NotAllowed
from tests.factories import AdPieceFactory, PieceFactory, ProfileFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer() -> Any:
    return UserFactory(permissions=["generation.review_piece"])


@pytest.fixture
def editor() -> Any:
    return UserFactory(permissions=["generation.review_piece", "generation.edit_piece"])


def changed(piece: Piece, **fields: str) -> dict[str, Any]:
    return {**piece.fields, **fields}


# -- approve and reject ------------------------------------------------------------------------------


def test_approve_binds_the_decision_to_the_text_that_was_seen(reviewer: Any) -> None:
    piece = PieceFactory()

    done = review.approve(piece_id=piece.pk, revision=1, by=reviewer, note="good")

    assert (done.status, done.approved_hash) == (Status.APPROVED, piece.text_hash)
    assert (done.reviewed_by, done.reviewed_at is not None) == (reviewer, True)
    event = PieceEvent.objects.get()
    assert (event.actor_name, event.note, event.text_hash) == (reviewer.username, "good", piece.text_hash)


def test_approve_of_a_text_that_changed_since(reviewer: Any, editor: Any) -> None:
    piece = PieceFactory()
    review.edit(piece_id=piece.pk, revision=1, fields=changed(piece, subject="Another"), by=editor)

    with pytest.raises(StalePiece, match="new text since you opened it"):
        review.approve(piece_id=piece.pk, revision=1, by=reviewer)
    assert Piece.objects.get(pk=piece.pk).status == Status.IN_REVIEW


def test_approve_of_a_piece_that_is_gone(reviewer: Any) -> None:
    with pytest.raises(StalePiece, match="erased"):
        review.approve(piece_id=1, revision=1, by=reviewer)


def test_blocking_findings_stop_an_approval(reviewer: Any) -> None:
    piece = PieceFactory(blocking=2)

    assert not review.can_approve(piece, reviewer)
    with pytest.raises(review.Blocked, match="2 findings"):
        review.approve(piece_id=piece.pk, revision=1, by=reviewer)


def test_four_eyes(editor: Any, reviewer: Any, settings: Any) -> None:
    piece = PieceFactory()
    edited = review.edit(
        piece_id=piece.pk, revision=1, fields=changed(piece, subject="A pan for the fire tonight"), by=editor
    )
    Piece.objects.filter(pk=piece.pk).update(blocking=0)
    edited.refresh_from_db()

    assert not review.can_approve(edited, editor)
    with pytest.raises(review.OwnEdit):
        review.approve(piece_id=piece.pk, revision=2, by=editor)
    assert review.can_approve(edited, reviewer)

    settings.ALLOW_SELF_APPROVAL = True
    assert review.approve(piece_id=piece.pk, revision=2, by=editor).status == Status.APPROVED


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.IN_REVIEW], ids=str)
def test_decisions_only_on_pieces_in_review(status: Status, reviewer: Any) -> None:
    piece = PieceFactory(status=status)

    with pytest.raises(review.NotInReview):
        review.approve(piece_id=piece.pk, revision=piece.revision, by=reviewer)
    with pytest.raises(review.NotInReview):
        review.reject(piece_id=piece.pk, revision=piece.revision, by=reviewer, reason="dull")


def test_nothing_of_a_cancelled_run_is_approved(reviewer: Any) -> None:
    piece = PieceFactory()
    runs.cancel(run=piece.run, by=None)

    with pytest.raises(review.RunCancelled):
        review.approve(piece_id=piece.pk, revision=1, by=reviewer)


def test_reject_keeps_the_reason(reviewer: Any) -> None:
    piece = PieceFactory()

    done = review.reject(piece_id=piece.pk, revision=1, by=reviewer, reason="creepy", note="too close")

    assert (done.status, done.reject_reason, done.reviewed_by) == (Status.REJECTED, "creepy", reviewer)
    assert PieceEvent.objects.get().reason == "creepy"


def test_reject_without_a_known_reason(reviewer: Any) -> None:
    piece = PieceFactory()

    with pytest.raises(InvalidInput, match="Give a reason"):
        review.reject(piece_id=piece.pk, revision=1, by=reviewer, reason="")


@pytest.mark.django_db(transaction=True)
def test_two_reviewers_at_once_one_decides(race: Any) -> None:
    reviewer = UserFactory(permissions=["generation.review_piece"])
    piece = PieceFactory()
    decide = iter((review.approve, lambda **seen: review.reject(**seen, reason="dull")) * 2)

    outcomes = race(lambda: next(decide)(piece_id=piece.pk, revision=1, by=reviewer), 4)

    assert sum(isinstance(outcome, Piece) for outcome in outcomes) == 1
    assert PieceEvent.objects.count() == 1


@pytest.mark.parametrize(
    "act",
    [
        lambda piece, by: review.approve(piece_id=piece.pk, revision=1, by=by),
        lambda piece, by: review.reject(piece_id=piece.pk, revision=1, by=by, reason="dull"),
        lambda piece, by: review.edit(piece_id=piece.pk, revision=1, by=by, fields=piece.fields),
        lambda piece, by: review.write_again(piece_id=piece.pk, revision=1, by=by),
        lambda piece, by: review.reopen(piece_id=piece.pk, by=by),
        lambda piece, by: review.withdraw(piece_id=piece.pk, by=by),
        lambda piece, by: review.retry(piece_id=piece.pk, by=by),
        lambda piece, by: review.decide_many(piece_ids=[piece.pk], verdict="approve", by=by),
        lambda piece, by: review.approve_clean(run=piece.run, by=by),
    ],
    ids=["approve", "reject", "edit", "again", "reopen", "withdraw", "retry", "many", "clean"],
)
def test_every_act_needs_its_permission(act: Any) -> None:
    piece = PieceFactory()

    with pytest.raises(NotAllowed):
        act(piece, UserFactory())
    assert not PieceEvent.objects.exists()


# -- edit --------------------------------------------------------------------------------------------


def test_edit_is_a_new_revision_with_its_own_findings(editor: Any) -> None:
    piece = PieceFactory()

    done = review.edit(
        piece_id=piece.pk, revision=1, fields=changed(piece, subject="Save $40 today"), by=editor
    )

    assert (done.revision, done.status, done.edited_by) == (2, Status.IN_REVIEW, editor)
    assert done.text_hash == texts.text_hash(done.fields) != piece.text_hash
    rules = set(Finding.objects.filter(piece=piece, revision=2).values_list("rule", flat=True))
    assert "numbers.outside_values" in rules
    assert done.blocking == Finding.objects.filter(piece=piece, revision=2, severity="blocking").count() > 0
    event = PieceEvent.objects.get()
    assert (event.from_status, event.to_status, event.actor_id) == ("in_review", "in_review", editor.pk)
    assert "Save" not in event.note


def test_edit_of_an_approved_piece_takes_the_approval_back(editor: Any) -> None:
    piece = PieceFactory(status=Status.APPROVED)

    done = review.edit(piece_id=piece.pk, revision=1, fields=changed(piece, subject="Another"), by=editor)

    assert (done.status, done.approved_hash, done.reviewed_by) == (Status.IN_REVIEW, "", None)


def test_an_edit_that_changes_nothing_is_none(editor: Any) -> None:
    piece = PieceFactory(status=Status.APPROVED)

    done = review.edit(piece_id=piece.pk, revision=1, fields=dict(piece.fields), by=editor)

    assert (done.revision, done.status) == (1, Status.APPROVED)
    assert not PieceEvent.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"subject": "x", "preheader": "y", "body": "z"}, "cta"),
        ({"subject": "x", "preheader": "y", "body": "z", "cta": "c", "status": "approved"}, "status"),
        ({"subject": ["x"], "preheader": "y", "body": "z", "cta": "c"}, "subject"),
        ({"subject": "x" * 5_001, "preheader": "y", "body": "z", "cta": "c"}, "subject"),
        ({"subject": "x\x00", "preheader": "y", "body": "z", "cta": "c"}, "subject"),
    ],
    ids=["missing", "unknown", "wrong shape", "too long", "null byte"],
)
def test_edit_with_fields_that_cannot_be(fields: dict[str, Any], field: str, editor: Any) -> None:
    piece = PieceFactory()

    with pytest.raises(InvalidInput) as caught:
        review.edit(piece_id=piece.pk, revision=1, fields=fields, by=editor)
    assert caught.value.field == field


def test_edit_of_an_ad_drops_empty_items(editor: Any) -> None:
    piece = AdPieceFactory()
    fields = {"headlines": ["One pan", " ", "Two pans"], "descriptions": ["It lasts.\r\n"]}

    done = review.edit(piece_id=piece.pk, revision=1, fields=fields, by=editor)

    assert done.fields == {"headlines": ["One pan", "Two pans"], "descriptions": ["It lasts."]}


@pytest.mark.parametrize("status", ["draft", "delivering", "delivered", "rejected", "withdrawn"])
def test_edit_of_a_piece_elsewhere(status: str, editor: Any) -> None:
    piece = PieceFactory(status=status)

    assert not review.can_edit(piece, editor)
    with pytest.raises(review.NotInReview):
        review.edit(piece_id=piece.pk, revision=piece.revision, fields={}, by=editor)


def test_units_that_were_edited_away_leave_the_ledger(editor: Any) -> None:
    kept = {"label": "2", "sources": ["f2"], "text": "Every pan comes seasoned and ready to cook on."}
    gone = {"label": "S", "sources": ["f1"], "text": "A pan for the fire"}
    piece = PieceFactory(ledger=[gone, kept])

    done = review.edit(piece_id=piece.pk, revision=1, fields=changed(piece, subject="Another"), by=editor)

    assert done.ledger == [kept]


# -- write again, take back --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.IN_REVIEW, Status.REJECTED])
def test_write_again_makes_a_draft_with_another_seed(status: Status, reviewer: Any, writer: Any) -> None:
    from generation import drafting

    piece = PieceFactory(status=status)

    done = review.write_again(
        piece_id=piece.pk, revision=1, by=reviewer, steer="  mention the\nworkshop ", queue=False
    )
    assert (done.status, done.steer, done.attempts) == (Status.DRAFT, "mention the workshop", 0)
    assert done.seed != piece.seed
    assert (done.reviewed_by, done.reject_reason) == (None, "")
    assert "workshop" not in PieceEvent.objects.get().note

    assert drafting.write_piece(piece_id=piece.pk)
    done.refresh_from_db()
    assert (done.status, done.revision) == (Status.IN_REVIEW, 2)
    assert done.text_hash != piece.text_hash


def test_write_again_with_a_hint_beyond_measure(reviewer: Any) -> None:
    piece = PieceFactory()

    with pytest.raises(InvalidInput, match="200"):
        review.write_again(piece_id=piece.pk, revision=1, by=reviewer, steer="x" * 201)


@pytest.mark.parametrize(
    "steer",
    ["wish Ada a good day", "ask LOVELACE", "to countess: warmer", "take 5 off", "see shop@b.example"],
)
def test_a_hint_says_neither_who_the_reader_is_nor_a_number(reviewer: Any, steer: str) -> None:
    profile = ProfileFactory(first_name="Ada", last_name="Lovelace", email="countess@mail.example")
    piece = PieceFactory(profile=profile)

    with pytest.raises(InvalidInput) as caught:
        review.write_again(piece_id=piece.pk, revision=1, by=reviewer, steer=steer, queue=False)

    assert caught.value.field == "steer"
    piece.refresh_from_db()
    assert (piece.status, piece.steer) == (Status.IN_REVIEW, "")


@pytest.mark.parametrize("status", [Status.APPROVED, Status.REJECTED])
def test_reopen_takes_a_decision_back(status: Status, reviewer: Any) -> None:
    piece = PieceFactory(status=status)

    done = review.reopen(piece_id=piece.pk, by=reviewer)

    assert (done.status, done.approved_hash, done.reject_reason) == (Status.IN_REVIEW, "", "")
    assert (done.reviewed_by, done.reviewed_at) == (None, None)


@pytest.mark.parametrize("status", ["delivering", "delivered", "unknown", "in_review"])
def test_reopen_of_what_is_on_its_way(status: str, reviewer: Any) -> None:
    with pytest.raises(review.NotInReview):
        review.reopen(piece_id=PieceFactory(status=status).pk, by=reviewer)


def test_withdraw(reviewer: Any) -> None:
    assert review.withdraw(piece_id=PieceFactory().pk, by=reviewer).status == Status.WITHDRAWN
    with pytest.raises(transitions.InvalidTransition):
        review.withdraw(piece_id=PieceFactory(status="delivering").pk, by=reviewer)


def test_retry_gives_a_failed_draft_back_to_the_writer() -> None:
    person = UserFactory(permissions=["campaigns.launch_campaign"])
    piece = PieceFactory(status=Status.FAILED, attempts=3, error="The writer stopped.")

    done = review.retry(piece_id=piece.pk, by=person)

    assert (done.status, done.attempts, done.error) == (Status.DRAFT, 0, "")


def test_retry_leaves_failed_deliveries_alone() -> None:
    person = UserFactory(permissions=["campaigns.launch_campaign"])
    piece = PieceFactory(status=Status.FAILED, approved_hash="a" * 64)

    with pytest.raises(review.NotInReview):
        review.retry(piece_id=piece.pk, by=person)
