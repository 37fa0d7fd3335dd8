"""Sharing a run's people out between the campaign's variants: equally, or by what has worked so far.

The second way is Thompson sampling (Thompson 1933; Chapelle and Li 2011, "An Empirical Evaluation of Thompson
Sampling"): each variant's rate has the posterior Beta(1 + successes, 1 + failures), and a variant's share of the next
people is how often a draw of its rate is the highest. No share falls below the floor, so that none is given up for
good. Draws come from a stored seed: the same counts give the same shares, on any machine.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import structlog

from campaigns.models import Run
from generation import experiments
from generation.arms import BUCKETS, bucket_sql
from generation.models import Allocation, Experiment, Reward, Variant

log = structlog.get_logger(__name__)

DRAWS = 4_000
EQUAL, THOMPSON = "equal", "thompson"
Counts = Mapping[int, tuple[int, int]]  # variant -> (successes, people)


def probability_best(counts: Counts, *, seed: int, draws: int = DRAWS) -> dict[int, float]:
    """How probable it is of each variant that its rate is the highest, by `draws` draws of the posteriors."""
    if not counts:
        return {}
    source = random.Random(seed)
    wins = dict.fromkeys(sorted(counts), 0)
    posteriors = [(key, 1 + counts[key][0], 1 + counts[key][1] - counts[key][0]) for key in wins]
    for _ in range(draws):
        best = max(posteriors, key=lambda one: source.betavariate(one[1], one[2]))
        wins[best[0]] += 1
    return {key: won / draws for key, won in wins.items()}


def shares(counts: Counts, *, seed: int, floor_percent: int) -> dict[int, int]:
    """Each variant's share, of ten thousand, by probability of being the best and never below the floor."""
    floor = min(floor_percent / 100, 1 / max(len(counts), 1))
    free = 1 - floor * len(counts)
    best = probability_best(counts, seed=seed)
    return _whole({key: floor + free * probability for key, probability in best.items()})


def equal_shares(keys: list[int]) -> dict[int, int]:
    return _whole({key: 1 / len(keys) for key in sorted(keys)})


def _whole(parts: Mapping[int, float]) -> dict[int, int]:
    """Parts of one as whole buckets that add up: the largest remainders are rounded up."""
    exact = {key: part * BUCKETS for key, part in parts.items()}
    found = {key: int(part) for key, part in exact.items()}
    left = BUCKETS - sum(found.values())
    for key in sorted(exact, key=lambda one: (found[one] - exact[one], one))[:left]:
        found[key] += 1
    return found


def next_shares(
    experiment: Experiment, active: Sequence[Variant], *, seed: int
) -> tuple[str, Counts, dict[int, int]]:
    """By which rule, from which counts and in which shares a run would be shared out between these variants now."""
    counts = {variant.pk: (variant.successes, variant.people) for variant in active}
    if experiment.is_adaptive and len(active) > 1:
        return THOMPSON, counts, shares(counts, seed=seed, floor_percent=experiment.floor_percent)
    return EQUAL, counts, equal_shares(list(counts))


def allocation_of(run: Run) -> Allocation | None:
    """How this run shares its people out, decided once and stored; None for a campaign without variants."""
    known = Allocation.objects.filter(run=run).first()
    if known is not None:
        return known
    active = experiments.variants_of(run.campaign)
    if not active:
        return None
    experiment, seed = experiments.of(run.campaign), run.pk
    rule, counts, shared = next_shares(experiment, active, seed=seed)
    made, _ = Allocation.objects.get_or_create(
        run=run,
        defaults={
            "seed": seed,
            "rule": rule,
            "reward": Reward(experiment.reward),
            "floor_percent": experiment.floor_percent,
            "counts": {str(key): list(value) for key, value in counts.items()},
            "shares": {str(key): value for key, value in shared.items()},
        },
    )
    log.info("variants_allocated", run_id=run.pk, rule=made.rule, shares=made.shares)
    return made


def repeat(allocation: Allocation) -> dict[int, int]:
    """The shares worked out again from what the allocation has stored: equal to `shares`, or it was tampered with."""
    counts = {int(key): (value[0], value[1]) for key, value in allocation.counts.items()}
    if allocation.rule == EQUAL:
        return equal_shares(list(counts))
    return shares(counts, seed=allocation.seed, floor_percent=allocation.floor_percent)


def columns_sql(allocation: Allocation, external_id: str) -> dict[str, tuple[str, tuple[object, ...]]]:
    """The columns `variant_id` and `steer` of a new piece, as SQL over the SQL expression of the reader's id.

    By a stable hash, so that a person changes variants only where the shares moved.
    """
    placed = f"(SELECT {bucket_sql(f'%s || {external_id}')} AS bucket) AS placed"
    salt = f"variant:{allocation.run.campaign_id}:"
    ordered = sorted((int(key), share) for key, share in allocation.shares.items())
    steers = dict(Variant.objects.filter(pk__in=[key for key, _ in ordered]).values_list("pk", "steer"))
    ids, hints = "", ""
    id_params: list[object] = []
    hint_params: list[object] = []
    upto = 0
    for key, share in ordered:
        upto += share
        ids += " WHEN bucket < %s THEN %s::bigint"
        hints += " WHEN bucket < %s THEN %s::varchar"
        id_params += [upto, key]
        hint_params += [upto, steers[key]]
    return {
        "variant_id": (f"(SELECT CASE{ids} END FROM {placed})", (*id_params, salt)),
        "steer": (f"(SELECT CASE{hints} END FROM {placed})", (*hint_params, salt)),
    }
