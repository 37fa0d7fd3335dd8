"""Claims: one worker each, for a time, and taken back when it is lost."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from generation import drafting
from generation.drafting import leases
from generation.models import Piece, PieceEvent, Status
from tests.fakes import FakeWriter
from tests.generation import scenes

pytestmark = pytest.mark.django_db


def claim(run: Any, limit: int = 10) -> leases.Claim | None:
    return leases.claim(now=timezone.now(), limit=limit, run_id=run.pk)


@pytest.mark.django_db(transaction=True)
def test_many_workers_never_claim_the_same_draft(race: Any) -> None:
    run = scenes.launched(20)

    def work() -> list[int]:
        mine: list[int] = []
        while (found := claim(run, 3)) is not None:
            mine += [piece.pk for piece in found.pieces]
        return mine

    shares = race(work, 4)

    claimed = [pk for share in shares for pk in share]
    assert len(claimed) == len(set(claimed)) == 20
    assert PieceEvent.objects.filter(to_status=Status.GENERATING).count() == 20


@pytest.mark.django_db(transaction=True)
def test_two_workers_and_one_draft(race: Any) -> None:
    for _ in range(5):
        run = scenes.launched(1)
        outcomes = race(lambda run=run: claim(run), 4)
        assert sum(outcome is not None for outcome in outcomes) == 1
        Piece.objects.all().delete()


def test_a_claim_holds_what_the_database_has() -> None:
    run = scenes.launched(1)

    held = claim(run)

    assert held is not None
    (piece,) = held.pieces
    stored = Piece.objects.get(pk=piece.pk)
    for column in ("status", "claim", "lease_until", "attempts", "retry_after", "revision"):
        assert getattr(piece, column) == getattr(stored, column), column
    assert stored.claim == held.id


def test_a_crash_between_claim_and_store(writer: FakeWriter) -> None:
    run = scenes.launched(2)
    claim(run)  # and the worker is never heard of again
    assert drafting.write_chunk(run_id=run.pk) == 0

    early = leases.return_expired(now=timezone.now())
    late = leases.return_expired(now=timezone.now() + timedelta(hours=1))

    assert (early, late) == ((0, 0), (2, 0))
    assert drafting.write_chunk(run_id=run.pk) == 2
    assert drafting.write_chunk(run_id=run.pk) == 0
    for piece in Piece.objects.filter(run=run):
        assert (piece.status, piece.revision, piece.attempts) == (Status.IN_REVIEW, 1, 2)


def test_a_draft_whose_writers_are_always_lost_ends_with_a_person() -> None:
    run = scenes.launched(1)
    for _ in range(leases.MOST_ATTEMPTS):
        assert claim(run) is not None
        taken = leases.return_expired(now=timezone.now() + timedelta(hours=1))

    assert taken == (0, 1)
    piece = Piece.objects.get(run=run)
    assert (piece.status, piece.claim) == (Status.FAILED, None)
    assert "lost 5 times" in piece.error


def test_what_was_lost_twice_is_written_alone_and_last() -> None:
    run = scenes.launched(3)
    suspect = Piece.objects.filter(run=run).order_by("pk")[0]
    Piece.objects.filter(pk=suspect.pk).update(attempts=leases.ALONE_AFTER)

    first, second = claim(run), claim(run)

    assert first is not None and second is not None
    assert len(first.pieces) == 2
    assert [piece.pk for piece in second.pieces] == [suspect.pk]


def test_drafts_wait_until_their_retry_is_due() -> None:
    run = scenes.launched(1)
    Piece.objects.update(retry_after=timezone.now() + timedelta(minutes=1))

    assert claim(run) is None
    assert leases.claim(now=timezone.now() + timedelta(minutes=2), limit=1, run_id=run.pk) is not None


def test_giving_back_touches_only_what_is_still_held() -> None:
    run = scenes.launched(2)
    held = claim(run)
    assert held is not None
    mine, other = held.pieces
    Piece.objects.filter(pk=other.pk).update(claim="00000000-0000-0000-0000-000000000001")

    returned = leases.give_back(held, piece_ids=[mine.pk, other.pk], note="stopped")

    assert returned == [mine.pk]
    assert scenes.statuses(run) == [Status.DRAFT, Status.GENERATING]


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_extended_while_the_writer_works(settings: Any) -> None:
    settings.WRITER_LEASE_SECONDS = 1
    run = scenes.launched(1)
    held = claim(run)
    assert held is not None

    with leases.held(held):
        time.sleep(1.6)
        assert leases.return_expired(now=timezone.now()) == (0, 0)
    time.sleep(1.1)

    assert leases.return_expired(now=timezone.now()) == (1, 0)
