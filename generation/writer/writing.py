"""From requests to checked drafts: plan, write as one batch, check, try the refused ones again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.writer import checks, planning
from generation.writer.types import (
    Brief,
    Draft,
    Embedder,
    Finding,
    Plan,
    Request,
    Sampling,
    Severity,
    Writer,
)

SEED_STEP = 1_000_003  # a prime far above any count of tries: the seeds of two tries never meet


@dataclass(frozen=True, slots=True)
class Result:
    """The draft kept for a request, what the checks say of it, and every draft that was written for it."""

    draft: Draft
    findings: tuple[Finding, ...]
    plan: Plan
    candidates: tuple[Draft, ...]
    tries: int

    @property
    def clean(self) -> bool:
        """Nothing in it stops an approval."""
        return not blocking(self.findings)


def blocking(findings: Sequence[Finding]) -> list[Finding]:
    return [f for f in findings if f.severity is Severity.BLOCKING]


def seed_of_try(seed: int, attempt: int) -> int:
    """The seed of the nth try, counted from 0. Recorded in the draft, so a later try can be written again."""
    return (seed + attempt * SEED_STEP) % 2**63


def write_pieces(
    writer: Writer,
    embedder: Embedder,
    brief: Brief,
    requests: Sequence[Request],
    sampling: Sampling | None = None,
    tries: int = 3,
) -> list[Result]:
    """One result per request, in order.

    A request whose draft has blocking findings is planned and written again with another seed, up to `tries`
    times in all; then its best draft is returned with the findings it has. Every call writes what is still
    refused as one batch over the same brief.
    """
    if tries < 1:
        raise ValueError("tries must be at least 1")
    sampling = sampling or Sampling()
    best: dict[int, Result] = {}
    seen: dict[int, list[Draft]] = {i: [] for i in range(len(requests))}
    open_requests = list(range(len(requests)))
    for attempt in range(tries):
        if not open_requests:
            break
        batch = [replace(requests[i], seed=seed_of_try(requests[i].seed, attempt)) for i in open_requests]
        plans = planning.plan(brief, batch, embedder)
        drafts = writer.write(brief, batch, plans, sampling)
        for i, request, plan, draft in zip(open_requests, batch, plans, drafts, strict=True):
            findings = tuple(checks.check_draft(brief, request, draft))
            seen[i].append(draft)
            new = Result(draft, findings, plan, tuple(seen[i]), attempt + 1)
            if i not in best or _rank(new) < _rank(best[i]):
                best[i] = new
            best[i] = replace(best[i], candidates=tuple(seen[i]), tries=attempt + 1)
        open_requests = [i for i in open_requests if not best[i].clean]
    return [best[i] for i in range(len(requests))]


def _rank(result: Result) -> tuple[int, int, float]:
    stops = len(blocking(result.findings))
    warnings = sum(f.severity is Severity.WARNING for f in result.findings)
    return (stops, warnings, -result.draft.score)
