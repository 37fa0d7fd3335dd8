"""What the workers and beat call. Each task takes ids, makes one call, and is safe to be delivered twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from personalize.core.errors import TransientFailure

WRITER_SOFT_SECONDS = 1_800  # a chunk takes a minute or two on a CPU; far above it something hangs
LIGHT_SOFT_SECONDS = 600
MOST_EMBEDDED = 20_000  # rows a round: the next one goes on


@shared_task(
    name="generation.write_chunk",
    ignore_result=True,
    acks_late=True,
    autoretry_for=(TransientFailure,),
    retry_backoff=30,
    retry_jitter=True,
    max_retries=3,
    soft_time_limit=WRITER_SOFT_SECONDS,
    time_limit=WRITER_SOFT_SECONDS + 60,
)
def write_chunk(*, run_id: int, **_newer: object) -> None:
    """Claim a chunk of a run's drafts and write it, then go on with the next. Delivered twice, it finds nothing."""
    from generation import drafting

    chunk = drafting.write_next(run_id=run_id)
    if chunk.claimed and drafting.is_waiting(run_id=run_id):
        drafting.enqueue(run_id=run_id)


@shared_task(
    name="generation.compose",
    ignore_result=True,
    acks_late=True,
    autoretry_for=(TransientFailure,),
    retry_backoff=30,
    retry_jitter=True,
    max_retries=3,
    soft_time_limit=WRITER_SOFT_SECONDS,
    time_limit=WRITER_SOFT_SECONDS + 60,
)
def compose(*, piece_id: int, **_newer: object) -> None:
    """Write one draft by itself. Does nothing when it is written, or somebody is at it."""
    from generation import drafting

    drafting.write_piece(piece_id=piece_id)


@shared_task(
    name="generation.start_due_runs",
    ignore_result=True,
    soft_time_limit=LIGHT_SOFT_SECONDS,
    time_limit=LIGHT_SOFT_SECONDS + 60,
)
def start_due_runs(**_newer: object) -> None:
    """Launch the campaigns that are due. Any number of beats may call it at once."""
    from generation import drafting

    drafting.start_due_runs(now=timezone.now())


@shared_task(
    name="generation.sweep",
    ignore_result=True,
    soft_time_limit=LIGHT_SOFT_SECONDS,
    time_limit=LIGHT_SOFT_SECONDS + 60,
)
def sweep(**_newer: object) -> None:
    """Take back lost claims, wake writers for drafts that nobody is at, top up the planted pieces."""
    from generation import drafting, planting

    drafting.sweep(now=timezone.now())
    planting.sweep()


@shared_task(
    name="generation.seal_audit",
    ignore_result=True,
    soft_time_limit=LIGHT_SOFT_SECONDS,
    time_limit=LIGHT_SOFT_SECONDS + 60,
)
def seal_audit(**_newer: object) -> None:
    """Seal what the audit trail has gained. Two at once: the second finds the lock taken and leaves."""
    from generation import audit

    audit.seal()


@shared_task(
    name="generation.embed_changed",
    ignore_result=True,
    soft_time_limit=WRITER_SOFT_SECONDS,
    time_limit=WRITER_SOFT_SECONDS + 60,
)
def embed_changed(**_newer: object) -> None:
    """Derive the traits that are due, then embed what changed. Two at once would only do the same work twice."""
    from generation import indexing

    indexing.refresh(now=timezone.now(), limit=MOST_EMBEDDED)


@shared_task(
    name="generation.compare_column_names",
    ignore_result=True,
    soft_time_limit=LIGHT_SOFT_SECONDS,
    time_limit=LIGHT_SOFT_SECONDS + 60,
)
def compare_column_names(*, upload_id: int, kind: str, **_newer: object) -> None:
    """Compare the names of a file's columns with our fields' by meaning. Twice writes the same."""
    from generation import column_names

    column_names.compare(upload_id=upload_id, kind=kind)
