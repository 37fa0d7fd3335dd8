"""What the people of a run or campaign did, counted per arm and variant in one query.

Everybody counts in the arm they were put in, whether or not their message left, was opened or was ever approved:
leaving people out by what happened afterwards would compare unlike people. What somebody does counts from the run's
first hand-over (or from when they joined it, if later) until `window_days` after its last, in every arm alike; in
several runs of a campaign, from the first to the last of them, each event once. Visits, purchases and amounts are
taken from events, which a hold-out has as well as everybody else; clicks and opens from reported outcomes, those of
machines left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from django.db import connection

from delivery.results.statistics import Sums, rate
from generation.models import Arm, Experiment

_SQL = """
WITH period AS (
    SELECT piece.run_id, min(d.finished_at) AS started,
           max(d.finished_at) + make_interval(days => %(days)s) AS ended
    FROM delivery_delivery d JOIN generation_piece piece ON piece.id = d.piece_id
    WHERE piece.run_id = ANY(%(runs)s) AND d.status = 'handed_over' AND d.finished_at IS NOT NULL
      AND piece.profile_id IS NOT NULL
    GROUP BY piece.run_id
), member AS (
    SELECT piece.profile_id, piece.arm, piece.variant_id, greatest(started, piece.created_at) AS since, ended
    FROM generation_piece piece JOIN period USING (run_id)
    WHERE piece.profile_id IS NOT NULL AND NOT piece.planted
    UNION ALL
    SELECT held.profile_id, 'holdout', NULL, greatest(started, held.made_at), ended
    FROM generation_heldout held JOIN period USING (run_id)
), person AS (
    SELECT profile_id, min(arm) AS arm, count(DISTINCT arm) > 1 AS moved,
           CASE WHEN count(DISTINCT variant_id) = 1 THEN min(variant_id) END AS variant_id,
           min(since) AS since, max(ended) AS ended
    FROM member GROUP BY profile_id
), acted AS (
    SELECT person.profile_id, bool_or(event.name = ANY(%(visits)s)) AS visited,
           bool_or(event.name = ANY(%(purchases)s)) AS bought,
           sum(event.amount) FILTER (WHERE event.name = ANY(%(purchases)s)) AS amount
    FROM person JOIN campaigns_event event ON event.profile_id = person.profile_id
    WHERE event.name = ANY(%(names)s) AND event.occurred_at >= person.since AND event.occurred_at < person.ended
    GROUP BY person.profile_id
), answered AS (
    SELECT person.profile_id, bool_or(d.status = 'handed_over') AS got, bool_or(outcome.kind = 'clicked') AS clicked,
           bool_or(outcome.kind = 'opened') AS opened, bool_or(outcome.kind = 'purchased') AS reported,
           sum(outcome.amount) FILTER (WHERE outcome.kind = 'purchased') AS reported_amount
    FROM person
    JOIN generation_piece piece ON piece.profile_id = person.profile_id AND piece.run_id = ANY(%(runs)s)
    JOIN delivery_delivery d ON d.piece_id = piece.id
    LEFT JOIN delivery_outcome outcome
        ON outcome.delivery_id = d.id AND outcome.counted AND outcome.occurred_at < person.ended
    GROUP BY person.profile_id
), done AS (
    SELECT person.*, coalesce(visited, false) AS visited, coalesce(bought, false) AS bought,
           coalesce(amount, 0)::float8 AS amount, coalesce(got, false) AS got,
           coalesce(clicked, false) AS clicked, coalesce(opened, false) AS opened,
           coalesce(reported, false) AS reported, coalesce(reported_amount, 0)::float8 AS reported_amount
    FROM person LEFT JOIN acted USING (profile_id) LEFT JOIN answered USING (profile_id)
)
SELECT moved, arm, variant_id, count(*), count(*) FILTER (WHERE got), count(*) FILTER (WHERE visited),
       count(*) FILTER (WHERE bought), sum(amount), sum(amount * amount), count(*) FILTER (WHERE clicked),
       count(*) FILTER (WHERE opened), count(*) FILTER (WHERE reported), sum(reported_amount),
       sum(reported_amount * reported_amount), min(since), max(ended)
FROM done GROUP BY moved, arm, variant_id
"""


@dataclass(slots=True)
class Counts:
    """People of one arm or variant. `reported` are purchases that came as outcomes instead of events."""

    people: int = 0
    got: int = 0
    visitors: int = 0
    buyers: int = 0
    revenue: float = 0.0
    revenue_squares: float = 0.0
    clickers: int = 0
    openers: int = 0
    reported: int = 0
    reported_revenue: float = 0.0
    reported_squares: float = 0.0

    def add(self, other: Counts) -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def visits(self) -> Sums:
        return rate(self.people, self.visitors)

    @property
    def conversions(self) -> Sums:
        return rate(self.people, self.buyers)

    @property
    def clicks(self) -> Sums:
        return rate(self.people, self.clickers)

    @property
    def opens(self) -> Sums:
        return rate(self.people, self.openers)

    @property
    def money(self) -> Sums:
        return Sums(self.people, self.revenue, self.revenue_squares, self.buyers)


@dataclass(slots=True)
class Counted:
    """`moved`: people who were in different arms in different runs; they are in none of the counts."""

    arms: dict[Arm, Counts] = field(default_factory=dict)
    variants: dict[int, Counts] = field(default_factory=dict)
    moved: int = 0
    since: datetime | None = None  # null: nothing has left yet
    until: datetime | None = None
    from_outcomes: bool = False  # purchases are those reported as outcomes: no event of one is known


def count(*, run_ids: Sequence[int], experiment: Experiment) -> Counted:
    """Count the people of these runs. Purchases come from events; where there is not one, from outcomes."""
    found = Counted()
    visits, purchases = list(experiment.visit_events), list(experiment.purchase_events)
    with connection.cursor() as cursor:
        cursor.execute(
            _SQL,
            {
                "runs": list(run_ids),
                "days": experiment.window_days,
                "visits": visits,
                "purchases": purchases,
                "names": sorted({*visits, *purchases}),
            },
        )
        rows = cursor.fetchall()
    for moved, arm, variant_id, *numbers, since, until in rows:
        if moved:
            found.moved += int(numbers[0])
            continue
        counts = Counts(*numbers)
        found.arms.setdefault(Arm(arm), Counts()).add(counts)
        if variant_id is not None:
            found.variants.setdefault(variant_id, Counts()).add(counts)
        found.since = min(filter(None, (found.since, since)))
        found.until = max(filter(None, (found.until, until)))
    everybody = list(found.arms.values())
    if not any(one.buyers for one in everybody) and any(one.reported for one in everybody):
        found.from_outcomes = True
        for one in (*everybody, *found.variants.values()):
            one.buyers, one.revenue, one.revenue_squares = (
                one.reported, one.reported_revenue, one.reported_squares
            )  # fmt: skip
    return found
