"""Intervals: the published examples, the libraries' values, and coverage by simulation."""

from __future__ import annotations

import math
import random

import pytest

from delivery.results import statistics
from delivery.results.statistics import Sums, Verdict, always_half, compare_means, compare_rates, rate


def sums(values):
    return Sums(len(values), sum(values), sum(v * v for v in values), sum(v != 0 for v in values))


@pytest.mark.parametrize(
    ("arm", "other", "low", "high"),
    [  # Newcombe 1998, Table II, method 10, examples (a), (b) and (e)
        ((70, 56), (80, 48), 0.0524, 0.3339),
        ((10, 9), (10, 3), 0.1705, 0.8090),
        ((56, 5), (29, 0), -0.0381, 0.1926),
    ],
)
def test_newcombes_own_examples(arm, other, low, high):
    found = statistics.rates_once(rate(*arm), rate(*other))

    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_and_welch_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    source = random.Random(5)
    one = [source.expovariate(0.02) if source.random() < 0.2 else 0.0 for _ in range(180)]
    two = [source.expovariate(0.05) if source.random() < 0.3 else 0.0 for _ in range(120)]

    welch = stats.ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    wilson = stats.binomtest(7, 130).proportion_ci(method="wilson")

    found = statistics.means_once(sums(one), sums(two))
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high), rel=1e-4)
    ours = statistics.wilson(rate(130, 7))
    assert (ours.low, ours.high) == pytest.approx((wilson.low, wilson.high), rel=1e-9)


def test_the_always_valid_half_is_the_mixtures_and_tightest_where_tuned():
    alpha = 0.05
    best = min(
        math.sqrt((1 + r) * math.log((1 + r) / (r * alpha**2))) for r in [n / 5000 for n in range(50, 5000)]
    )

    assert always_half(1, 1) == pytest.approx(best, rel=1e-6)
    assert always_half(0.01, 0.01) == pytest.approx(best / 100, rel=1e-6)  # it scales
    assert 1.5 < always_half(1, 1) / 1.96 < 1.6  # what looking at any time costs
    assert always_half(1, 3) > best and always_half(1, 1 / 3) > best


def test_looking_often_misleads_the_plain_interval_and_not_the_other():
    """No difference at all, looked at after every 200 people: how often either interval ever leaves zero out."""
    source = random.Random(11)
    experiments, plain, always = 120, 0, 0
    for _ in range(experiments):
        a = b = n = 0
        wrong_plain = wrong_always = False
        for _ in range(25):
            n += 100
            a += sum(source.random() < 0.1 for _ in range(100))
            b += sum(source.random() < 0.1 for _ in range(100))
            found = compare_rates(rate(n, a), rate(n, b), expected_rate=0.1)
            if found.once is None or found.always is None:
                continue
            wrong_plain |= not found.once.low <= 0 <= found.once.high
            wrong_always |= not found.always.low <= 0 <= found.always.high
        plain += wrong_plain
        always += wrong_always

    assert always <= 0.05 * experiments + 2
    assert plain > 2 * 0.05 * experiments


@pytest.mark.parametrize(
    ("arm", "other", "words"),
    [
        (rate(99, 30), rate(5_000, 900), "99 of at least 100 people"),
        (rate(5_000, 9), rate(5_000, 10), "19 of at least 20 people who did it"),
        (rate(200, 198), rate(200, 190), "12 of at least 20 people who did not"),
    ],
)
def test_too_little_is_said_and_nothing_shown(arm, other, words):
    found = compare_rates(arm, other, expected_rate=0.1)

    assert found.verdict == Verdict.TOO_FEW and words in found.missing
    assert found.once is None and found.always is None


def test_revenue_asks_for_buyers():
    arm, other = Sums(3_000, 600.0, 40_000.0, 20), Sums(3_000, 300.0, 9_000.0, 19)

    assert "39 of at least 40 buyers" in compare_means(arm, other, expected_rate=0.01).missing
    more = Sums(3_000, 600.0, 40_000.0, 21)
    assert compare_means(more, other, expected_rate=0.01).enough


def test_verdicts_follow_the_always_valid_interval():
    clear = compare_rates(rate(10_000, 1_800), rate(10_000, 1_000), expected_rate=0.1)
    less = compare_rates(rate(10_000, 1_000), rate(10_000, 1_800), expected_rate=0.1)
    close = compare_rates(rate(10_000, 1_090), rate(10_000, 1_000), expected_rate=0.1)

    assert (clear.verdict, less.verdict, close.verdict) == (Verdict.MORE, Verdict.LESS, Verdict.OPEN)
    assert close.once.low > 0  # one look alone would have said more
    assert clear.relative == pytest.approx(0.8)
