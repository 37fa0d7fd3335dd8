"""Deletes stored answers of past API requests."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from personalize.core import idempotency


class Command(BaseCommand):
    help = "Delete answers kept for repeated requests that are older than --hours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--hours", type=int, default=24, help="at least 24, the time retries are promised"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 24 <= options["hours"] <= 24 * 365:
            raise CommandError("--hours must lie between 24 and 8760: clients may retry for a day.")
        count = idempotency.purge(now=timezone.now(), older_than=timedelta(hours=options["hours"]))
        self.stdout.write(f"{count} stored answers deleted.")
