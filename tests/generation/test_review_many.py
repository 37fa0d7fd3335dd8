"""Decisions on many texts together."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns.models import ReviewPolicy
from generation import review
from generation.models import Piece, PieceEvent, Status
from generation.review.bulk import PolicyForbids
from personalize.core.errors import InvalidInput
from tests.factories import CampaignFactory, ModelVersionFactory, PieceFactory, RunFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer() -> Any:
    return UserFactory(permissions=["generation.review_piece"])


def test_each_piece_is_decided_or_says_why_not(reviewer: Any) -> None:
    clean = PieceFactory()
    blocked = PieceFactory(blocking=1)
    own = PieceFactory(edited_by=reviewer)
    decided = PieceFactory(status=Status.APPROVED)
    newer = PieceFactory(revision=3)
    gone = 999_999
    seen = {piece.pk: 1 for piece in (clean, blocked, own, decided, newer)} | {gone: 1}

    result = review.decide_many(verdict="approve", by=reviewer, revisions=seen, note="all good")

    assert (result.approved, result.changed, result.blocked) == (1, 3, 1)
    assert set(result.refused) == {blocked.pk, own.pk, decided.pk, newer.pk, gone}
    assert "somebody else" in result.refused[own.pk]
    assert str(result) == "1 approved, 3 had changed, 1 blocked by findings, 1 not allowed"
    clean.refresh_from_db()
    assert (clean.status, clean.approved_hash) == (Status.APPROVED, clean.text_hash)
    event = PieceEvent.objects.get()
    assert (event.piece_id, event.note, event.actor_id) == (clean.pk, "all good", reviewer.pk)


def test_together_only_where_the_policy_allows_and_never_with_a_finding(reviewer: Any) -> None:
    clean, warned = PieceFactory(), PieceFactory(warnings=1)
    to_read = PieceFactory(run__campaign=CampaignFactory(review_policy=ReviewPolicy.READ_ALL))

    result = review.decide_many(queryset=Piece.objects.all(), verdict="approve", by=reviewer)

    assert list(Piece.objects.filter(status=Status.APPROVED)) == [clean]
    assert "wants every piece read" in result.refused[to_read.pk]
    assert "has findings" in result.refused[warned.pk]
    review.approve(piece_id=to_read.pk, revision=to_read.revision, by=reviewer)
    to_read.refresh_from_db()
    assert to_read.status == Status.APPROVED, "opened and decided by itself"


def test_reject_many_needs_a_reason_and_no_clean_text(reviewer: Any) -> None:
    pieces = [PieceFactory(), PieceFactory(blocking=1), PieceFactory(edited_by=reviewer)]
    ids = [piece.pk for piece in pieces]

    with pytest.raises(InvalidInput):
        review.decide_many(piece_ids=ids, verdict="reject", by=reviewer)
    result = review.decide_many(piece_ids=ids, verdict="reject", by=reviewer, reason="dull")

    assert (result.rejected, result.refused) == (3, {})
    assert set(Piece.objects.values_list("status", "reject_reason")) == {("rejected", "dull")}


def test_a_queryset_and_an_unknown_verdict(reviewer: Any) -> None:
    PieceFactory.create_batch(2)

    with pytest.raises(InvalidInput):
        review.decide_many(queryset=Piece.objects.all(), verdict="delete", by=reviewer)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        review.decide_many(verdict="approve", by=reviewer)
    assert review.decide_many(queryset=Piece.objects.all(), verdict="approve", by=reviewer).approved == 2


def test_nothing_to_decide(reviewer: Any) -> None:
    result = review.decide_many(piece_ids=[], verdict="approve", by=reviewer)

    assert (result.decided, str(result)) == (0, "nothing to decide")


def test_approve_clean_takes_only_what_has_no_finding(reviewer: Any) -> None:
    run = RunFactory(campaign__review_policy=ReviewPolicy.CLEAN_TOGETHER)
    clean = PieceFactory(run=run)
    PieceFactory(run=run, warnings=1)
    PieceFactory(run=run, blocking=1)
    PieceFactory()

    result = review.approve_clean(run=run, by=reviewer)

    assert (result.approved, result.refused) == (1, {})
    assert list(Piece.objects.filter(status=Status.APPROVED)) == [clean]


def test_approve_clean_where_every_piece_is_to_be_read(reviewer: Any) -> None:
    piece = PieceFactory(run__campaign=CampaignFactory(review_policy=ReviewPolicy.READ_ALL))

    with pytest.raises(PolicyForbids):
        review.approve_clean(run=piece.run, by=reviewer)
    piece.refresh_from_db()
    assert piece.status == Status.IN_REVIEW


@pytest.mark.django_db(transaction=True)
def test_racing_deciders_share_the_pieces_and_none_waits_forever(race: Any) -> None:
    reviewer = UserFactory(permissions=["generation.review_piece"])
    ids = [piece.pk for piece in PieceFactory.create_batch(30)]
    orders = iter([ids, ids[::-1], ids[15:] + ids[:15]])

    results = race(lambda: review.decide_many(piece_ids=next(orders), verdict="approve", by=reviewer), 3)

    assert sum(result.approved for result in results) == 30
    assert PieceEvent.objects.count() == 30


def many_pieces(count: int) -> None:
    run, version = RunFactory(), ModelVersionFactory()
    text = PieceFactory.build(run=run, profile=None, model_version=version)
    Piece.objects.bulk_create(
        Piece(
            run=run,
            channel="email",
            profile=None,
            status="in_review",
            revision=1,
            fields=text.fields,
            text_hash=text.text_hash,
            model_version=version,
            written_at=timezone.now(),
        )
        for _ in range(count)
    )


def test_five_thousand_pieces_in_a_couple_of_seconds(reviewer: Any) -> None:
    with connection.cursor() as cursor:  # so that one run may hold as many pieces without as many people
        cursor.execute("DROP INDEX piece_once_per_run_profile_channel")
    many_pieces(5_000)

    started = time.monotonic()
    result = review.decide_many(queryset=Piece.objects.all(), verdict="approve", by=reviewer)
    seconds = time.monotonic() - started

    assert result.approved == PieceEvent.objects.count() == 5_000
    assert seconds < 10, f"took {seconds:.1f} s"  # about one on an idle machine
