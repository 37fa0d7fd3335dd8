"""The audit trail as a chain: rows are sealed in one order, each over the hash of the one before.

Rows are written open, with the change they tell of and in its transaction. A sealer, one at a time, gives the rows
that are committed the next numbers and their hashes, a few seconds later; so decisions never wait for each other.
See docs/adr/0008-sealed-audit-trail.md.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Min

from generation.models import AuditSeal, Piece, PieceEvent
from personalize.core.keyed_hash import keyed_hash

log = structlog.get_logger(__name__)

GENESIS = "0" * 64  # the hash before the first row
BATCH = 5_000  # rows sealed in one transaction, or read at a time
_LOCK = 0x5EA1_ED00  # of pg_advisory_xact_lock: one sealer at a time, in any process

# What a row's hash covers, in this order. The note is covered by its digest, so that it can be erased.
CONTENT = (
    "seq", "id", "piece_id", "run_id", "campaign", "channel", "at", "actor_id", "actor_name", "from_status",
    "to_status", "revision", "text_hash", "reason", "note_digest", "seconds", "is_hasty",
)  # fmt: skip
COLUMNS = (*CONTENT, "note", "note_salt", "previous_hash", "hash")

Row = dict[str, Any]


def row_hash(row: Row, previous: str) -> str:
    """sha256 of the hash before, a line feed, and the canonical JSON array of CONTENT. UTF-8, times in UTC."""
    values = [row[name] if name != "at" else _time(row["at"]) for name in CONTENT]
    content = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{content}".encode()).hexdigest()


def note_digest(note: str, salt: str) -> str:
    return hashlib.sha256(f"{salt}\n{note}".encode()).hexdigest() if salt else ""


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


# -- sealing -----------------------------------------------------------------------------------------

_SEAL = """
UPDATE generation_pieceevent AS event
SET seq = given.seq, previous_hash = given.previous, hash = given.hash, note_digest = given.digest,
    note_salt = given.salt
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS given(id, seq, previous, hash, digest, salt)
WHERE event.id = given.id AND event.seq IS NULL
"""


def seal(*, wait: bool = False) -> int:
    """Seal every row that is committed and open, in the order of ids; how many.

    One sealer works at a time: another returns 0 at once or, with `wait`, goes on after it. Rows of transactions
    that commit later, even with lower ids, come behind in the chain.
    """
    sealed = 0
    while count := _seal_batch(wait=wait):
        sealed += count
        if count < BATCH:
            break
    return sealed


@transaction.atomic
def _seal_batch(*, wait: bool) -> int:
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        else:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return 0
    # Locked, so that a note erased at this moment is erased before it is hashed or after, never between.
    rows: list[Row] = list(
        PieceEvent.objects.filter(seq=None).order_by("id").select_for_update().values(*COLUMNS)[:BATCH]
    )
    if not rows:
        return 0
    seq, previous = head()
    for row in rows:
        seq += 1
        row["seq"], row["previous_hash"] = seq, previous
        row["note_salt"] = secrets.token_hex(16) if row["note"] else ""
        row["note_digest"] = note_digest(row["note"], row["note_salt"])
        row["hash"] = previous = row_hash(row, previous)
    columns = [
        [row[name] for row in rows]
        for name in ("id", "seq", "previous_hash", "hash", "note_digest", "note_salt")
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SEAL, columns)
        if cursor.rowcount != len(rows):
            raise RuntimeError(
                f"{len(rows)} rows of the audit trail were to be sealed, {cursor.rowcount} were."
            )
    AuditSeal.objects.create(seq=seq, hash=previous, signature=_signature(seq, previous))
    # The log leaves this machine: whoever rewrites the database cannot rewrite what was said there.
    log.info("audit_sealed", rows=len(rows), seq=seq, hash=previous)
    return len(rows)


def head() -> tuple[int, str]:
    """Number and hash of the last sealed row; (0, GENESIS) before the first."""
    last = PieceEvent.objects.filter(seq__isnull=False).order_by("-seq").only("seq", "hash").first()
    return (last.seq or 0, last.hash) if last else (0, GENESIS)


def _signature(seq: int, digest: str) -> str:
    return keyed_hash(purpose="audit seal", text=f"{seq}:{digest}")


# -- verifying ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Broken:
    """The first thing that is not as it was sealed."""

    seq: int
    why: str

    def __str__(self) -> str:
        return f"Row {self.seq} of the audit trail: {self.why}."


@dataclass(slots=True)
class Verdict:
    """`rows` were checked, from `first` on; `open` wait to be sealed; `erased` notes went with their readers."""

    rows: int = 0
    first: int = 1
    seals: int = 0
    open: int = 0
    erased: int = 0
    broken: Broken | None = None


def verify(
    *,
    since: datetime | None = None,
    last: int | None = None,
    anchor: tuple[int, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verdict:
    """Recompute the chain and check the seals; stops at the first break. Reads only.

    `since` starts at the first row of that time, `last` at that many rows before the end: the hash of the row before
    is then taken as it stands. `anchor` is a number and hash from outside, a log or an export: with one that is
    recent, rows cut off at the end are found too.
    """
    verdict = Verdict(first=_first(since, last), open=PieceEvent.objects.filter(seq=None).count())
    previous, expected = GENESIS, verdict.first
    if expected > 1:
        before = PieceEvent.objects.filter(seq=expected - 1).values_list("hash", flat=True).first()
        if before is None:
            verdict.broken = Broken(expected - 1, "it is missing")
            return verdict
        previous = before
    seals = iter(AuditSeal.objects.filter(seq__gte=expected).order_by("seq").iterator(chunk_size=BATCH))
    seal_due = next(seals, None)
    for batch in _sealed(expected):
        for row in batch:
            if broken := _check_row(row, expected, previous):
                verdict.broken = broken
                return verdict
            previous = row["hash"]
            if seal_due is not None and seal_due.seq == expected:
                if broken := _check_seal(seal_due, previous):
                    verdict.broken = broken
                    return verdict
                verdict.seals += 1
                seal_due = next(seals, None)
            if anchor is not None and anchor[0] == expected and not hmac.compare_digest(anchor[1], previous):
                verdict.broken = Broken(expected, "its hash is not the one that was noted down outside")
                return verdict
            verdict.erased += bool(row["note_digest"] and not row["note_salt"])
            verdict.rows += 1
            expected += 1
        if broken := _erased_alive(batch):
            verdict.broken = broken
            return verdict
        if progress:
            progress(len(batch))
    if seal_due is not None or (anchor is not None and anchor[0] >= expected):
        verdict.broken = Broken(expected, "it is missing, and the chain was once longer")
    elif verdict.rows and not AuditSeal.objects.filter(seq=expected - 1).exists():
        verdict.broken = Broken(expected - 1, "no signed seal stands at the end of the chain")
    return verdict


def _first(since: datetime | None, last: int | None) -> int:
    sealed = PieceEvent.objects.exclude(seq=None)
    if since is not None:
        found = sealed.filter(at__gte=since).aggregate(first=Min("seq"))["first"]
        return int(found) if found is not None else head()[0] + 1
    return max(1, head()[0] - last + 1) if last is not None else 1


def _sealed(start: int) -> Iterator[list[Row]]:
    while True:
        rows = list(PieceEvent.objects.filter(seq__gte=start).order_by("seq").values(*COLUMNS)[:BATCH])
        if rows:
            yield rows
        if len(rows) < BATCH:
            return
        start = rows[-1]["seq"] + 1


def _check_row(row: Row, expected: int, previous: str) -> Broken | None:
    if row["seq"] != expected:
        return Broken(expected, "it is missing")
    if row["previous_hash"] != previous:
        return Broken(expected, "it does not follow from the row before")
    if row_hash(row, previous) != row["hash"]:
        return Broken(expected, "its content is not what was sealed")
    if row["note_salt"]:
        if note_digest(row["note"], row["note_salt"]) != row["note_digest"]:
            return Broken(expected, "its note is not what was sealed")
    elif row["note"]:
        return Broken(expected, "its note was added after it was sealed")
    return None


def _check_seal(seal: AuditSeal, digest: str) -> Broken | None:
    if seal.hash != digest:
        return Broken(seal.seq, "the chain was rewritten: its hash is not the one that was signed")
    if not hmac.compare_digest(seal.signature, _signature(seal.seq, seal.hash)):
        return Broken(seal.seq, "its seal is not signed with this installation's key")
    return None


def _erased_alive(batch: Sequence[Row]) -> Broken | None:
    """A note may be gone only when its piece is."""
    gone = {row["piece_id"]: row["seq"] for row in batch if row["note_digest"] and not row["note_salt"]}
    alive = Piece.everything.filter(pk__in=gone).order_by("pk").values_list("pk", flat=True).first()
    return Broken(gone[alive], "its note was removed though its piece still exists") if alive else None
