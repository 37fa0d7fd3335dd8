"""`manage.py export_person`: everything about a person as one zip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns import privacy
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Write everything kept about one person into a zip file, readable by you alone. That it was asked for is "
        "recorded."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("external_id", help="the CRM's id of the person")
        parser.add_argument("file", type=Path, help="where to write; must not exist")

    def handle(self, *args: Any, **options: Any) -> None:
        target: Path = options["file"]
        try:
            asked = privacy.ask(external_id=options["external_id"], by=None)
            with target.open("xb") as file:
                target.chmod(0o600)
                for part in privacy.stream(number=asked.number, by=None):
                    file.write(part)
        except DomainError as error:
            raise CommandError(str(error)) from error
        except FileExistsError:
            raise CommandError(f"{target} is there already: choose another name.") from None
        self.stdout.write(
            f"{target}: {target.stat().st_size:,} bytes. Remove it when it has been handed over."
        )
