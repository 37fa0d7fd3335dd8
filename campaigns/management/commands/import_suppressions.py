"""`manage.py import_suppressions`: addresses that nothing may be sent to, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns import suppressions
from campaigns.models import SuppressionReason
from campaigns.models.channels import PERSONAL_CHANNELS
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Put the addresses of a file on the suppression list: one a line, or a CSV file with a column of them. "
        "Only keyed hashes are kept. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--channel", choices=[str(c) for c in PERSONAL_CHANNELS], default="email")
        parser.add_argument("--reason", choices=SuppressionReason.values, default="manual")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = suppressions.addresses_in(options["file"].read_bytes(), channel=options["channel"])
            result = suppressions.add(addresses=found, channel=options["channel"], reason=options["reason"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except DomainError as error:
            raise CommandError(str(error)) from error
        for number, why in result.refused:
            self.stderr.write(f"address {number}: {why}")
        self.stdout.write(f"{result.added:,} added, {result.known:,} known before, {result.bad:,} refused.")
