"""A report as CSV, and its chart as a picture."""

from __future__ import annotations

import csv
import io

from delivery.results import chart
from delivery.results.report import SUMS, Measure, Report
from personalize.core.spreadsheets import defuse

COLUMNS = (
    "campaign", "run", "arm", "people", "got_message", "measure", "count", "value", "against", "difference",
    "relative", "always_low", "always_high", "once_low", "once_high", "verdict", "counted_from", "counted_until",
)  # fmt: skip


def csv_file(report: Report) -> bytes:
    """One row for each arm and measure, and for each comparison; numbers with a point, shares from 0 to 1."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    shared = {
        "campaign": defuse(report.campaign.slug),
        "run": report.run.pk if report.run else "all",
        "counted_from": report.counted.since.isoformat() if report.counted.since else "",
        "counted_until": report.counted.until.isoformat() if report.counted.until else "",
    }
    for arm, counts in report.arms:
        about = {**shared, "arm": arm.value, "people": counts.people, "got_message": counts.got}
        for measure in Measure:
            sums = SUMS[measure](counts)
            amount = round(sums.total, 2) if measure == Measure.REVENUE else sums.doers
            writer.writerow({**about, "measure": measure.value, "count": amount, "value": f"{sums.mean:.6f}"})
    for one in report.compared:
        found = one.found
        row = {
            **shared,
            "arm": one.arm.value,
            "people": one.people,
            "measure": one.measure.value,
            "against": one.other.value,
            "verdict": found.verdict.value,
        }
        if found.enough and found.always and found.once:
            row |= {
                "difference": f"{found.difference:.6f}",
                "relative": "" if found.relative is None else f"{found.relative:.4f}",
                "always_low": f"{found.always.low:.6f}",
                "always_high": f"{found.always.high:.6f}",
                "once_low": f"{found.once.low:.6f}",
                "once_high": f"{found.once.high:.6f}",
            }
        writer.writerow(row)
    return text.getvalue().encode("utf-8-sig")


def png(report: Report) -> bytes:
    return chart.to_png(chart.draw(report))


def svg(report: Report) -> str:
    return chart.to_svg(chart.draw(report))
