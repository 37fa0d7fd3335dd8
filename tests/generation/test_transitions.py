"""The transition table, and the functions that move pieces along it."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection
from django.db.models import F

from generation import transitions
from generation.models import Piece, PieceEvent, Status
from generation.transitions import (
    OWNERS,
    TRANSITIONS,
    InvalidTransition,
    StalePiece,
    advance,
    advance_many,
    amend,
)
from tests.factories import PieceFactory, UserFactory

pytestmark = pytest.mark.django_db

PAIRS = [(was, to) for was in Status for to in Status]
UNCLAIMED = {"claim": None, "lease_until": None}


def settled(to: Status) -> dict[str, object]:
    """What the constraints ask of a piece in this status, beside the status."""
    from django.utils import timezone

    changes: dict[str, object] = dict(UNCLAIMED)
    if to in (Status.APPROVED, Status.DELIVERING, Status.DELIVERED):
        changes["approved_hash"] = "a" * 64
    if to is Status.DELIVERED:
        changes["delivered_at"] = timezone.now()
    return changes


@pytest.mark.parametrize(("was", "to"), PAIRS, ids=lambda status: status.value)
def test_advance_of_every_pair(was: Status, to: Status) -> None:
    piece = PieceFactory(status=was)

    if to in TRANSITIONS[was]:
        advance(piece, to, **settled(to))
        assert piece.status == to
        assert list(PieceEvent.objects.values_list("from_status", "to_status")) == [(was, to)]
    else:
        with pytest.raises(InvalidTransition, match="cannot become"):
            advance(piece, to, **settled(to))
        piece.refresh_from_db()
        assert piece.status == was
        assert not PieceEvent.objects.exists()


@pytest.mark.parametrize(("was", "to"), PAIRS, ids=lambda status: status.value)
def test_advance_many_of_every_pair(was: Status, to: Status) -> None:
    piece = PieceFactory(status=was)
    pieces = Piece.objects.filter(pk=piece.pk)

    if to in TRANSITIONS[was]:
        assert advance_many(pieces, to, was=was, **settled(to)) == [piece.pk]
    else:
        with pytest.raises(InvalidTransition):
            advance_many(pieces, to, was=was, **settled(to))


def test_every_status_has_an_owner_and_a_row_in_the_table() -> None:
    assert set(OWNERS) == set(Status) == set(TRANSITIONS)
    for status, owner in OWNERS.items():
        assert owner
        assert owner.startswith("nobody") == (not TRANSITIONS[status]), status


def test_every_status_can_be_reached() -> None:
    reached = {Status.DRAFT}
    while more := {to for was in reached for to in TRANSITIONS[was]} - reached:
        reached |= more

    assert reached == set(Status)


@pytest.mark.parametrize(
    "meanwhile", [{"status": "withdrawn"}, {"revision": 7}], ids=["moved", "changed text"]
)
def test_advance_of_a_piece_that_changed(meanwhile: dict[str, object]) -> None:
    piece = PieceFactory()
    Piece.objects.filter(pk=piece.pk).update(**meanwhile)

    with pytest.raises(StalePiece, match="changed since it was read"):
        advance(piece, Status.REJECTED)
    assert not PieceEvent.objects.exists()


def test_advance_with_a_claim_that_was_lost() -> None:
    piece = PieceFactory(status=Status.GENERATING)
    Piece.objects.filter(pk=piece.pk).update(claim="00000000-0000-0000-0000-000000000001")

    with pytest.raises(StalePiece):
        advance(piece, Status.IN_REVIEW, **UNCLAIMED)


def test_audit_failure_rolls_the_transition_back(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = PieceFactory()

    def refuse(*args: object, **kwargs: object) -> None:
        raise DatabaseError("no audit row")

    monkeypatch.setattr(PieceEvent.objects, "create", refuse)
    with pytest.raises(DatabaseError):
        advance(piece, Status.REJECTED)
    assert Piece.objects.get(pk=piece.pk).status == Status.IN_REVIEW


@pytest.mark.django_db(transaction=True)
def test_audit_failure_rolls_back_a_bulk_transition() -> None:
    piece = PieceFactory()
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE generation_pieceevent ADD CONSTRAINT refuse CHECK (note <> 'refuse') NOT VALID"
        )
    try:
        with pytest.raises(DatabaseError):
            advance_many(Piece.objects.all(), Status.REJECTED, was=Status.IN_REVIEW, note="refuse")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE generation_pieceevent DROP CONSTRAINT refuse")

    assert Piece.objects.get(pk=piece.pk).status == Status.IN_REVIEW
    assert not PieceEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_racing_callers_one_wins(race) -> None:  # type: ignore[no-untyped-def]
    piece = PieceFactory()

    outcomes = race(lambda: advance(Piece.objects.get(pk=piece.pk), Status.REJECTED), 6)

    assert [outcome for outcome in outcomes if outcome is None] == [None]
    assert all(isinstance(o, StalePiece | InvalidTransition) for o in outcomes if o is not None)
    assert PieceEvent.objects.count() == 1


def test_advance_many_moves_what_meets_the_conditions_and_records_each() -> None:
    person = UserFactory()
    clean, blocked, approved = PieceFactory(), PieceFactory(blocking=1), PieceFactory(status=Status.APPROVED)

    moved = advance_many(
        Piece.objects.filter(blocking=0),
        Status.APPROVED,
        was=Status.IN_REVIEW,
        actor=person,
        note="together",
        approved_hash=F("text_hash"),
    )

    clean.refresh_from_db()
    assert moved == [clean.pk]
    assert (clean.status, clean.approved_hash) == (Status.APPROVED, clean.text_hash)
    event = PieceEvent.objects.get()
    assert (event.piece_id, event.run_id, event.revision) == (clean.pk, clean.run_id, clean.revision)
    assert (event.actor_id, event.actor_name, event.note) == (person.pk, person.username, "together")
    assert event.text_hash == clean.text_hash
    assert Piece.objects.get(pk=blocked.pk).status == Status.IN_REVIEW
    assert Piece.objects.get(pk=approved.pk).reviewed_at == approved.reviewed_at


def test_advance_many_over_a_join_and_over_nothing() -> None:
    piece = PieceFactory(profile__lifecycle="vip")
    PieceFactory(profile__lifecycle="new")

    moved = advance_many(
        Piece.objects.filter(profile__lifecycle="vip").order_by("-pk"), Status.REJECTED, was=Status.IN_REVIEW
    )

    assert moved == [piece.pk]
    assert advance_many(Piece.objects.filter(pk__in=[]), Status.REJECTED, was=Status.IN_REVIEW) == []


def test_amend_grows_the_revision_in_place() -> None:
    piece = PieceFactory()
    stale = Piece.objects.get(pk=piece.pk)

    amend(piece, note="text changed", text_hash="b" * 64)

    assert (piece.status, piece.revision, piece.text_hash) == (Status.IN_REVIEW, 2, "b" * 64)
    event = PieceEvent.objects.get()
    assert (event.from_status, event.to_status, event.revision) == (Status.IN_REVIEW, Status.IN_REVIEW, 2)
    with pytest.raises(StalePiece):
        amend(stale, text_hash="c" * 64)


def test_an_audit_row_holds_no_copy_and_no_person() -> None:
    fields = {field.name for field in PieceEvent._meta.get_fields()}
    assert fields == {
        "id", "piece_id", "run_id", "at", "actor_id", "actor_name", "from_status", "to_status",
        "revision", "text_hash", "reason", "note", "campaign", "channel", "seconds", "is_hasty",
        "seq", "previous_hash", "hash", "note_digest", "note_salt",
    }  # fmt: skip
    piece = PieceFactory(fields={"subject": "A secret subject"}, profile__first_name="Xanthippe")

    advance(piece, Status.REJECTED, reason="dull")

    row = repr(PieceEvent.objects.values().get())
    assert "secret" not in row and "Xanthippe" not in row
    assert piece.profile.email not in row


def test_nothing_else_writes_status() -> None:
    """`status=` in an update or a constructor of a piece, outside of transitions."""
    import re
    from pathlib import Path

    root = Path(transitions.__file__).resolve().parent.parent
    wrong = re.compile(
        r"(?<!class )\bPiece\((?!\.)|piece\.status(?:, [\w.]+)*\s*=[^=]"
        r"|Piece\.objects\.[^\n]*update\([^)]*\bstatus="
    )
    hits = [
        f"{path.relative_to(root)}:{number}"
        for app in ("campaigns", "generation", "delivery")
        for path in (root / app).rglob("*.py")
        if path.name != "transitions.py" and "migrations" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if wrong.search(line)
    ]

    # The one place that repeats in memory what advance_many just wrote.
    assert [hit for hit in hits if not hit.startswith("generation/drafting/leases.py")] == []
    assert len(hits) == 1
