"""manage.py load_demo: the demo brand, into this database."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from campaigns.demo import loading
from campaigns.demo.quiet import quiet
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Load the demo shop: products, people, events, traits, brand and two campaigns. "
        "What is there already stays; a second run changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--as", dest="username", metavar="USER", help="who made the campaigns")

    def handle(self, *args: Any, **options: Any) -> None:
        by = None
        if options["username"]:
            by = get_user_model().objects.filter(username=options["username"], is_active=True).first()
            if by is None:
                raise CommandError(f"There is no active user '{options['username']}'.")
        started = time.monotonic()
        console = Console(stderr=True)
        tasks: dict[str, TaskID] = {}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with quiet(), Progress(*columns, console=console, disable=not console.is_terminal) as bar:

            def show(what: str, count: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=count, total=total)

            try:
                done = loading.load(by=by, progress=show)
            except DomainError as error:
                raise CommandError(f"The demo could not be loaded. {error}") from error
        seconds = time.monotonic() - started
        if not done.anything:
            self.stdout.write(f"The demo is loaded already; nothing changed ({seconds:.1f} s).")
            return
        self.stdout.write(
            f"New: {done.products} products, {done.people} people, {done.events:,} events, "
            f"{len(done.campaigns)} campaigns; traits of {done.derived} people ({seconds:.1f} s)."
        )
