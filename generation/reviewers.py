"""How reviewers read: what they decided, how fast, and what they let through of the pieces known to be bad."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from django.db import connection
from django.db.models import Count

from generation.models import How, Outcome, Plant

_Z = 1.96  # of a 95 % interval

# Real pieces alone; the planted ones end as withdrawn.
_DECISIONS = """
SELECT actor_id, max(actor_name), count(*), count(seconds), count(*) FILTER (WHERE is_hasty),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds)
FROM generation_pieceevent
WHERE at >= %s AND actor_id IS NOT NULL AND from_status = 'in_review' AND to_status IN ('approved', 'rejected')
GROUP BY actor_id
"""


@dataclass(slots=True)
class Reviewer:
    """One person's decisions since a time. Planted pieces decided together with others are apart: nobody read them."""

    id: int
    name: str
    decisions: int = 0
    measured: int = 0  # decisions on the desk, whose time is known
    hasty: int = 0
    median_seconds: float | None = None
    caught: int = 0
    missed: int = 0
    missed_together: int = 0

    @property
    def met(self) -> int:
        return self.caught + self.missed

    @property
    def catch_rate(self) -> float | None:
        return self.caught / self.met if self.met else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the catch rate: with few pieces met it is wide, and says so."""
        return wilson(self.caught, self.met) if self.met else None

    @property
    def hasty_share(self) -> float | None:
        return self.hasty / self.measured if self.measured else None


def wilson(hits: int, total: int) -> tuple[float, float]:
    share = hits / total
    middle = share + _Z**2 / (2 * total)
    spread = _Z * sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    scale = 1 + _Z**2 / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def since(start: datetime) -> list[Reviewer]:
    """Everybody who decided anything since then, the busiest first."""
    with connection.cursor() as cursor:
        cursor.execute(_DECISIONS, [start])
        found = {row[0]: Reviewer(*row) for row in cursor.fetchall()}
    counted = (
        Plant.objects.filter(decided_at__gte=start, outcome__in=(Outcome.CAUGHT, Outcome.MISSED))
        .values_list("decided_by", "decided_by__username", "outcome", "how")
        .annotate(Count("pk"))
        .order_by()
    )
    for pk, name, outcome, how, count in counted:
        row = found.setdefault(pk, Reviewer(pk, name))
        if how == How.TOGETHER:
            row.missed_together += count if outcome == Outcome.MISSED else 0
        elif outcome == Outcome.CAUGHT:
            row.caught += count
        else:
            row.missed += count
    return sorted(found.values(), key=lambda row: (-row.decisions, row.name))
