"""manage.py results: what a run or campaign did."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from campaigns.models import Campaign, Run
from delivery.results import exporting, report
from delivery.results.report import LABELS, NAMES, SUMS, Measure


class Command(BaseCommand):
    help = (
        "Count what people did after a run, or after all runs of a campaign, in each arm, and compare the arms. "
        "Intervals hold however often you look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--run", type=int, help="the run's number")
        which.add_argument("--campaign", metavar="SLUG", help="all its runs together")
        parser.add_argument("--csv", type=Path, metavar="FILE", help="write the numbers here")
        parser.add_argument("--png", type=Path, metavar="FILE", help="write the chart here")

    def handle(self, *args: Any, **options: Any) -> None:
        found = self._report(options)
        if options["csv"]:
            options["csv"].write_bytes(exporting.csv_file(found))
        if options["png"]:
            options["png"].write_bytes(exporting.png(found))
        console = Console(file=cast(IO[str], self.stdout), width=120)
        if found.counted.since is None:
            console.print("Nothing has left yet, so there is nothing to count.")
            return
        state = "closed" if found.is_closed else "still counting"
        console.print(
            f"{found.counted.since:%d %b %Y %H:%M} to {found.counted.until:%d %b %Y %H:%M} UTC, {state}"
        )
        table = Table("Arm", "People", "Got it", *(LABELS[measure] for measure in Measure))
        for arm, counts in found.arms:
            sums = [(measure, SUMS[measure](counts)) for measure in Measure]
            cells = [f"{s.mean:.4f}" if m == Measure.REVENUE else f"{100 * s.mean:.2f} %" for m, s in sums]
            table.add_row(NAMES[arm], f"{counts.people:,}", f"{counts.got:,}", *cells)
        console.print(table)
        for one in found.compared:
            console.print(f"{one.title}. {one.sentence}", highlight=False)
        for note in found.notes:
            console.print(note, highlight=False)

    def _report(self, options: dict[str, Any]) -> report.Report:
        if options["run"] is not None:
            run = Run.objects.select_related("campaign").filter(pk=options["run"]).first()
            if run is None:
                raise CommandError(f"There is no run {options['run']}.")
            return report.of_run(run)
        campaign = Campaign.objects.filter(slug=options["campaign"]).first()
        if campaign is None:
            raise CommandError(f"There is no campaign {options['campaign']}.")
        return report.of_campaign(campaign)
