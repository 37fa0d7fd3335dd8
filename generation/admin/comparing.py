"""Two versions of the writer side by side, as plain data; templates escape it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campaigns.models import Channel
from generation import blind
from generation.admin import texts
from generation.promotion_rule import MEASURES, Measure, difference, number, shown
from generation.writer import channels
from generation.writer.types import Channel as WriterChannel

PAIRS = 10
_TONES = {1: "good", 0: "quiet", -1: "bad"}


def measures(mine: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every measure of this version, of the other, and the change; then the clean rate of each channel."""
    rows = [_row(measure, number(mine, measure), number(other, measure)) for measure in MEASURES]
    own, others = (_channels(metrics) for metrics in (mine, other))
    for channel, label in Channel.choices:
        if channel in own or channel in others:
            clean = Measure(channel, f"Clean: {label}")
            rows.append(_row(clean, number(own, clean), number(others, clean)))
    return rows if mine or other else []


def pairs(mine: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """(ten pieces of this version with the other's for the same brand, reader and channel, whether all have both).

    Pieces that both wrote come first, in the order of this version's evaluation.
    """
    written: dict[str, list[Mapping[str, Any]]] = {}
    for piece in blind.pieces(other):
        written.setdefault(blind.asked_of(piece), []).append(piece)
    rows = []
    for piece in blind.pieces(mine):
        same = written.get(blind.asked_of(piece), [])
        rows.append({**told(piece), "mine": fields(piece), "other": fields(same.pop(0)) if same else None})
    rows.sort(key=lambda row: row["other"] is None)  # stable: the order within each stays
    chosen = rows[:PAIRS]
    return chosen, bool(chosen) and all(row["other"] is not None for row in chosen)


def unbroken(measure: Measure, value: float | None) -> str:
    """A number that a narrow column does not part from its sign."""
    return shown(measure, value).replace(" ", "\u00a0")


def _row(measure: Measure, mine: float | None, other: float | None) -> dict[str, str]:
    change, better = difference(measure, mine, other)
    return {
        "label": measure.label,
        "mine": unbroken(measure, mine),
        "other": unbroken(measure, other),
        "change": change,
        "tone": _TONES[better],
    }


def _channels(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    found = metrics.get("clean_rate_by_channel")
    return found if isinstance(found, Mapping) else {}


def told(piece: Mapping[str, Any]) -> dict[str, Any]:
    channel = str(piece.get("channel", ""))
    return {
        "brand": str(piece.get("brand", "")),
        "channel": dict(Channel.choices).get(channel, channel),
        "traits": [str(trait) for trait in piece.get("traits") or ()],
    }


def fields(piece: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    held = piece.get("fields")
    if not isinstance(held, Mapping):
        return []
    channel = piece.get("channel")
    specs = channels.SPECS[WriterChannel(str(channel))].fields if channel in Channel.values else ()
    order = {spec.name: place for place, spec in enumerate(specs)}  # JSON in the database keeps none
    return [
        (texts.label_of(str(name)), [str(t) for t in (value if isinstance(value, list) else [value])])
        for name, value in sorted(held.items(), key=lambda item: order.get(item[0], len(order)))
        if value
    ]
