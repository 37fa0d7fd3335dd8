"""The writing of a chunk: claim, write with no transaction open, store what is still ours.

A crash at any line leaves pieces that are draft or generating with a lease; `sweep` makes the latter drafts again.
Since storing compares the claim, a piece is written once however many workers were at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from campaigns.models import Profile, Run
from generation import checking, embedding, engines, material, rewriting, texts, transitions, versions
from generation.drafting import leases, repeats
from generation.models import Arm, ModelVersion, Piece, Status
from generation.writer import checks, writing
from generation.writer.types import Brief, Draft, Embedder, Request, Sampling, Writer
from personalize.core.errors import TransientFailure

log = structlog.get_logger(__name__)

PRODUCTS = 3  # offered to a reader's plan
RETRY_SECONDS = 30  # after the first failure; doubled with each
MOST_FAILURES = 3  # attempts at a piece that may end in an error of its own


@dataclass(frozen=True, slots=True)
class Chunk:
    """What became of one claim. `lost` pieces were taken back before they could be stored."""

    claimed: int = 0
    written: int = 0
    returned: int = 0
    failed: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Job:
    piece: Piece
    request: Request
    batch: rewriting.Batch = field(default_factory=rewriting.Batch)  # known once it is written


@dataclass(frozen=True, slots=True)
class _Pen:
    """What writes: the engines and how to sample, the same for all jobs of a claim."""

    writer: Writer
    embedder: Embedder
    version: ModelVersion
    sampling: Sampling


def write_next(*, run_id: int | None = None, piece_id: int | None = None, limit: int | None = None) -> Chunk:
    """Claim a chunk of a run's drafts, or one named draft, and write it. Called twice, the second finds nothing.

    A TransientFailure makes the chunk drafts again, to be tried after a pause, and is raised. Any other error is
    narrowed down by halving, so that one bad piece fails alone; and whatever stops this process gives the rest
    back before it is raised.
    """
    todo = leases.chosen_of(leases.waiting(now=timezone.now()), run_id=run_id, piece_id=piece_id)
    if not todo.exists():
        return Chunk()
    # Before the claim: a model that cannot be loaded must not hold pieces.
    writer, embedder = engines.get_writer(), engines.get_embedder()
    pen = _Pen(
        writer,
        embedder,
        versions.of(writer.info),
        Sampling(temperature=settings.WRITER_TEMPERATURE, candidates=settings.WRITER_CANDIDATES),
    )
    claim = leases.claim(
        now=timezone.now(), limit=limit or settings.WRITER_CHUNK, run_id=run_id, piece_id=piece_id
    )
    if claim is None:
        return Chunk()
    open_ids = {piece.pk for piece in claim.pieces}
    try:
        with leases.held(claim):
            return _write_claim(claim, pen, open_ids)
    except TransientFailure as error:
        pause = timedelta(seconds=RETRY_SECONDS * 2 ** (claim.pieces[0].attempts - 1))
        leases.give_back(
            claim,
            piece_ids=sorted(open_ids),
            note=f"{type(error).__name__}: tried again later",
            retry_after=timezone.now() + pause,
        )
        raise
    except BaseException as error:  # also Ctrl-C, a time limit, a worker told to stop
        leases.give_back(claim, piece_ids=sorted(open_ids), note=f"interrupted by {type(error).__name__}")
        raise


def _write_claim(claim: leases.Claim, pen: _Pen, open_ids: set[int]) -> Chunk:
    run = Run.objects.only("brief").get(pk=claim.pieces[0].run_id)
    jobs = _jobs(claim, run.brief)
    brief = material.brief(run.brief)
    counts = {"written": 0, "returned": 0, "failed": 0, "lost": 0}
    shelves = repeats.Shelves(run.pk)
    for job, outcome in _write(jobs, brief, pen):
        if isinstance(outcome, Exception):
            what = _give_up(job, outcome)
        else:
            found = (*outcome.findings, *shelves.compare(job.piece, outcome.draft))
            what = "written" if _store(job, brief, replace(outcome, findings=found), pen) else "lost"
        counts[what] += 1
        open_ids.discard(job.piece.pk)
    chunk = Chunk(claimed=len(claim.pieces), **counts)
    log.info("chunk_written", run_id=run.pk, claim=str(claim.id), model=pen.version.name, **counts)
    return chunk


def _jobs(claim: leases.Claim, brief: dict[str, Any]) -> list[_Job]:
    """Everything the writer needs, read before it starts."""
    ids = [piece.profile_id for piece in claim.pieces if piece.profile_id is not None]
    profiles = Profile.objects.only("lifecycle", "traits").in_bulk(ids)
    products = embedding.similar_products_for(profile_ids=ids, count=PRODUCTS) if ids else {}
    jobs = []
    for piece in claim.pieces:
        profile = profiles.get(piece.profile_id) if piece.profile_id is not None else None
        if piece.profile_id is not None and profile is None:
            continue  # erased since the claim, and the piece with it
        piece.reader = material.snapshot(
            profile=profile,
            audience=brief.get("audience", ""),
            products=products.get(piece.profile_id or 0, ()),
            generic=piece.arm == Arm.GENERIC,
        )
        jobs.append(_Job(piece, material.request(piece)))
    return jobs


def _write(
    jobs: Sequence[_Job], brief: Brief, pen: _Pen
) -> Iterator[tuple[_Job, writing.Result | Exception]]:
    """Each job with its result or the error that is its own. A batch that fails is written again in halves.

    That finds the piece that breaks a batch, and makes a batch that needs too much memory small enough.
    """
    if not jobs:
        return
    try:
        results = writing.write_pieces(
            pen.writer,
            pen.embedder,
            brief,
            [job.request for job in jobs],
            pen.sampling,
            settings.WRITER_TRIES,
        )
    except TransientFailure:
        raise
    except Exception as error:
        if _is_stop(error):
            raise
        if len(jobs) == 1:
            yield jobs[0], error
            return
        log.warning("batch_halved", size=len(jobs), error=type(error).__name__, at=_where(error))
        results = None  # halved outside of the except block: the traceback keeps the batch's memory alive
    if results is None:
        half = len(jobs) // 2
        yield from _write(jobs[:half], brief, pen)
        yield from _write(jobs[half:], brief, pen)
        return
    batch = uuid4().hex
    for place, (job, result) in enumerate(zip(jobs, results, strict=True)):
        job.batch = rewriting.Batch(batch, place, len(jobs))
        yield job, result


@transaction.atomic
def _store(job: _Job, brief: Brief, result: writing.Result, pen: _Pen) -> bool:
    """Keep a text with all that is known of it, if the piece is still ours; False when it was taken back."""
    piece, draft = job.piece, result.draft
    weights = checking.weigh(result.findings)
    try:
        transitions.advance(
            piece,
            Status.IN_REVIEW,
            note=f"written in {result.tries} {'try' if result.tries == 1 else 'tries'}",
            revision=piece.revision + 1,
            fields=draft.fields,
            text_hash=texts.text_hash(draft.fields),
            ledger=material.ledger(draft.units),
            candidates=[_candidate(job, brief, other) for other in result.candidates if other is not draft],
            reader=piece.reader,
            model_version=pen.version,
            prompt_version=draft.prompt_version,
            seed=draft.seed,
            written_with=rewriting.snapshot(
                request=job.request,
                result=result,
                sampling=pen.sampling,
                writer=pen.writer.info,
                embedder=pen.embedder.name,
                batch=job.batch,
            ),
            score=draft.score,
            edited_by=None,
            error="",
            claim=None,
            lease_until=None,
            written_at=timezone.now(),
            blocking=weights.blocking,
            warnings=weights.warnings,
        )
    except transitions.StalePiece:
        log.warning("claim_lost", piece_id=piece.pk, claim=str(piece.claim))
        return False
    checking.store(piece, result.findings)
    return True


def _candidate(job: _Job, brief: Brief, draft: Draft) -> dict[str, Any]:
    found = checks.check_draft(brief, job.request, draft)
    return {
        "fields": draft.fields,
        "score": draft.score,
        "seed": draft.seed,
        "findings": [{"rule": f.rule, "severity": f.severity.value} for f in found],
    }


def _give_up(job: _Job, error: Exception) -> str:
    """Set one piece aside: back to the drafts for another attempt later, or failed for good."""
    piece, name = job.piece, type(error).__name__
    log.warning("piece_not_written", piece_id=piece.pk, error=name, at=_where(error), attempt=piece.attempts)
    try:
        if piece.attempts >= MOST_FAILURES:
            reason = (
                f"The writer stopped with {name} {piece.attempts} times. See its log for piece {piece.pk}."
            )
            transitions.advance(piece, Status.FAILED, note=name, error=reason, claim=None, lease_until=None)
            return "failed"
        pause = timedelta(seconds=RETRY_SECONDS * 2 ** (piece.attempts - 1))
        transitions.advance(
            piece,
            Status.DRAFT,
            note=f"{name}: tried again later",
            retry_after=timezone.now() + pause,
            claim=None,
            lease_until=None,
        )
        return "returned"
    except transitions.StalePiece:
        return "lost"


def _where(error: BaseException) -> str:
    """File and line that raised, for the log: the message could hold copy."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else ""


def _is_stop(error: Exception) -> bool:
    from celery.exceptions import SoftTimeLimitExceeded

    return isinstance(error, SoftTimeLimitExceeded)
