"""A run's or campaign's results as they are shown: counts, comparisons, and sentences that say what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils import timezone

from campaigns.models import Campaign, Run, RunStatus
from delivery.results import statistics
from delivery.results.counting import Counted, Counts, count
from delivery.results.statistics import Comparison, Sums, Verdict
from generation import experiments, variants
from generation.models import Allocation, Arm, Experiment, Reward, Variant


class Measure(StrEnum):
    VISITS = "visits"
    CONVERSIONS = "conversions"
    REVENUE = "revenue"
    CLICKS = "clicks"
    OPENS = "opens"


LABELS = {
    Measure.VISITS: "Visits",
    Measure.CONVERSIONS: "Conversions",
    Measure.REVENUE: "Revenue a person",
    Measure.CLICKS: "Clicks",
    Measure.OPENS: "Opens",
}
SUMS: dict[Measure, Callable[[Counts], Sums]] = {
    Measure.VISITS: lambda counts: counts.visits,
    Measure.CONVERSIONS: lambda counts: counts.conversions,
    Measure.REVENUE: lambda counts: counts.money,
    Measure.CLICKS: lambda counts: counts.clicks,
    Measure.OPENS: lambda counts: counts.opens,
}
# The share of people expected to do it, guessed before any data: it tunes the always-valid intervals, no more.
EXPECTED = {
    Measure.VISITS: 0.10,
    Measure.CONVERSIONS: 0.01,
    Measure.REVENUE: 0.01,
    Measure.CLICKS: 0.03,
}
NAMES = {Arm.PERSONAL: "Personal copy", Arm.GENERIC: "Generic copy", Arm.HOLDOUT: "No message"}
_DECIDED = (Measure.VISITS, Measure.CONVERSIONS, Measure.REVENUE)
_PAIRS = ((Arm.PERSONAL, Arm.HOLDOUT), (Arm.PERSONAL, Arm.GENERIC), (Arm.GENERIC, Arm.HOLDOUT))


@dataclass(frozen=True, slots=True)
class Compared:
    measure: Measure
    arm: Arm
    other: Arm
    found: Comparison
    people: int  # in `arm`

    @property
    def label(self) -> str:
        return LABELS[self.measure]

    @property
    def title(self) -> str:
        return f"{NAMES[self.arm]} against {NAMES[self.other].lower()}"

    @property
    def is_money(self) -> bool:
        return self.measure == Measure.REVENUE

    def shown(self, value: float) -> str:
        """A difference in words: points of a percentage, or money, always with its sign."""
        return f"{value:+,.2f}" if self.is_money else f"{100 * value:+.2f} points"

    def span(self, interval: statistics.Interval | None) -> str:
        if interval is None:
            return ""
        unit = "" if self.is_money else " points"
        scale = 1 if self.is_money else 100
        return f"{scale * interval.low:+,.2f} to {scale * interval.high:+,.2f}{unit}"

    @property
    def sentence(self) -> str:
        what = self.label.lower()
        if self.found.verdict == Verdict.TOO_FEW:
            return f"Not enough data to compare {what}: {self.found.missing}."
        if self.found.verdict == Verdict.OPEN:
            return f"No difference in {what} is shown yet: it may be anything from {self.span(self.found.always)}."
        relative = (
            f", {abs(self.found.relative):.0%} {self.found.verdict}"
            if self.found.relative is not None
            else ""
        )
        return (
            f"{self.label}: {self.found.verdict} than with {NAMES[self.other].lower()}, by "
            f"{self.shown(self.found.difference)} ({self.span(self.found.always)}{relative})."
        )

    @property
    def extra(self) -> float:
        """How many (or how much) more in this arm than had it done as the other."""
        return self.found.difference * self.people


@dataclass(frozen=True, slots=True)
class VariantLine:
    variant: Variant
    counts: Counts
    successes: int
    probability_best: float
    share: int | None  # of the newest run's people, of ten thousand

    @property
    def rate(self) -> float:
        return self.successes / self.counts.people if self.counts.people else 0.0

    @property
    def rate_shown(self) -> str:
        return f"{100 * self.rate:.2f} %"

    @property
    def best_shown(self) -> str:
        return f"{100 * self.probability_best:.0f} %"

    @property
    def share_shown(self) -> str:
        return "nobody" if self.share is None else f"{self.share / 100:.0f} %"


@dataclass(frozen=True, slots=True)
class Report:
    campaign: Campaign
    run: Run | None
    experiment: Experiment
    counted: Counted
    compared: tuple[Compared, ...]
    variants: tuple[VariantLine, ...]
    allocation: Allocation | None
    now: datetime

    @property
    def arms(self) -> list[tuple[Arm, Counts]]:
        return [(arm, self.counted.arms[arm]) for arm in Arm if arm in self.counted.arms]

    @property
    def is_closed(self) -> bool:
        """Whether the days that count are over: nothing will change any more."""
        return self.counted.until is not None and self.now >= self.counted.until

    @property
    def notes(self) -> list[str]:
        found = []
        if self.counted.since and len(self.counted.arms) < 2:
            found.append(
                "There is nothing to compare with: set a hold-out or generic copy on the campaign's experiment page "
                "before its next run. Without one, nobody can say what people would have done anyway."
            )
        if self.counted.moved:
            found.append(
                f"{self.counted.moved:,} people were in different arms in different runs, because the percentages "
                "changed between them. They are left out."
            )
        if self.counted.from_outcomes:
            found.append(
                "Purchases are those reported as outcomes of a message. Somebody without a message can have none, so "
                "conversions and revenue are not compared with the hold-out: send purchases as events."
            )
        elif reported := sum(counts.reported for _, counts in self.arms if not counts.buyers):
            found.append(f"{reported:,} buyers were reported as outcomes only, and are not counted.")
        if self.allocation is not None and self.allocation.rule == variants.THOMPSON:
            found.append(
                "Variants get people by how they do. That finds the better one with fewer people in the worse, and "
                "makes their plain rates lean a little: read the share, not the difference."
            )
        return found


def of_run(run: Run, *, now: datetime | None = None) -> Report:
    return _report(run.campaign, run, [run.pk], now)


def of_campaign(campaign: Campaign, *, now: datetime | None = None) -> Report:
    """All its runs together, but for those that were cancelled before anything left."""
    runs = Run.objects.filter(campaign=campaign).exclude(status=RunStatus.CANCELLED)
    return _report(campaign, None, list(runs.values_list("pk", flat=True)), now)


def compare(counted: Counted) -> tuple[Compared, ...]:
    found = []
    for arm, other in _PAIRS:
        if arm not in counted.arms or other not in counted.arms:
            continue
        one, two = counted.arms[arm], counted.arms[other]
        for measure in (*_DECIDED, Measure.CLICKS):
            if other == Arm.HOLDOUT and (measure == Measure.CLICKS or _only_reported(counted, measure)):
                continue
            test = statistics.compare_means if measure == Measure.REVENUE else statistics.compare_rates
            result = test(SUMS[measure](one), SUMS[measure](two), expected_rate=EXPECTED[measure])
            found.append(Compared(measure, arm, other, result, one.people))
    return tuple(found)


def _only_reported(counted: Counted, measure: Measure) -> bool:
    return counted.from_outcomes and measure in (Measure.CONVERSIONS, Measure.REVENUE)


def _report(campaign: Campaign, run: Run | None, run_ids: Sequence[int], now: datetime | None) -> Report:
    experiment = experiments.of(campaign)
    counted = count(run_ids=run_ids, experiment=experiment)
    allocation = Allocation.objects.filter(run__in=run_ids).order_by("-run_id").first()
    return Report(
        campaign=campaign,
        run=run,
        experiment=experiment,
        counted=counted,
        compared=compare(counted),
        variants=_variants(experiment, counted, allocation),
        allocation=allocation,
        now=now or timezone.now(),
    )


REWARDED: dict[Reward, Callable[[Counts], int]] = {
    Reward.CLICKED: lambda counts: counts.clickers,
    Reward.VISITED: lambda counts: counts.visitors,
    Reward.PURCHASED: lambda counts: counts.buyers,
}


def _variants(
    experiment: Experiment, counted: Counted, allocation: Allocation | None
) -> tuple[VariantLine, ...]:
    rows = {variant.pk: variant for variant in Variant.objects.filter(pk__in=list(counted.variants))}
    worked = REWARDED[Reward(experiment.reward)]
    tried = {pk: (worked(counts), counts.people) for pk, counts in counted.variants.items()}
    best = variants.probability_best(tried, seed=1)
    shares = allocation.shares if allocation else {}
    return tuple(
        VariantLine(variant, counted.variants[pk], tried[pk][0], best[pk], shares.get(str(pk)))
        for pk, variant in sorted(rows.items())
    )
