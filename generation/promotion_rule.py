"""The rule by which a version of the writer takes the place of the active one. Pure; see docs/model-versions.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, Any]
TINY = 1e-9  # two rates are equal when rounding alone tells them apart


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of an evaluation. `loss` is how much worse it may be and still pass; None: it is not judged."""

    key: str
    label: str
    higher_is_better: bool = True
    percent: bool = True
    loss: float | None = None
    wins: bool = False  # being better here is a reason to promote


MEASURES = (
    Measure("clean_rate", "Clean at first writing", loss=0.01, wins=True),
    Measure("faithful_rate", "Faithful to the plan", loss=0.01, wins=True),
    Measure("reader_identified", "Reader identified", loss=0.03, wins=True),
    Measure("invented_numbers", "Invented numbers", higher_is_better=False, percent=False),
    Measure("grammar_ratio", "Grammar notes, people = 1", higher_is_better=False, percent=False, loss=0.1),
    Measure("distinct_openings", "Distinct openings"),
    Measure("self_overlap", "Overlap between pieces", higher_is_better=False),
    Measure("pieces_per_second", "Pieces a second", percent=False),
)
JUDGED = tuple(m for m in MEASURES if m.loss is not None)
NEEDED = (*(m.key for m in JUDGED), "invented_numbers")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the rule lets a version be promoted, and why. `wins` and `refusals` are sentences for a person."""

    refusals: tuple[str, ...] = ()
    wins: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.refusals


def judge(candidate: Metrics, active: Metrics | None) -> Verdict:
    """Whether `candidate` may be promoted over `active` (None or empty: nothing active, or it was never evaluated).

    1. The candidate was evaluated, and invented no number at all.
    2. Both were evaluated on the same validation briefs.
    3. Clean rate and faithful rate are not lower by more than 1 point, readers identified not by more than 3 points,
       and the grammar ratio is not higher by more than 0.1.
    4. At least one of clean rate, faithful rate and readers identified is better.

    2 to 4 compare, so they hold only against an active version that was evaluated. Rates are shares from 0 to 1.
    """
    missing = [key for key in NEEDED if _number(candidate, key) is None]
    if missing:
        what = "It was never evaluated" if not candidate else f"Its evaluation lacks {', '.join(missing)}"
        return Verdict((f"{what}: run evaluate_writer with --record.",))
    refusals: list[str] = []
    invented = _number(candidate, "invented_numbers") or 0
    if invented > 0:
        refusals.append(f"It invented {invented:g} number{'' if invented == 1 else 's'}; none is allowed.")
    if not active or all(_number(active, measure.key) is None for measure in JUDGED):
        return Verdict(tuple(refusals))
    if not same_briefs(candidate, active):
        refusals.append(
            "It was evaluated on other validation briefs than the active version: evaluate both on the same."
        )
        return Verdict(tuple(refusals))
    wins: list[str] = []
    for measure in JUDGED:
        now, before = _number(candidate, measure.key), _number(active, measure.key)
        if now is None or before is None or measure.loss is None:
            continue
        gain = now - before if measure.higher_is_better else before - now
        told = f"{measure.label}: {shown(measure, now)} after {shown(measure, before)}"
        if gain < -measure.loss - TINY:
            refusals.append(f"{told}, worse by more than {_step(measure)}.")
        elif measure.wins and gain > TINY:
            wins.append(f"{told}.")
    if not wins and not refusals:
        names = ", ".join(measure.label.lower() for measure in JUDGED if measure.wins)
        refusals.append(f"It is better in none of these: {names}.")
    return Verdict(tuple(refusals), tuple(wins))


def same_briefs(one: Metrics, other: Metrics) -> bool:
    """Whether two evaluations wrote for the same validation briefs. Without a word on them they are not the same."""
    first, second = _briefs(one), _briefs(other)
    return bool(first) and first == second


def shown(measure: Measure, value: float | None) -> str:
    """A measured number as a person reads it."""
    if value is None:
        return "—"
    return f"{100 * value:.1f} %" if measure.percent else f"{value:,.2f}".rstrip("0").rstrip(".")


def difference(measure: Measure, now: float | None, before: float | None) -> tuple[str, int]:
    """The change in words, and whether it is for the better (1), for the worse (-1) or neither (0)."""
    if now is None or before is None:
        return "", 0
    gain = now - before
    if abs(gain) < (0.0005 if measure.percent else 0.005):
        return "±0", 0
    told = f"{100 * gain:+.1f} pt" if measure.percent else f"{gain:+.2f}"
    return told.replace("-", "−"), 1 if (gain > 0) == measure.higher_is_better else -1


def number(metrics: Metrics, measure: Measure) -> float | None:
    return _number(metrics, measure.key)


def _briefs(metrics: Metrics) -> object:
    briefs = metrics.get("briefs")
    return briefs.get("hash") or briefs if isinstance(briefs, Mapping) else briefs


def _step(measure: Measure) -> str:
    assert measure.loss is not None
    if not measure.percent:
        return f"{measure.loss:g}"
    points = 100 * measure.loss
    return f"{points:g} point{'' if points == 1 else 's'}"


def _number(metrics: Metrics, key: str) -> float | None:
    value = metrics.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
