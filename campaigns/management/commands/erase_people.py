"""`manage.py erase_people`: forget people for good, with a certificate for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns import privacy
from campaigns.people import UnknownProfile
from campaigns.privacy.erasing import MOST
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Forget people for good: profile, events, embedding, consents, texts, deliveries, results, mails and lines of "
        "export files, logs. Reads the CRM's ids, one on each line, from a file or standard input, so that none stands "
        "in the shell's history. Prints the number of each certificate."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="?", type=Path, help="a file; standard input without one")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path | None = options["ids"]
        try:
            given = file.read_text(encoding="utf-8") if file else sys.stdin.read()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}.") from None
        ids = list(dict.fromkeys(line.strip() for line in given.splitlines() if line.strip()))
        if not ids:
            raise CommandError("No ids were given.")
        if not options["yes"]:
            raise CommandError(f"This forgets {len(ids):,} people for good. Say --yes to do it.")
        unknown = 0
        for start in range(0, len(ids), MOST):
            batch = ids[start : start + MOST]
            try:
                done = privacy.erase_many(external_ids=batch, by=None)
            except UnknownProfile:
                done = []
                for external_id in batch:
                    try:
                        done.append(privacy.erase(external_id=external_id, by=None))
                    except UnknownProfile:
                        unknown += 1
            except DomainError as error:
                raise CommandError(str(error)) from error
            for certificate in done:
                self.stdout.write(str(certificate.number))
        if unknown:
            raise CommandError(f"{unknown:,} of {len(ids):,} ids are not known; the others are erased.")
