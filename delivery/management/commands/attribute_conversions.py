"""`manage.py attribute_conversions`: put purchases that came in down to the messages they followed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from delivery import conversions


class Command(BaseCommand):
    help = (
        "Put conversions of the CRM (ATTRIBUTION_EVENTS) down to the messages they followed. Runs by itself every "
        "five minutes for what came in of late; needed for events that were imported longer ago. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            metavar="DATE",
            help="look at events received since then, such as 2024-05-01 (default: two days)",
        )

    def handle(self, *args: Any, since: str | None, **options: Any) -> None:
        made = conversions.attribute(since=_moment(since) if since else None)
        self.stdout.write(f"{made:,} conversions put down to messages.")


def _moment(text: str) -> datetime:
    try:
        found = parse_datetime(text if len(text) > 10 else f"{text}T00:00:00")
    except ValueError:
        found = None
    if found is None:
        raise CommandError(f"'{text}' is no date. Write it like 2024-05-01.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)
