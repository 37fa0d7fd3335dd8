"""A price or date has changed after the launch: take the new one into the run, and have people look again."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from campaigns import brand_access, briefs
from campaigns.models import Run, RunStatus
from campaigns.runs import RunClosed
from delivery import rendering
from delivery.models import Hold
from delivery.rechecking import STALE, Facts
from generation import drafting
from generation.models import Finding, Piece, Status
from generation.transitions import advance_many

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A value that the campaign now gives another text than the run froze."""

    name: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    changes: tuple[Change, ...]
    returned: int  # approved pieces that say one of them: back to review
    cleared: int  # pieces in review that were stale for this alone


def changes(run: Run) -> list[Change]:
    """What `refresh` would take over. Values that the campaign no longer has are not among them."""
    now = dict(run.campaign.values.values_list("name", "text"))
    frozen = rendering.run_values(run.brief)
    return [Change(name, was, now[name]) for name, was in frozen.items() if now.get(name, was) != was]


@transaction.atomic
def refresh(*, run: Run, by: AbstractBaseUser | None) -> Refreshed:
    """Put the campaign's present values into the run's brief. Nothing approved with an old one leaves with a new one:
    those pieces go back to review. Raises NotAllowed, RunClosed."""
    drafting.may_launch(by)
    stored = Run.objects.select_for_update(of=("self",)).select_related("campaign").get(pk=run.pk)
    brand_access.check(by, stored.campaign.brand_id)
    if stored.status == RunStatus.CANCELLED:
        raise RunClosed("This run was cancelled: nothing of it leaves any more.")
    found = changes(stored)
    if not found:
        return Refreshed((), 0, 0)
    new = {change.name: change.now for change in found}
    stored.brief = {
        **stored.brief,
        "values": [
            {**value, "text": new.get(value["name"], value["text"])} for value in stored.brief["values"]
        ],
    }
    stored.brief_hash = briefs.brief_hash(stored.brief)
    stored.save(update_fields=["brief", "brief_hash"])
    approved = Piece.objects.filter(run=stored, status=Status.APPROVED).select_related("run")
    concerned = [piece.pk for piece in approved if new.keys() & rendering.used_values(piece)]
    moved = advance_many(
        Piece.objects.filter(pk__in=concerned),
        Status.IN_REVIEW,
        was=Status.APPROVED,
        actor=by,
        note=f"Taken into the run: {', '.join(sorted(new))}.",
        approved_hash="",
        reviewed_at=None,
        reviewed_by=None,
        retry_after=None,
    )
    Hold.objects.filter(piece__in=moved).delete()
    cleared = _clear(stored)
    log.info("run_refreshed", run_id=stored.pk, values=sorted(new), returned=len(moved), cleared=cleared)
    return Refreshed(tuple(found), len(moved), cleared)


def _clear(run: Run) -> int:
    """Take the finding away from pieces in review that are true again."""
    facts, now = Facts(run), timezone.now()
    marked = Piece.objects.filter(
        run=run, status=Status.IN_REVIEW, findings__rule=STALE, findings__revision=F("revision")
    )
    true = [piece.pk for piece in marked.select_related("run").distinct() if not facts.why_untrue(piece, now)]
    Finding.objects.filter(piece__in=true, rule=STALE, revision=F("piece__revision")).delete()
    return Piece.objects.filter(pk__in=true, warnings__gt=0).update(
        warnings=F("warnings") - 1, updated_at=now
    )
