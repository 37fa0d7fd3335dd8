"""Eight at once over the same pieces: each has one winner, and nothing is approved that nobody saw."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest

from generation import review
from generation.models import Piece, PieceEvent, Status
from personalize.core.errors import DomainError
from tests.factories import CampaignFactory, PieceFactory, RunFactory, SuperuserFactory, UserFactory

PIECES = 24
_DECIDED = (Status.APPROVED, Status.REJECTED)


@pytest.mark.django_db(transaction=True)
def test_eight_people_over_the_same_texts(race: Any) -> None:
    """Three approve one by one, one rejects, one approves together, three edit; all saw revision 1.

    Whatever the order, of what was done on revision 1 of a piece at most one deed is a decision, and an approval
    stands only on the very text that was seen: after an edit it is gone or was never given.
    """
    run = RunFactory(campaign=CampaignFactory(review_policy="clean_together"))
    pieces = [PieceFactory(run=run) for _ in range(PIECES)]
    seen = {piece.pk: 1 for piece in pieces}
    hashes = {piece.pk: piece.text_hash for piece in pieces}
    reviewers = [UserFactory(permissions=["generation.review_piece"]) for _ in range(4)]
    editors = [UserFactory(permissions=["generation.edit_piece"]) for _ in range(3)]
    together = SuperuserFactory()
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()

    def one_by_one(number: int) -> None:
        order = list(seen)
        order = order[number * 3 :] + order[: number * 3]  # all meet, none in lockstep
        for pk in order:
            try:
                if number < 3:
                    review.approve(piece_id=pk, revision=1, by=reviewers[number])
                    done["approved"] += 1
                elif number == 3:
                    review.reject(piece_id=pk, revision=1, by=reviewers[3], reason="dull")
                    done["rejected"] += 1
                else:
                    fields = {**pieces[0].fields, "subject": f"Of editor {'abc'[number - 4]}"}
                    review.edit(piece_id=pk, revision=1, fields=fields, by=editors[number - 4])
                    done["edited"] += 1
            except DomainError as error:
                refused[error.code] += 1

    numbers = iter(range(8))

    def act() -> None:
        number = next(numbers)
        if number < 7:
            one_by_one(number)
        else:
            done["together"] += review.decide_many(verdict="approve", by=together, revisions=seen).approved

    assert race(act, 8) == [None] * 8

    for pk in seen:
        piece = Piece.objects.get(pk=pk)
        events = list(PieceEvent.objects.filter(piece_id=pk).order_by("id"))
        decisions = [e for e in events if e.from_status == Status.IN_REVIEW and e.to_status in _DECIDED]
        edits = [e for e in events if e.revision == 2]
        assert len(decisions) <= 1 and len(edits) <= 1, [(e.from_status, e.to_status) for e in events]
        assert decisions or edits  # somebody won
        for decision in decisions:
            assert (decision.revision, decision.text_hash) == (1, hashes[pk])  # what was seen, nothing else
        if edits:
            assert (piece.status, piece.revision, piece.approved_hash) == (Status.IN_REVIEW, 2, "")
        else:
            assert piece.status == decisions[0].to_status
            expected = hashes[pk] if piece.status == Status.APPROVED else ""
            assert piece.approved_hash == expected == (piece.text_hash if expected else "")
    wins = sum(done.values())
    assert wins == PieceEvent.objects.filter(piece_id__in=list(seen)).count()
    assert set(refused) <= {"stale_piece", "not_in_review"}
    sys.stdout.write(f"{PIECES} pieces, 8 threads: {dict(done)}; refused: {dict(refused)}" + "\n")
