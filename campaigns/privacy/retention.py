"""How long things are kept: one rule for each kind, off until somebody turns it on; what would go can be seen before.

Rows go in small transactions, so that nothing waits for a rule and a killed run has done what it has done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from campaigns.models import RetentionRule
from personalize.core.errors import InvalidInput
from personalize.core.personal_data import Keeping, holders

log = structlog.get_logger(__name__)
BATCH = 2_000  # rows of one transaction
MOST = 200_000  # rows of one kind in one run; the next run goes on


@dataclass(frozen=True, slots=True)
class Standing:
    """One kind with its rule and, when asked for, what would go now."""

    keeping: Keeping
    rule: RetentionRule
    due: int | None = None


def kinds() -> dict[str, Keeping]:
    return {keeping.kind: keeping for holder in holders() for keeping in holder.KEEPING}


def standing(*, count: bool = False, now: datetime | None = None) -> list[Standing]:
    """Every kind, with the rule that holds or the suggested one. `count`: a dry run, also of rules that are off."""
    now = now or timezone.now()
    rules = {rule.kind: rule for rule in RetentionRule.objects.all()}
    found = []
    for kind, keeping in kinds().items():
        rule = rules.get(kind) or RetentionRule(kind=kind, days=keeping.days)
        due = keeping.due(now - timedelta(days=rule.days)) if count else None
        found.append(Standing(keeping, rule, due))
    return found


def due(*, kind: str, days: int, now: datetime | None = None) -> int:
    """What a rule of so many days would remove now. Removes nothing."""
    return _known(kind).due((now or timezone.now()) - timedelta(days=_checked(days)))


def set_rule(*, kind: str, days: int, is_active: bool, by: AbstractBaseUser | None) -> RetentionRule:
    """Raises InvalidInput for a kind or a number that is none."""
    _known(kind)
    rule, _ = RetentionRule.objects.update_or_create(
        kind=kind,
        defaults={"days": _checked(days), "is_active": is_active, "changed_by_id": by.pk if by else None},
    )
    log.info("retention_set", kind=kind, days=days, active=is_active, by=by.pk if by else None)
    return rule


def apply(*, now: datetime | None = None, most: int = MOST) -> dict[str, int]:
    """Remove what the rules that are on let go; how much, by kind."""
    now = now or timezone.now()
    removed: dict[str, int] = {}
    known = kinds()
    for rule in RetentionRule.objects.filter(is_active=True, kind__in=known).order_by("kind"):
        before = now - timedelta(days=rule.days)
        gone = 0
        while gone < most and (count := known[rule.kind].remove(before, min(BATCH, most - gone))):
            gone += count
        removed[rule.kind] = gone
        RetentionRule.objects.filter(pk=rule.pk).update(last_run_at=timezone.now(), last_removed=gone)
        log.info("retention_applied", kind=rule.kind, days=rule.days, removed=gone)
    return removed


def _known(kind: str) -> Keeping:
    found = kinds().get(kind)
    if found is None:
        raise InvalidInput(
            f"There is no such kind of data. Kinds: {', '.join(sorted(kinds()))}.", field="kind"
        )
    return found


def _checked(days: int) -> int:
    if not 1 <= days <= 36_500:
        raise InvalidInput("Keep things for 1 to 36,500 days.", field="days")
    return days
