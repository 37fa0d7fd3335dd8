"""manage.py export_run: a run's ads and messages as files."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from campaigns.models import Run
from delivery import exports
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Write the approved ads, text messages and push messages of a released run as CSV files below OUTPUT_DIR, "
        "one for each channel. Each piece is exported once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the run's number")
        parser.add_argument("--as", dest="user", metavar="USER", help="check this user's permission to send")

    def handle(self, *args: Any, **options: Any) -> None:
        run = Run.objects.select_related("campaign").filter(pk=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        by = None
        if options["user"]:
            by = get_user_model().objects.filter(username=options["user"]).first()
            if by is None:
                raise CommandError(f"There is no user {options['user']}.")
        try:
            files = exports.export_run(run=run, by=by)
        except (DomainError, exports.CannotWrite) as error:
            raise CommandError(str(error)) from error
        for file in files:
            self.stdout.write(f"{file.rows:6} rows  {file.get_channel_display():18} {exports.location(file)}")
        if not files:
            self.stdout.write("No approved ads or messages are waiting in this run.")
