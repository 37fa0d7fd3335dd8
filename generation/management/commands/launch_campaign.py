"""Launch a campaign from the command line."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns.models import Campaign
from generation import drafting
from generation.management import arguments
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = "Open a run of a campaign and make its pieces. The writers start at once, or with --no-queue when you say."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("campaign", help="the campaign's slug, such as cast-iron-weeks")
        parser.add_argument("--as", dest="username", help="who launches it; without, the system does")
        parser.add_argument(
            "--no-queue", action="store_true", help="wake no writer: `manage.py write_pieces` will write"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        campaign = Campaign.objects.filter(slug=options["campaign"]).first()
        if campaign is None:
            known = ", ".join(Campaign.objects.order_by("slug").values_list("slug", flat=True)[:20])
            raise CommandError(f"There is no campaign '{options['campaign']}'. There are: {known or 'none'}.")
        by = arguments.person(options["username"]) if options["username"] else None
        started = time.monotonic()
        try:
            run = drafting.launch(campaign=campaign, by=by, queue=not options["no_queue"])
        except drafting.BriefIncomplete as error:
            lines = "\n".join(f"  {problem.field}: {problem.message}" for problem in error.problems)
            raise CommandError(f"{campaign.slug} cannot be launched yet:\n{lines}") from error
        except DomainError as error:
            raise CommandError(str(error)) from error
        seconds = time.monotonic() - started
        total = drafting.progress(run).total
        self.stdout.write(
            f"Run {run.pk}: {total:,} pieces for {run.audience_size:,} readers, made in {seconds:.1f} s."
        )
        for reason, count in run.excluded.items():
            self.stdout.write(f"  left out: {count:,} ({reason})")
