"""What became of a run's pieces, in numbers: rates, findings by rule, how much was edited, how long decisions took."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

from django.db.models import Count, F, Q
from django.db.models.functions import TruncHour

from campaigns.models import Run
from generation import diffing
from generation.admin.queue import rule_in_words
from generation.models import Finding, Piece, PieceEvent, RejectReason, Status

RULES = 10
EDITS = 400  # edited pieces compared word by word, the newest
SECONDS = ((0, 5), (5, 10), (10, 20), (20, 40), (40, 80), (80, None))
SHARES = ((0, 5), (5, 15), (15, 30), (30, 60), (60, 101))  # percent of the words


def numbers(run: Run) -> dict[str, Any]:
    """Charts as {id: {title, labels, values}}, and the rates as (words, number, share)."""
    pieces = Piece.objects.filter(run=run)
    by_status = dict(pieces.values_list("status").annotate(n=Count("pk")).order_by())
    edited = pieces.exclude(edited_by=None)
    shares = _shares(edited)
    waits = _seconds(run)
    charts = {
        "states": _chart(
            "Pieces by state", [(s.label, by_status[s.value]) for s in Status if by_status.get(s.value)]
        ),
        "rules": _chart("Pieces with a finding, by rule", _rules(run)),
        "reasons": _chart("Rejections, by reason", _reasons(pieces)),
        "seconds": _chart("Seconds from opening a text to the decision", _binned(waits, SECONDS, "s")),
        "shares": _chart("Words changed in edited texts", _binned([100 * s for s in shares], SHARES, "%")),
        "hours": _chart("Decisions by hour", _hours(run)),
    }
    return {
        "rates": _rates(pieces, by_status),
        "charts": {name: {**chart, "id": f"data-{name}"} for name, chart in charts.items()},
        "median_seconds": median(waits) if waits else None,
        "median_share": 100 * median(shares) if shares else None,
        "timed": len(waits),
        "edited": len(shares),
    }


def _chart(title: str, rows: list[tuple[str, int]]) -> dict[str, Any]:
    return {
        "title": title,
        "labels": [label for label, _ in rows],
        "values": [n for _, n in rows],
        "rows": rows,
    }


def _rates(pieces: Any, by_status: dict[str, int]) -> list[tuple[str, int, int]]:
    passed = (Status.APPROVED, Status.DELIVERING, Status.DELIVERED, Status.FAILED, Status.UNKNOWN)
    counted = pieces.aggregate(
        written=Count("pk", filter=Q(revision__gt=0)),
        clean=Count("pk", filter=Q(revision__gt=0, blocking=0, warnings=0)),
        as_written=Count("pk", filter=Q(status__in=passed, edited_by=None) & ~Q(approved_hash="")),
        after_edit=Count("pk", filter=Q(status__in=passed, edited_by__isnull=False) & ~Q(approved_hash="")),
    )
    decided = counted["as_written"] + counted["after_edit"] + by_status.get(Status.REJECTED, 0)
    rows = [
        ("Without a finding, of those written", counted["clean"], counted["written"]),
        ("Approved as written, of those decided", counted["as_written"], decided),
        ("Approved after an edit, of those decided", counted["after_edit"], decided),
        ("Rejected, of those decided", by_status.get(Status.REJECTED, 0), decided),
    ]
    return [(words, n, round(100 * n / whole) if whole else 0) for words, n, whole in rows]


def _rules(run: Run) -> list[tuple[str, int]]:
    found = (
        Finding.objects.filter(piece__run=run, revision=F("piece__revision"))
        .exclude(severity="note")
        .values_list("rule")
        .annotate(n=Count("piece", distinct=True))
        .order_by("-n", "rule")[:RULES]
    )
    return [(rule_in_words(rule), n) for rule, n in found]


def _reasons(pieces: Any) -> list[tuple[str, int]]:
    counts = dict(
        pieces.filter(status=Status.REJECTED).values_list("reject_reason").annotate(n=Count("pk")).order_by()
    )
    return [(reason.label, counts[reason.value]) for reason in RejectReason if counts.get(reason.value)]


def _decisions(run: Run) -> Any:
    """By people, of this run. The index on the time of people's acts narrows them; the run's id picks them."""
    return PieceEvent.objects.filter(
        actor_id__isnull=False,
        at__gte=run.created_at,
        run_id=run.pk,
        from_status=Status.IN_REVIEW,
        to_status__in=(Status.APPROVED, Status.REJECTED),
    )


def _seconds(run: Run) -> list[int]:
    return list(
        _decisions(run).exclude(seconds=None).order_by("-at").values_list("seconds", flat=True)[:10_000]
    )


def _hours(run: Run) -> list[tuple[str, int]]:
    found = _decisions(run).annotate(hour=TruncHour("at")).values_list("hour").annotate(n=Count("pk"))
    return [(f"{hour:%d %b %H}h", n) for hour, n in list(found.order_by("-hour")[:24])[::-1]]


def _shares(edited: Any) -> list[float]:
    rows = edited.exclude(written_fields={}).order_by("-updated_at").values_list("written_fields", "fields")
    return [diffing.changed_share(old, new) for old, new in rows[:EDITS]]


def _binned(values: list[Any], bins: tuple[tuple[int, int | None], ...], unit: str) -> list[tuple[str, int]]:
    counts: Counter[int] = Counter()
    for value in values:
        counts[next(low for low, high in bins if high is None or value < high)] += 1
    if not values:
        return []
    return [
        (
            f"{low}–{min(high, 100) if unit == '%' else high} {unit}" if high else f"{low} {unit} and more",
            counts[low],
        )
        for low, high in bins
    ]
