"""How often do intervals leave the truth out when somebody looks again and again? By simulation.

    python benchmarks/always_valid.py [--experiments 1000]

Two ways to look. Growing: people join day by day, as in an always-on campaign. Filling: everybody is there from the
start and acts within two weeks, as after one large mailing; the truth at each look is the share that has acted by then.
Each with no difference and with one; for shares and for revenue. A 95 % interval may miss in 5 % of experiments, over
all looks together. Needs numpy.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")

from delivery.results.statistics import Sums, compare_means, compare_rates

LOOKS = 28
PEOPLE = 20_000  # in each arm


def sums(values: np.ndarray) -> Sums:
    return Sums(len(values), float(values.sum()), float((values**2).sum()), int((values != 0).sum()))


def experiment(
    source: np.random.Generator, *, rates: tuple[float, float], money: bool, filling: bool
) -> tuple[bool, bool]:
    """Whether the interval for one look, and the one for all, left the truth out at any look."""
    acted, days, amounts = [], [], []
    for rate in rates:
        acted.append(source.random(PEOPLE) < rate)
        days.append(source.random(PEOPLE) ** 2)  # most act soon
        amounts.append(source.lognormal(4, 1, PEOPLE) if money else np.ones(PEOPLE))
    mean = np.exp(4.5) if money else 1.0
    missed_once = missed_always = False
    for look in range(1, LOOKS + 1):
        part = look / LOOKS
        arms = []
        for did, day, amount in zip(acted, days, amounts, strict=True):
            values = did * amount
            arms.append(values * (day < part) if filling else values[: int(PEOPLE * part)])
        by_then = np.sqrt(part) if filling else 1.0
        truth = (rates[0] - rates[1]) * mean * by_then
        compare = compare_means if money else compare_rates
        found = compare(sums(arms[0]), sums(arms[1]), expected_rate=0.01 if money else 0.1)
        if found.once is None or found.always is None:
            continue
        missed_once |= not found.once.low <= truth <= found.once.high
        missed_always |= not found.always.low <= truth <= found.always.high
    return missed_once, missed_always


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--experiments", type=int, default=1_000)
    many = parser.parse_args().experiments
    source = np.random.default_rng(8)
    print(
        f"{many} experiments, {LOOKS} looks, {PEOPLE:,} people an arm: share that missed the truth at any look"
    )
    print(f"{'looking at':12}{'measure':12}{'rates':18}{'plain 95 %':>12}{'always 95 %':>13}")
    worst = 0.0
    for filling in (False, True):
        for money, rates in (
            (False, (0.1, 0.1)),
            (False, (0.012, 0.009)),
            (True, (0.01, 0.01)),
            (True, (0.012, 0.009)),
        ):
            missed = np.array(
                [experiment(source, rates=rates, money=money, filling=filling) for _ in range(many)]
            ).mean(axis=0)
            worst = max(worst, missed[1])
            print(
                f"{'filling' if filling else 'growing':12}{'revenue' if money else 'share':12}{rates!s:18}"
                f"{missed[0]:>12.1%}{missed[1]:>13.1%}"
            )
    limit = 0.05 + 3 * (0.05 * 0.95 / many) ** 0.5
    print(f"\nworst {worst:.1%}; {limit:.1%} would be three standard errors above 5 %")
    return 0 if worst <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
