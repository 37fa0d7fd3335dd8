"""manage.py check_ads: hold a file of ads to its platform's limits."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns.models import Channel
from campaigns.models.channels import AD_CHANNELS
from delivery import ads
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Read a CSV file of ads, ours or one exported from Google Ads Editor, Meta or LinkedIn, and say what the "
        "platform would refuse or cut. Exit 1 if anything would be refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--channel", choices=[str(c) for c in AD_CHANNELS], default=str(Channel.GOOGLE_RSA)
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = ads.read(Channel(options["channel"]), options["file"].read_bytes())
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        except DomainError as error:
            raise CommandError(str(error)) from error
        refused = 0
        for ad in found:
            for problem in ad.problems:
                refused += problem.hard
                word = "refused" if problem.hard else "cut"
                self.stdout.write(f"row {ad.row}, {problem.field}: {problem.message} ({word})")
        self.stdout.write(f"{len(found)} ads read, {refused} things would be refused.")
        if refused:
            raise CommandError("Mend the file before you upload it.")
