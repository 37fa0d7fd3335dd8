"""`manage.py apply_retention`: remove what is older than the rules allow, or say what would go."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from campaigns.privacy import retention


class Command(BaseCommand):
    help = (
        "Remove what is older than the retention rules allow. The scheduler does this every night by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would go, also by rules that are off"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            for each in retention.standing(count=True):
                state = "on" if each.rule.is_active else "off"
                self.stdout.write(
                    f"{each.keeping.kind}: {state}, {each.rule.days:,} days: {each.due:,} would go"
                )
            return
        removed = retention.apply()
        for kind, count in removed.items():
            self.stdout.write(f"{kind}: {count:,} removed")
        if not removed:
            self.stdout.write("No rule is on. Turn rules on in the admin, under Retention.")
