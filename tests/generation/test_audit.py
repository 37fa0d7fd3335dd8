"""The chain of the audit trail: sealed in one order, broken by every change, alive when a reader is erased."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from campaigns import people
from generation import audit, transitions
from generation.models import AuditSeal, Piece, PieceEvent, Status
from tests.factories import PieceEventFactory, PieceFactory, RunFactory, UserFactory


def sealed(count: int, **given: Any) -> list[PieceEvent]:
    piece = PieceFactory()
    made = [PieceEventFactory(piece=piece, **given) for _ in range(count)]
    audit.seal()
    return [PieceEvent.objects.get(pk=row.pk) for row in made]


def by_force(statement: str, *values: object) -> None:
    """As somebody who owns the tables could: with the triggers off."""
    with connection.cursor() as cursor:
        for table in ("generation_pieceevent", "generation_auditseal"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, values)
        for table in ("generation_pieceevent", "generation_auditseal"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


# -- sealing -----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_rows_are_sealed_in_order_without_a_gap() -> None:
    rows = sealed(5)

    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0].previous_hash == audit.GENESIS
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert audit.seal() == 0
    assert audit.head() == (5, rows[-1].hash)
    verdict = audit.verify()
    assert (verdict.rows, verdict.seals, verdict.open, verdict.broken) == (5, 1, 0, None)


@pytest.mark.django_db
def test_an_audit_row_names_the_campaign_and_the_channel_by_itself() -> None:
    one, other = PieceFactory(), PieceFactory()

    transitions.advance(one, Status.REJECTED, reason="dull", seconds=4, is_hasty=True)
    transitions.advance_many(Piece.objects.filter(pk=other.pk), Status.REJECTED, was=Status.IN_REVIEW)

    for piece in (one, other):
        row = PieceEvent.objects.get(piece_id=piece.pk)
        assert (row.campaign, row.channel) == (piece.run.campaign.slug, "email")
    row = PieceEvent.objects.get(piece_id=one.pk)
    assert (row.seconds, row.is_hasty) == (4, True)


@pytest.mark.django_db(transaction=True)
def test_one_chain_under_concurrency() -> None:
    """Six threads write, some in long transactions, three seal all the while: one chain, no gap, none left open."""
    run = RunFactory()
    pieces = [PieceFactory(run=run) for _ in range(60)]
    failures: list[BaseException] = []
    writing = threading.Event()
    writing.set()

    def guarded(deed: Callable[[], None]) -> Callable[[], None]:
        def work() -> None:
            try:
                deed()
            except BaseException as error:
                failures.append(error)
            finally:
                connection.close()

        return work

    def write(mine: list[Piece]) -> Callable[[], None]:
        def deed() -> None:
            for start in range(0, len(mine), 5):
                with transaction.atomic():
                    for piece in mine[start : start + 5]:
                        transitions.advance(piece, Status.REJECTED, reason="dull", note="a note")

        return deed

    def seal() -> None:
        while writing.is_set():
            audit.seal()

    sealers = [threading.Thread(target=guarded(seal)) for _ in range(3)]
    writers = [threading.Thread(target=guarded(write(pieces[n::6]))) for n in range(6)]
    for thread in sealers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    writing.clear()
    for thread in sealers:
        thread.join()
    audit.seal(wait=True)

    assert failures == []
    assert list(PieceEvent.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, 61))
    verdict = audit.verify()
    assert (verdict.rows, verdict.open, verdict.broken) == (60, 0, None)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_commits_late_comes_behind() -> None:
    """Its id is lower than that of a sealed row; the chain has it all the same, at its end."""
    piece = PieceFactory()
    written, sealed_meanwhile = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            PieceEventFactory(piece=piece, note="slow")
            written.set()
            sealed_meanwhile.wait(20)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(20)
    PieceEventFactory(piece=piece, note="quick")
    assert audit.seal() == 1
    sealed_meanwhile.set()
    thread.join()
    assert audit.seal() == 1

    quick, late = PieceEvent.objects.get(note="quick"), PieceEvent.objects.get(note="slow")
    assert (quick.seq, late.seq) == (1, 2) and late.pk < quick.pk
    assert audit.verify().broken is None


# -- what the database refuses -----------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("is_sealed", [True, False])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE generation_pieceevent SET actor_name = 'somebody else'",
        "UPDATE generation_pieceevent SET note = '', note_salt = ''",
        "UPDATE generation_pieceevent SET seq = 99, actor_name = 'x'",
        "DELETE FROM generation_pieceevent",
    ],
)
def test_the_database_refuses_to_change_or_delete_a_row(statement: str, is_sealed: bool) -> None:
    PieceEventFactory(note="why")
    if is_sealed:
        audit.seal()
    before = list(PieceEvent.objects.values())

    with pytest.raises(DatabaseError, match="neither changed nor deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    assert list(PieceEvent.objects.values()) == before


@pytest.mark.django_db
def test_the_database_refuses_forged_rows_and_changed_seals() -> None:
    sealed(1)

    with pytest.raises(DatabaseError, match="sealed after it was written"), transaction.atomic():
        PieceEventFactory(seq=2, hash="a" * 64)
    for statement in ("UPDATE generation_auditseal SET hash = ''", "DELETE FROM generation_auditseal"):
        with pytest.raises(DatabaseError, match="Seals of the audit trail"), transaction.atomic():
            connection.cursor().execute(statement)
    with pytest.raises(DatabaseError, match="neither changed nor deleted"), transaction.atomic():
        PieceEvent.objects.update(seq=None)


# -- what verifying finds ----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "seq", "why"),
    [
        ("UPDATE generation_pieceevent SET actor_name = 'x' WHERE seq = 3", 3, "content"),
        ("UPDATE generation_pieceevent SET at = at - interval '1 second' WHERE seq = 3", 3, "content"),
        ("UPDATE generation_pieceevent SET note = 'x' WHERE seq = 3", 3, "note is not what was sealed"),
        ("UPDATE generation_pieceevent SET note = '', note_salt = '' WHERE seq = 3", 3, "piece still exists"),
        ("UPDATE generation_pieceevent SET previous_hash = repeat('a', 64) WHERE seq = 3", 3, "follow"),
        ("DELETE FROM generation_pieceevent WHERE seq = 3", 3, "missing"),
        ("DELETE FROM generation_pieceevent WHERE seq = 6", 6, "once longer"),
        ("DELETE FROM generation_pieceevent", 1, "once longer"),
        ("DELETE FROM generation_auditseal", 6, "no signed seal"),
        ("UPDATE generation_auditseal SET signature = repeat('a', 64)", 6, "not signed"),
    ],
)
def test_verifying_names_the_first_row_that_is_broken(statement: str, seq: int, why: str) -> None:
    sealed(6, note="well")
    by_force(statement)

    broken = audit.verify().broken

    assert broken is not None and broken.seq == seq and why in broken.why


@pytest.mark.django_db
def test_a_chain_computed_anew_lacks_the_signature() -> None:
    """Somebody with the database changes a row and computes every later hash again: the seal gives it away."""
    sealed(4)
    by_force("UPDATE generation_pieceevent SET actor_name = 'x' WHERE seq = 2")
    previous = audit.GENESIS
    for row in PieceEvent.objects.order_by("seq").values(*audit.COLUMNS):
        digest = audit.row_hash(row, previous)
        by_force(
            "UPDATE generation_pieceevent SET previous_hash = %s, hash = %s WHERE id = %s",
            previous, digest, row["id"],
        )  # fmt: skip
        previous = digest

    broken = audit.verify().broken
    assert broken is not None and broken.seq == 4 and "rewritten" in broken.why
    by_force("UPDATE generation_auditseal SET hash = %s", previous)
    broken = audit.verify().broken
    assert broken is not None and "not signed" in broken.why


@pytest.mark.django_db
def test_an_anchor_from_outside_finds_a_tail_that_was_cut_off_with_its_seals() -> None:
    sealed(3)
    sealed(3)
    anchor = audit.head()
    by_force("DELETE FROM generation_pieceevent WHERE seq > 3")
    by_force("DELETE FROM generation_auditseal WHERE seq > 3")

    assert audit.verify().broken is None  # nothing inside tells
    broken = audit.verify(anchor=anchor).broken
    assert broken is not None and broken.seq == 4 and "once longer" in broken.why
    broken = audit.verify(anchor=(3, "b" * 64)).broken
    assert broken is not None and "noted down outside" in broken.why


@pytest.mark.django_db
def test_since_and_last_check_the_end_alone() -> None:
    sealed(4)
    by_force("UPDATE generation_pieceevent SET at = at - interval '3 days' WHERE seq < 3")
    since = timezone.now() - timedelta(days=1)

    assert audit.verify().broken is not None
    verdict = audit.verify(since=since)
    assert (verdict.first, verdict.rows, verdict.broken) == (3, 2, None)
    assert audit.verify(last=1).rows == 1
    assert audit.verify(since=timezone.now() + timedelta(days=1)).rows == 0


# -- erasure -----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_erasing_a_reader_takes_the_notes_and_leaves_the_chain_whole() -> None:
    piece, other = PieceFactory(), PieceFactory()
    PieceEventFactory(piece=piece, note="she asked twice about the blue one")
    PieceEventFactory(piece=other, note="another reader's")
    audit.seal()
    late = PieceEventFactory(piece=piece, note="not sealed yet")

    people.erase(external_id=piece.profile.external_id, by=None)
    audit.seal()

    assert list(PieceEvent.objects.order_by("pk").values_list("note", flat=True)) == [
        "",
        "another reader's",
        "",
    ]
    row = PieceEvent.objects.filter(piece_id=piece.pk).order_by("pk")[0]
    assert row.note_digest and not row.note_salt  # without its salt the digest cannot be tried out
    assert PieceEvent.objects.get(pk=late.pk).note_digest == ""
    verdict = audit.verify()
    assert (verdict.rows, verdict.erased, verdict.broken) == (3, 1, None)
    assert AuditSeal.objects.count() == 2


@pytest.mark.django_db
def test_the_rows_outlive_the_piece_and_who_decided() -> None:
    piece, by = PieceFactory(), UserFactory(username="rita")
    transitions.advance(piece, Status.REJECTED, actor=by, reason="dull")

    people.erase(external_id=piece.profile.external_id, by=None)

    row = PieceEvent.objects.get()
    assert (row.piece_id, row.actor_name, row.campaign) == (piece.pk, "rita", piece.run.campaign.slug)
