"""Decide a run's clean pieces together."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from generation import review
from generation.management import arguments
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Approve all pieces of a run without findings, in the name of a person. The campaign's review policy must "
        "allow it; what has findings stays in review for somebody to read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int)
        parser.add_argument("--as", dest="username", required=True, help="who decides")
        parser.add_argument("--policy", choices=["clean"], required=True, help="clean: no finding of weight")
        parser.add_argument("--note", default="", help="kept with every decision")

    def handle(self, *args: Any, **options: Any) -> None:
        run, by = arguments.run_of(options["run"]), arguments.person(options["username"])
        started = time.monotonic()
        try:
            result = review.approve_clean(run=run, by=by, note=options["note"])
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Run {run.pk}: {result} in {time.monotonic() - started:.1f} s.")
