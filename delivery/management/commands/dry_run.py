"""manage.py dry_run: who would get a campaign, and who would not and why."""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from campaigns.models import Campaign, Channel
from campaigns.models.channels import PERSONAL_CHANNELS
from delivery import dry_run
from delivery.dry_run import DryRun, Line, Report
from personalize.core.errors import DomainError
from personalize.core.spreadsheets import defuse


class Command(BaseCommand):
    help = (
        "Say who would get a campaign if it were launched, approved and due, and who would not and why. Nothing is "
        "written, sent or stored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug")
        parser.add_argument(
            "--at", metavar="TIME", help="as if it left then: 2026-12-01T09:00+01:00 (the next time, or now)"
        )
        parser.add_argument("--people", action="store_true", help="list the people, by the CRM's id")
        parser.add_argument("--channel", choices=[str(c) for c in PERSONAL_CHANNELS], help="of the list")
        parser.add_argument("--reason", choices=[str(c) for c in dry_run.CHOICES], help="of the list")
        parser.add_argument("--search", default="", help="part of the CRM's id, address or name")
        parser.add_argument("--limit", type=int, default=1000, metavar="N", help="list at most N (1000)")
        parser.add_argument("--format", choices=("text", "json", "csv"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        campaign = Campaign.objects.filter(slug=options["campaign"]).select_related("segment").first()
        if campaign is None:
            raise CommandError(f"There is no campaign '{options['campaign']}'.")
        at = None
        if options["at"]:
            try:
                at = parse_datetime(options["at"])
            except ValueError:
                at = None
            if at is None or at.tzinfo is None:
                raise CommandError("--at needs a time with its zone, such as 2026-12-01T09:00+01:00.")
        try:
            run = DryRun(campaign, at=at)
            report = run.report()
            wanted = options["people"] or options["format"] == "csv"
            people = list(self._people(run, options)) if wanted else []
        except DomainError as error:
            raise CommandError(str(error)) from error
        {"text": self._text, "json": self._json, "csv": self._csv}[options["format"]](report, people)

    def _people(self, run: DryRun, options: dict[str, Any]) -> Iterator[Line]:
        left = max(0, options["limit"])
        for channel in [options["channel"]] if options["channel"] else run.personal:
            after: int | None = 0
            while after is not None and left:
                lines, after = run.people(
                    channel=channel,
                    reason=options["reason"] or "",
                    search=options["search"],
                    after=after,
                    limit=min(left, dry_run.MOST_PEOPLE),
                )
                left -= len(lines)
                yield from lines

    def _text(self, report: Report, people: list[Line]) -> None:
        out = self.stdout.write
        out(
            f"{report.campaign.name}, as of {report.at:%Y-%m-%d %H:%M} UTC: {report.audience:,} in the segment"
        )
        for problem in report.problems:
            out(self.style.WARNING(f"  ! {problem}"))
        for channel in report.channels:
            out(f"{channel.label}: {channel.gets:,} would get it, {channel.gets_not:,} would not")
            for _, words, count in dry_run.words_of(channel.would):
                out(f"  {count:>9,}  would get it {words}")
            for _, words, count in dry_run.words_of(channel.would_not):
                out(f"  {count:>9,}  would not, because {words}")
        for ad in report.ads:
            out(f"{Channel(ad).label}: one piece for the audience")
        for line in people:
            when = f"  {line.at:%Y-%m-%d %H:%M} UTC" if line.at else ""
            out(f"{line.external_id}  {line.channel}  {line.words}{when}")

    def _json(self, report: Report, people: list[Line]) -> None:
        shown = {
            "campaign": report.campaign.slug,
            "at": report.at.isoformat(),
            "audience": report.audience,
            "problems": list(report.problems),
            "channels": [
                {"channel": c.channel, "would": c.would, "would_not": c.would_not} for c in report.channels
            ],
            "ads": list(report.ads),
            "people": [_row(line) for line in people],
        }
        self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))

    def _csv(self, report: Report, people: list[Line]) -> None:
        writer = csv.DictWriter(self.stdout, ["profile", "channel", "would", "reason", "at"])
        writer.writeheader()
        writer.writerows({**_row(line), "profile": defuse(line.external_id)} for line in people)


def _row(line: Line) -> dict[str, Any]:
    return {
        "profile": line.external_id,
        "channel": line.channel,
        "would": line.would,
        "reason": line.reason,
        "at": line.at.isoformat() if line.at else None,
    }
