"""Acceptance sampling with acceptance number zero: how many of a batch to read, and what that shows. No Django.

A batch of N pieces holds D bad ones. Of n pieces drawn without replacement none is bad with the hypergeometric chance

    P(0 bad | N, D, n) = C(N - D, n) / C(N, n)

and, for a batch without end with the share p of bad ones, with the binomial (1 - p)^n. A plan asks for the smallest n
that keeps this chance at or below 1 - confidence whenever the batch is as bad as it must not be. For a confidence of
95 % that is 59, 149 and 299 pieces for 5, 2 and 1 bad in 100 of a large batch.

Textbooks speak of the whole lot. People approve what nobody read, so `sample_size` promises it of the rest: bad are
at least p(N - n) of the N - n unread. That is a little stricter than the lot's pN and implies it.

Sources: E. G. Schilling and D. V. Neubauer, Acceptance Sampling in Quality Control (3rd edition, 2017), on attribute
plans with acceptance number zero and on lot-sensitive plans; N. L. Johnson, S. Kotz and A. W. Kemp, Univariate Discrete
Distributions, on the hypergeometric. R. M. Cannon and R. T. Roe, Livestock Disease Surveys (1982), approximate the same
sizes in closed form. Where it is close, integers are compared, so that no rounding passes a plan that falls short.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, comb, lgamma, log, perm

LEAST_CONFIDENCE, MOST_CONFIDENCE = Decimal("0.5"), Decimal("0.9999")
LEAST_RATE, MOST_RATE = Decimal("0.001"), Decimal("0.5")
_SLACK = 1e-5  # of logarithms made of lgamma, for batches up to some hundred million


@dataclass(frozen=True, slots=True)
class Promise:
    """With `confidence`, fewer than `defect_rate` of what nobody read is bad. Both are shares, such as 0.95 and 0.05.

    Raises ValueError outside 0.5 to 0.9999 and 0.001 to 0.5.
    """

    confidence: Decimal
    defect_rate: Decimal

    def __post_init__(self) -> None:
        if not LEAST_CONFIDENCE <= self.confidence <= MOST_CONFIDENCE:
            raise ValueError("The confidence is between 50 % and 99.99 %.")
        if not LEAST_RATE <= self.defect_rate <= MOST_RATE:
            raise ValueError("The share of bad pieces is between 0.1 and 50 in 100.")

    @property
    def risk(self) -> Fraction:
        """The chance to pass a batch that is as bad as it must not be."""
        return 1 - Fraction(self.confidence)

    @property
    def rate(self) -> Fraction:
        return Fraction(self.defect_rate)


def miss_chance(*, batch: int, bad: int, sample: int) -> Fraction:
    """The chance that a random sample of a batch shows none of its bad pieces, exactly (hypergeometric)."""
    _check(batch, bad, sample)
    few = min(bad, sample)  # C(N-D, n)/C(N, n) = C(N-n, D)/C(N, D): the shorter product of the two
    return Fraction(perm(batch - max(bad, sample), few), perm(batch, few))


def found_chance(*, batch: int, bad: int, sample: int, found: int) -> Fraction:
    """The chance that a random sample shows at most `found` bad pieces, exactly."""
    _check(batch, bad, sample)
    ways = sum(comb(bad, i) * comb(batch - bad, sample - i) for i in range(min(found, bad, sample) + 1))
    return Fraction(ways, comb(batch, sample))


@lru_cache(maxsize=1024)
def endless_size(promise: Promise) -> int:
    """How many to read of a batch so large that its size does not matter (binomial)."""
    good = 1 - promise.rate
    size = max(1, int(log(float(promise.risk)) / log(float(good))) - 1)
    while good**size > promise.risk:
        size += 1
    return size


@lru_cache(maxsize=4096)
def lot_size(batch: int, promise: Promise) -> int:
    """The textbook's size: fewer than `defect_rate` of the whole batch, what was read included."""
    if batch <= 0:
        return 0
    bad = max(1, ceil(promise.rate * batch))
    low, high = 1, batch - bad + 1  # reading one more than there can be good ones always shows a bad one
    while low < high:
        middle = (low + high) // 2
        if _misses_too_often(batch, bad, middle, promise.risk):
            low = middle + 1
        else:
            high = middle
    return low


@lru_cache(maxsize=4096)
def sample_size(batch: int, promise: Promise) -> int:
    """How many to read of a batch of this size so that the promise holds of the rest.

    All, where less than a twentieth would stay unread: that is not worth a promise.
    """
    # The rest must not hold as many bad pieces as the lot, so no smaller sample than the lot's can do.
    size = lot_size(batch, promise)
    while size < batch:
        bad = max(1, ceil(promise.rate * (batch - size)))
        if not _misses_too_often(batch, bad, size, promise.risk):
            break
        size += 1
    return batch if batch - size <= batch // 20 else size


@lru_cache(maxsize=4096)
def most_bad(*, batch: int, sample: int, confidence: Decimal, found: int = 0) -> int:
    """How many of the unread pieces may be bad at most, with this confidence, when the sample showed `found`.

    The largest number that such a sample would not contradict: the exact upper bound of the hypergeometric.
    """
    _check(batch, found, sample)
    risk = 1 - Fraction(confidence)
    low, high = found, batch - sample + found  # bad ones of the whole batch; `low` is always possible
    while low < high:
        middle = (low + high + 1) // 2
        if found:
            possible = found_chance(batch=batch, bad=middle, sample=sample, found=found) > risk
        else:
            possible = _misses_too_often(batch, middle, sample, risk)
        if possible:
            low = middle
        else:
            high = middle - 1
    return low - found


def draw_order(seed: int, pieces: Iterable[tuple[int, str]]) -> list[int]:
    """The ids of (id, text hash) in the random order of this seed: whoever knows the seed can draw again.

    Each text's place depends on the seed and on itself alone. So a larger draw of the same seed begins with the
    smaller one, and nobody gets rid of a drawn text by drawing once more.
    """

    def place(piece: tuple[int, str]) -> tuple[bytes, int]:
        return hashlib.sha256(f"{seed}:{piece[0]}:{piece[1]}".encode()).digest(), piece[0]

    return [pk for pk, _ in sorted(pieces, key=place)]


def fingerprint(pieces: Iterable[tuple[int, int, str]]) -> str:
    """(id, revision, text hash) of each covered piece as one sha256, the same in whatever order they come."""
    lines = sorted(pieces)
    return hashlib.sha256("\n".join(f"{pk}:{rev}:{text}" for pk, rev, text in lines).encode()).hexdigest()


# -- in words ------------------------------------------------------------------------------------------


def percent(share: Decimal) -> str:
    """0.95 -> '95', 0.005 -> '0.5'."""
    text = f"{share * 100:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def in_hundred(rate: Decimal) -> str:
    """0.05 -> '5 in 100', 0.005 -> '5 in 1,000'."""
    per = next((n for n in (100, 1000, 10_000) if rate * n == int(rate * n)), 100)
    return f"{percent(rate)} in 100" if per == 100 else f"{int(rate * per)} in {per:,}"


def offer_in_words(batch: int, promise: Promise) -> str:
    """What a plan asks and gives, before anybody read anything."""
    if batch <= 0:
        return "There is nothing to read."
    size = sample_size(batch, promise)
    if size >= batch:
        return (
            "Read it: it is the only one."
            if batch == 1
            else f"Read all {batch:,}: so few show nothing about the rest."
        )
    return (
        f"Read {size:,} of {batch:,}. If {'it is' if size == 1 else f'all {size:,} are'} good, you can be "
        f"{percent(promise.confidence)} % sure that fewer than {in_hundred(promise.defect_rate)} of the rest are not."
    )


def risk_in_words(*, batch: int, sample: int, promise: Promise, approved: int | None = None) -> str:
    """What a passed sample shows of the rest, of which `approved` were still as drawn."""
    rest = batch - sample
    if rest <= 0:
        return f"All {batch:,} were read and decided one by one: nothing was approved unread."
    worst = most_bad(batch=batch, sample=sample, confidence=promise.confidence)
    unread = rest if approved is None else approved
    bound = f"at most {worst:,} of these {unread:,}" if worst else f"none of these {unread:,}"
    sure = percent(promise.confidence)
    return (
        f"{sample:,} of {batch:,} were drawn at random and read, and none of them was bad. Were "
        f"{in_hundred(promise.defect_rate)} of the {rest:,} others bad, at least {sure} of 100 such samples would have "
        f"shown one. So, {sure} % sure, {bound} approved unread {'is' if worst == 1 else 'are'} bad, if the readers "
        "noticed what was bad in what they read."
    )


def _misses_too_often(batch: int, bad: int, sample: int, risk: Fraction) -> bool:
    """Whether the miss chance is above the risk. Logarithms decide where they are far apart, integers where not."""
    if sample + bad > batch:
        return False
    guess = (
        lgamma(batch - bad + 1)
        - lgamma(batch - bad - sample + 1)
        - lgamma(batch + 1)
        + lgamma(batch - sample + 1)
    )
    limit = log(float(risk))
    if abs(guess - limit) > _SLACK:
        return guess > limit
    few = min(bad, sample)
    return perm(batch - max(bad, sample), few) * risk.denominator > perm(batch, few) * risk.numerator


def _check(batch: int, bad: int, sample: int) -> None:
    if not (0 <= bad <= batch and 0 <= sample <= batch):
        raise ValueError(f"No {sample} can be drawn and no {bad} be bad of {batch}.")
