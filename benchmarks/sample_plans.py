"""Does a sample keep its promise? Batches with planted bad pieces, drawn and read, by the plans the product offers.

    python benchmarks/sample_plans.py [--batches 20000] [--seed 1]

Each plan meets batches that are exactly as bad as it promises they are not: the share of the unread that is bad
reaches the stated rate. At most 1 - confidence of them may pass; beside it stands the exact chance. The product's own
draw is used for some of them, an independent random generator for the rest. Then come batches of every quality, and of
those that passed it is counted how many hold more bad pieces than the certificate says. Ends with an error where a
promise is broken beyond chance.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from decimal import Decimal
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# The arithmetic alone: its package would load Django.
_FILE = Path(__file__).resolve().parent.parent / "generation" / "review" / "sampling_plans.py"
_SPEC = importlib.util.spec_from_file_location("sampling_plans", _FILE)
assert _SPEC and _SPEC.loader
plans = importlib.util.module_from_spec(_SPEC)
sys.modules["sampling_plans"] = plans
_SPEC.loader.exec_module(plans)

PLANS = [
    # batch, confidence, rate
    (60, "0.95", "0.1"),
    (150, "0.95", "0.05"),
    (1240, "0.95", "0.05"),
    (1240, "0.95", "0.02"),
    (1240, "0.95", "0.01"),
    (1240, "0.90", "0.05"),
    (1240, "0.99", "0.05"),
    (5000, "0.95", "0.05"),
    (5000, "0.95", "0.01"),
]
OWN_DRAWS = 2_000
CHUNK = 2_000_000  # random numbers held at a time


def found(rng: np.random.Generator, batch: int, bad: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Bad pieces among the drawn, for one batch of each number of bad ones: shuffle, read the first `size`."""
    counts = np.empty(len(bad), dtype=np.int64)
    step = max(1, CHUNK // batch)
    for start in range(0, len(bad), step):
        some = bad[start : start + step]
        drawn = rng.random((len(some), batch)).argpartition(size - 1, axis=1)[:, :size]
        counts[start : start + step] = (drawn < some[:, None]).sum(
            axis=1
        )  # the first `bad` pieces are the bad ones
    return counts


def found_by_own_draw(batch: int, bad: int, size: int, seed: int) -> int:
    drawn = plans.draw_order(seed, ((pk, f"{pk:064x}") for pk in range(batch)))[:size]
    return sum(pk < bad for pk in drawn)


def main(batches: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    broken = 0
    print(f"{batches:,} batches per plan and row; passed = no bad piece among the read")
    print(
        "  batch  conf.  rate   read  unread bad   allowed    exact   passed   own draw"
        " |  any quality: passed   worse than said"
    )
    started = time.monotonic()
    for batch, confidence, rate in PLANS:
        promise = plans.Promise(Decimal(confidence), Decimal(rate))
        size = plans.sample_size(batch, promise)
        bad = max(1, ceil(promise.rate * (batch - size)))
        risk = float(promise.risk)
        exact = float(plans.miss_chance(batch=batch, bad=bad, sample=size))
        passed = float((found(rng, batch, np.full(batches, bad), size) == 0).mean())
        own_batches = min(OWN_DRAWS, batches, max(200, CHUNK // batch))
        own = sum(found_by_own_draw(batch, bad, size, seed * 1_000_003 + i) == 0 for i in range(own_batches))
        # any quality, from spotless to four times as bad as promised
        many = rng.integers(0, 4 * bad + 1, batches)
        through = found(rng, batch, many, size) == 0
        said = plans.most_bad(batch=batch, sample=size, confidence=promise.confidence)
        worse = float((through & (many > said)).mean())
        for seen, count in ((passed, batches), (own / own_batches, own_batches), (worse, batches)):
            broken += seen > risk + 4 * sqrt(risk * (1 - risk) / count)
        sure, share = plans.percent(promise.confidence), plans.percent(promise.defect_rate)
        print(
            f"{batch:7,}  {sure:>4} %  {share:>3} %  {size:5,}  {bad:5,} of {batch - size:5,}  {100 * risk:6.2f} %"
            f"  {100 * exact:6.2f} %  {100 * passed:6.2f} %   {100 * own / own_batches:6.2f} %"
            f" |  {100 * through.mean():19.2f} %  {100 * worse:14.2f} %"
        )
    print(
        f"{'A promise is broken.' if broken else 'Every promise holds.'} {time.monotonic() - started:.0f} s"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, default=20_000, help="per plan and row (default 20,000)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(main(options.batches, options.seed))
