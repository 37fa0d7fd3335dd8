"""Differences between two arms, with intervals. Pure, from sums alone: no person is needed here.

Two kinds of interval stand side by side. `rates_once` and `means_once` hold for somebody who looks one time, at a time
set beforehand: Newcombe's hybrid score interval for two rates (Newcombe 1998, Statistics in Medicine 17:873, method 10)
and Welch's for two means. `always` holds however often somebody looks and whenever they stop: the normal mixture
boundary of Robbins in the form of Howard, Ramdas, McAuliffe and Sekhon 2021 ("Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 49:1055, equation 14; the mixture SPRT of Johari, Koomen,
Pekelis and Walsh 2017/2022, "Always valid inference", inverted), applied to means with an estimated variance as in
Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central limit theory and asymptotic confidence
sequences", arXiv 2103.06476): at least 95 % in the limit of many people, which `benchmarks/always_valid.py` checks by
simulation. Decisions are made by `always`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

ALPHA = 0.05
_Z = NormalDist().inv_cdf(1 - ALPHA / 2)
# Below these a normal limit says little: then the answer is "not enough data", and no difference is shown.
LEAST_PEOPLE = 100  # in each arm
LEAST_EVENTS = 20  # in both arms together, and as many people without
LEAST_BUYERS = 40  # in both arms together, for revenue, whose amounts vary


class Verdict(StrEnum):
    MORE = "more"
    LESS = "less"
    OPEN = "open"  # enough data, and zero is inside the interval
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class Sums:
    """One arm of one measure. For a rate `total` and `squares` are both the number of people who did it."""

    people: int
    total: float
    squares: float
    doers: int  # people with anything at all

    @property
    def mean(self) -> float:
        return self.total / self.people if self.people else 0.0

    @property
    def variance(self) -> float:
        """The sample's, with n - 1."""
        if self.people < 2:
            return 0.0
        return max(0.0, (self.squares - self.total**2 / self.people) / (self.people - 1))


def rate(people: int, doers: int) -> Sums:
    return Sums(people, float(doers), float(doers), doers)


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is per person: of shares, or of amounts. `relative` is against the other arm, None against zero."""

    difference: float
    relative: float | None
    once: Interval | None
    always: Interval | None
    verdict: Verdict
    missing: str = ""  # what there is too little of, for TOO_FEW

    @property
    def enough(self) -> bool:
        return self.verdict != Verdict.TOO_FEW


def compare_rates(arm: Sums, other: Sums, *, expected_rate: float) -> Comparison:
    """`expected_rate` is a guess made before looking: it tunes how tight `always` is when, never whether it holds."""
    return _compare(arm, other, missing=_missing_rate(arm, other), once=rates_once, scale=expected_rate)


def compare_means(arm: Sums, other: Sums, *, expected_rate: float) -> Comparison:
    """Revenue and the like: most people zero. `expected_rate` is the share that will have any, guessed beforehand."""
    doers = arm.doers + other.doers
    typical = (arm.squares + other.squares) / doers if doers else 0.0
    missing = _missing_people(arm, other)
    if not missing and doers < LEAST_BUYERS:
        missing = f"{doers} of at least {LEAST_BUYERS} buyers"
    return _compare(arm, other, missing=missing, once=means_once, scale=expected_rate * typical)


def rates_once(arm: Sums, other: Sums, *, alpha: float = ALPHA) -> Interval:
    """Newcombe's interval of the difference: stays inside -1 and 1 and holds for rates near zero."""
    one, two = wilson(arm, alpha=alpha), wilson(other, alpha=alpha)
    p, q = arm.mean, other.mean
    return Interval(
        p - q - math.hypot(p - one.low, two.high - q),
        p - q + math.hypot(one.high - p, q - two.low),
    )


def wilson(sums: Sums, *, alpha: float = ALPHA) -> Interval:
    """Wilson's score interval of one rate (1927)."""
    if not sums.people:
        return Interval(0.0, 1.0)
    z, n, p = NormalDist().inv_cdf(1 - alpha / 2), sums.people, sums.mean
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def means_once(arm: Sums, other: Sums, *, alpha: float = ALPHA) -> Interval:
    """Welch's interval. The t quantile is Abramowitz and Stegun 26.7.5, exact enough above 30 degrees."""
    one, two = arm.variance / arm.people, other.variance / other.people
    error = math.sqrt(one + two)
    if not error:
        return Interval(arm.mean - other.mean, arm.mean - other.mean)
    df = (one + two) ** 2 / (one**2 / (arm.people - 1) + two**2 / (other.people - 1))
    half = _t(1 - alpha / 2, df) * error
    return Interval(arm.mean - other.mean - half, arm.mean - other.mean + half)


def means_of(sums: Sums, *, alpha: float = ALPHA) -> Interval:
    """The interval of one mean, for a picture."""
    if sums.people < 2:
        return Interval(sums.mean, sums.mean)
    half = _t(1 - alpha / 2, sums.people - 1) * math.sqrt(sums.variance / sums.people)
    return Interval(sums.mean - half, sums.mean + half)


def always_half(error: float, tuned: float, *, alpha: float = ALPHA) -> float:
    """Half the width of the always-valid interval, for a standard error now and the one expected at the end.

    With M = N (estimate - truth), V = N² error² and the mixture's r: |M| < sqrt((V + r) log((V + r) / (r alpha²)))
    at all times together; N cancels. r is chosen so that the interval is tightest when V = N² tuned².
    """
    v = error**2
    # The minimum over r of the boundary at v: r = v / c, where c solves c = log(1 + c) - 2 log(alpha).
    c = -2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))
    for _ in range(20):
        c = math.log1p(c) - 2 * math.log(alpha)
    r = tuned**2 / c
    return math.sqrt((v + r) * math.log((v + r) / (r * alpha**2)))


def _compare(arm: Sums, other: Sums, *, missing: str, once: object, scale: float) -> Comparison:
    difference = arm.mean - other.mean
    relative = difference / other.mean if other.mean else None
    if missing:
        return Comparison(difference, relative, None, None, Verdict.TOO_FEW, missing)
    error = math.sqrt(arm.variance / arm.people + other.variance / other.people)
    tuned = math.sqrt(scale * (1 / arm.people + 1 / other.people))
    half = always_half(error, tuned)
    always = Interval(difference - half, difference + half)
    verdict = Verdict.MORE if always.low > 0 else Verdict.LESS if always.high < 0 else Verdict.OPEN
    assert callable(once)
    return Comparison(difference, relative, once(arm, other), always, verdict)


def _missing_people(arm: Sums, other: Sums) -> str:
    fewest = min(arm.people, other.people)
    return f"{fewest} of at least {LEAST_PEOPLE} people in the smaller arm" if fewest < LEAST_PEOPLE else ""


def _missing_rate(arm: Sums, other: Sums) -> str:
    if missing := _missing_people(arm, other):
        return missing
    doers, people = arm.doers + other.doers, arm.people + other.people
    if doers < LEAST_EVENTS:
        return f"{doers} of at least {LEAST_EVENTS} people who did it"
    if people - doers < LEAST_EVENTS:
        return f"{people - doers} of at least {LEAST_EVENTS} people who did not"
    return ""


def _t(probability: float, df: float) -> float:
    z = NormalDist().inv_cdf(probability)
    return (
        z
        + (z**3 + z) / (4 * df)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * df**3)
    )
