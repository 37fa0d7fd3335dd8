"""From a campaign to written pieces: launch, claim, write, store, and look after what was lost.

The functions here are what tasks, commands, the admin and the API call.
"""

from __future__ import annotations

from django.utils import timezone

from generation.drafting.chunks import Chunk, write_next
from generation.drafting.launching import (
    BriefIncomplete,
    LaunchRefused,
    NotReachable,
    Reach,
    cancel,
    compose,
    launch,
    may_launch,
    reach,
)
from generation.drafting.leases import waiting
from generation.drafting.progress import RunProgress, progress
from generation.drafting.queueing import enqueue
from generation.drafting.sweeping import Swept, start_due_runs, sweep

__all__ = [
    "BriefIncomplete",
    "Chunk",
    "LaunchRefused",
    "NotReachable",
    "Reach",
    "RunProgress",
    "Swept",
    "cancel",
    "compose",
    "enqueue",
    "is_waiting",
    "launch",
    "may_launch",
    "progress",
    "reach",
    "start_due_runs",
    "sweep",
    "write_chunk",
    "write_next",
    "write_piece",
]


def write_chunk(*, run_id: int, limit: int | None = None) -> int:
    """Claim a chunk of the run's drafts and write it; how many pieces were written. See `write_next`."""
    return write_next(run_id=run_id, limit=limit).written


def write_piece(*, piece_id: int) -> bool:
    """Write one named draft now; False when it is no draft, or somebody else is at it."""
    return write_next(piece_id=piece_id, limit=1).written == 1


def is_waiting(*, run_id: int) -> bool:
    """Whether the run has drafts that may be written now."""
    return waiting(now=timezone.now()).filter(run_id=run_id).exists()
