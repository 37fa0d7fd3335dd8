"""The arithmetic of approval by sample, against brute force, published sizes and its own promises."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.review import sampling_plans as plans
from generation.review.sampling_plans import Promise


def promise(confidence: str = "0.95", rate: str = "0.05") -> Promise:
    return Promise(Decimal(confidence), Decimal(rate))


@pytest.mark.parametrize(
    ("confidence", "rate", "size"),
    [
        # ln(1 - confidence) / ln(1 - rate), rounded up: the sizes of every table of zero-acceptance plans
        ("0.95", "0.10", 29),
        ("0.95", "0.05", 59),
        ("0.95", "0.02", 149),
        ("0.95", "0.01", 299),
        ("0.95", "0.001", 2995),
        ("0.90", "0.10", 22),
        ("0.90", "0.05", 45),
        ("0.90", "0.01", 230),
        ("0.99", "0.10", 44),
        ("0.99", "0.05", 90),
        ("0.99", "0.02", 228),
        ("0.99", "0.01", 459),
    ],
)
def test_large_batches_by_the_binomial(confidence: str, rate: str, size: int) -> None:
    asked = promise(confidence, rate)

    assert plans.endless_size(asked) == size
    assert abs(plans.sample_size(50_000_000, asked) - size) <= 1, "a huge batch is as good as an endless one"


@pytest.mark.parametrize(
    ("batch", "rate", "size"),
    [
        # hypergeometric, of the whole lot: smallest n with C(N-D, n)/C(N, n) <= 0.05
        (100, "0.10", 25),
        (100, "0.05", 45),
        (100, "0.02", 78),
        (100, "0.01", 95),
        (500, "0.05", 56),
        (500, "0.01", 225),
        (1000, "0.02", 138),
        (1000, "0.01", 258),
        (1000, "0.001", 950),
        (10_000, "0.01", 294),
    ],
)
def test_finite_lots_by_the_hypergeometric(batch: int, rate: str, size: int) -> None:
    bad = int(Decimal(rate) * batch)

    assert plans.lot_size(batch, promise(rate=rate)) == size
    assert Fraction(comb(batch - bad, size), comb(batch, size)) <= Fraction(1, 20)
    assert Fraction(comb(batch - bad, size - 1), comb(batch, size - 1)) > Fraction(1, 20)


@pytest.mark.parametrize("batch", [50, 100, 300, 1000, 5000])
@pytest.mark.parametrize("rate", ["0.01", "0.02", "0.05", "0.1"])
def test_lots_agree_with_the_published_approximation(batch: int, rate: str) -> None:
    """Cannon and Roe: n = (1 - risk^(1/D)) (N - (D - 1)/2), within one of the exact size."""
    bad = max(1, -(-int(Decimal(rate) * 10_000) * batch // 10_000))

    approximate = (1 - 0.05 ** (1 / bad)) * (batch - (bad - 1) / 2)

    assert abs(plans.lot_size(batch, promise(rate=rate)) - approximate) < 1.5


def test_the_chance_is_what_counting_every_draw_gives() -> None:
    for bad in range(7):
        for size in range(8):
            draws = list(combinations(range(7), size))
            for found in range(3):
                few = sum(1 for draw in draws if sum(1 for i in draw if i < bad) <= found)
                counted = Fraction(few, len(draws))
                assert plans.found_chance(batch=7, bad=bad, sample=size, found=found) == counted
                if not found:
                    assert plans.miss_chance(batch=7, bad=bad, sample=size) == counted


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 400),
    confidence=st.decimals("0.5", "0.9999", places=4),
    rate=st.decimals("0.001", "0.5", places=3),
)
def test_the_size_keeps_its_promise_and_no_smaller_one_does(
    batch: int, confidence: Decimal, rate: Decimal
) -> None:
    asked = Promise(confidence, rate)

    def keeps(size: int) -> bool:
        unread = batch - size
        bad = max(1, -(-asked.rate.numerator * unread // asked.rate.denominator))
        return size == batch or plans.miss_chance(batch=batch, bad=bad, sample=size) <= asked.risk

    size = plans.sample_size(batch, asked)

    assert 1 <= size <= batch and keeps(size)
    assert not any(keeps(smaller) for smaller in range(1, size) if batch - smaller > batch // 20)
    assert plans.lot_size(batch, asked) <= size, "what holds of the rest holds of the lot"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_bound_is_the_largest_number_that_the_sample_allows(data: st.DataObject) -> None:
    batch = data.draw(st.integers(1, 80))
    sample = data.draw(st.integers(1, batch))
    found = data.draw(st.integers(0, min(sample, 3)))

    worst = plans.most_bad(batch=batch, sample=sample, confidence=Decimal("0.95"), found=found)

    def possible(bad: int) -> bool:
        return plans.found_chance(batch=batch, bad=bad, sample=sample, found=found) > Fraction(1, 20)

    assert 0 <= worst <= batch - sample
    allowed = [bad for bad in range(found, batch - sample + found + 1) if possible(bad)]
    assert worst == max(allowed, default=found) - found


def test_the_bound_stays_below_what_was_promised() -> None:
    for batch in (61, 100, 400, 1240, 20_000):
        for rate in ("0.01", "0.05", "0.2"):
            asked = promise(rate=rate)
            size = plans.sample_size(batch, asked)
            worst = plans.most_bad(batch=batch, sample=size, confidence=asked.confidence)
            assert worst < asked.rate * (batch - size) or batch == size


def test_sizes_come_at_once_even_for_a_million() -> None:
    import time

    started = time.perf_counter()
    for batch in (1_000_000, 999_983):
        for rate in ("0.001", "0.01", "0.05"):
            plans.sample_size(batch, promise("0.999", rate))
    assert time.perf_counter() - started < 5


def test_the_same_seed_draws_the_same_and_a_larger_draw_begins_with_the_smaller() -> None:
    pieces = [(pk, f"{pk:064x}") for pk in range(1, 500)]

    drawn = plans.draw_order(7, pieces)

    assert sorted(drawn) == list(range(1, 500)) and drawn == plans.draw_order(7, reversed(pieces))
    assert drawn != plans.draw_order(8, pieces)
    fewer = [piece for piece in pieces if piece[0] != drawn[0]]
    assert plans.draw_order(7, fewer) == drawn[1:], "what leaves moves nobody else"
    assert drawn[:5] == [167, 454, 79, 391, 190], "an old draw can be made again by a later version"


def test_every_piece_is_drawn_as_often_as_any_other() -> None:
    pieces = [(pk, "x") for pk in range(20)]
    counts = [0] * 20
    for seed in range(4000):
        for pk in plans.draw_order(seed, pieces)[:5]:
            counts[pk] += 1
    # Each some 1,000 times with variance 4000 * 1/4 * 3/4: chi-square of 19 degrees, below 43.8 in 999 of 1,000 cases.
    assert sum((count - 1000) ** 2 for count in counts) / 750 * 19 / 20 < 43.8


def test_fingerprints_tell_texts_apart() -> None:
    pieces = [(1, 1, "a"), (2, 1, "b")]

    assert plans.fingerprint(pieces) == plans.fingerprint(pieces[::-1])
    assert len({plans.fingerprint(p) for p in (pieces, [(1, 2, "a"), (2, 1, "b")], [(1, 1, "a")], [])}) == 4


def test_words() -> None:
    assert plans.offer_in_words(1240, promise()) == (
        "Read 59 of 1,240. If all 59 are good, you can be 95 % sure that fewer than 5 in 100 of the rest are not."
    )
    assert plans.offer_in_words(30, promise(rate="0.01")).startswith("Read all 30")
    assert plans.offer_in_words(1, promise()) == "Read it: it is the only one."
    assert plans.offer_in_words(0, promise()) == "There is nothing to read."
    told = plans.risk_in_words(batch=1240, sample=59, promise=promise(), approved=1180)
    assert "59 of 1,240 were drawn at random and read" in told and "at most 59 of these 1,180" in told
    assert "nothing was approved unread" in plans.risk_in_words(batch=9, sample=9, promise=promise())
    assert plans.in_hundred(Decimal("0.005")) == "5 in 1,000"
    assert plans.in_hundred(Decimal("0.0500")) == "5 in 100"
    assert plans.percent(Decimal("0.9990")) == "99.9"


@pytest.mark.parametrize(
    ("confidence", "rate"), [("0.4", "0.05"), ("1", "0.05"), ("0.95", "0"), ("0.95", "0.6")]
)
def test_nonsense_is_refused(confidence: str, rate: str) -> None:
    with pytest.raises(ValueError):
        promise(confidence, rate)


def test_impossible_draws_are_refused() -> None:
    with pytest.raises(ValueError):
        plans.miss_chance(batch=5, bad=6, sample=1)
    with pytest.raises(ValueError):
        plans.most_bad(batch=5, sample=6, confidence=Decimal("0.95"))
