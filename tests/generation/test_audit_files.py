"""The audit trail as a file, the commands, and how reviewers did."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from generation import audit, audit_export, reviewers
from generation.models import How, Outcome, PieceEvent, Status
from tests.factories import PieceEventFactory, PieceFactory, PlantFactory, RunFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_the_csv_is_harmless_and_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    piece = PieceFactory()
    for note in ("=HYPERLINK(1)", "+1", "-1", "@x", "'quoted", 'two\nlines, "quoted"', "plain"):
        PieceEventFactory(piece=piece, note=note, actor_name="=cmd")
    path = tmp_path / "audit.csv"

    call_command("export_audit", output=path)

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows] == [
        "'=HYPERLINK(1)", "'+1", "'-1", "'@x", "''quoted", 'two\nlines, "quoted"', "plain",
    ]  # fmt: skip
    assert {row["actor_name"] for row in rows} == {"'=cmd"}
    assert list(rows[0]) == list(audit.COLUMNS)
    with pytest.raises(CommandError, match="could not be written"):
        call_command("export_audit", output=path)  # never over a file that is there


def test_the_json_lines_can_be_verified_without_us(tmp_path: Path) -> None:
    PieceEventFactory(note="ünï — “quoted”", seconds=3, is_hasty=True)
    PieceEventFactory()
    path = tmp_path / "audit.jsonl"

    call_command("export_audit", format="jsonl", output=path)

    import hashlib

    previous = "0" * 64
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        row = json.loads(line)
        content = json.dumps([row[name] for name in audit.CONTENT], ensure_ascii=False, separators=(",", ":"))
        previous = hashlib.sha256(f"{previous}\n{content}".encode()).hexdigest()
        assert row["hash"] == previous
    assert len(lines) == 2


def test_an_export_holds_the_days_asked_for() -> None:
    PieceEventFactory()
    audit.seal()
    now = timezone.now()

    assert len(list(audit_export.lines(audit_export.rows(since=now - timedelta(days=1)), "jsonl"))) == 1
    assert list(audit_export.lines(audit_export.rows(until=now - timedelta(days=1)), "jsonl")) == []
    assert len(list(audit_export.lines(audit_export.rows(since=now + timedelta(days=1)), "csv"))) == 1


def test_verify_audit_says_what_holds_and_names_what_does_not() -> None:
    for _ in range(3):
        PieceEventFactory(note="well")
    audit.seal()
    PieceEventFactory()
    out = io.StringIO()

    call_command("verify_audit", stdout=out)
    assert "3 rows from number 1 and 1 seals hold" in out.getvalue()
    assert "1 wait to be sealed" in out.getvalue()
    anchor = out.getvalue().rsplit("Anchor: ", 1)[1].strip()
    call_command("verify_audit", anchor=anchor, since=timezone.now() - timedelta(days=1), stdout=out)

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE generation_pieceevent DISABLE TRIGGER USER")
        cursor.execute("UPDATE generation_pieceevent SET to_status = 'rejected' WHERE seq = 2")
        cursor.execute("ALTER TABLE generation_pieceevent ENABLE TRIGGER USER")
    with pytest.raises(CommandError, match="Row 2 of the audit trail: its content") as caught:
        call_command("verify_audit", stdout=out)
    assert caught.value.returncode == 1
    with pytest.raises(CommandError, match="64 hex digits"):
        call_command("verify_audit", anchor="nonsense", stdout=out)


def test_how_reviewers_did() -> None:
    ann, bob = UserFactory(username="ann"), UserFactory(username="bob")
    piece, run = PieceFactory(), RunFactory()
    for seconds, hasty in ((2, True), (20, False), (40, False), (None, False)):
        PieceEventFactory(
            piece=piece, actor_id=ann.pk, actor_name="ann", from_status=Status.IN_REVIEW,
            to_status=Status.APPROVED, seconds=seconds, is_hasty=hasty,
        )  # fmt: skip
    now = timezone.now()
    decided = [
        (Outcome.CAUGHT, How.READ, ann), (Outcome.CAUGHT, How.READ, ann), (Outcome.MISSED, How.READ, ann),
        (Outcome.MISSED, How.TOGETHER, ann), (Outcome.CAUGHT, How.TOGETHER, bob),
    ]  # fmt: skip
    for number, (outcome, how, by) in enumerate(decided):
        PlantFactory(piece_id=number, run=run, outcome=outcome, how=how, decided_by=by, decided_at=now)

    first, second = reviewers.since(now - timedelta(days=1))

    assert (first.name, first.decisions, first.measured, first.hasty, first.median_seconds) == (
        "ann",
        4,
        3,
        1,
        20,
    )
    assert (first.caught, first.missed, first.missed_together) == (2, 1, 1)
    assert first.catch_rate == pytest.approx(2 / 3) and first.interval is not None
    assert first.interval == pytest.approx((0.2077, 0.9385), abs=1e-3)
    assert (second.name, second.met, second.catch_rate) == ("bob", 0, None)
    assert reviewers.since(now + timedelta(days=1)) == []
    assert PieceEvent.objects.count() == 4
