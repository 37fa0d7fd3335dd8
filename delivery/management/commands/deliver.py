"""manage.py deliver: send what is due, in this process."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from campaigns.models import Channel
from delivery import claiming, sending
from delivery.transports import CannotConnect


class Command(BaseCommand):
    help = (
        "Send approved e-mails of released runs and write the export files that are complete, in this process. "
        "May run beside any number of workers: each piece leaves once. Ctrl-C is safe."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--limit",
            type=int,
            default=1_000_000,
            metavar="N",
            help="send at most N e-mails (all that are due)",
        )
        parser.add_argument(
            "--piece", type=int, metavar="ID", help="send this one piece and say what became of it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["piece"] is not None:
            self._one(options["piece"])
            return
        now = timezone.now()
        total = claiming.due(now=now, channels=[Channel.EMAIL]).filter(run__in=claiming.open_runs()).count()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Delivering", total=min(total, options["limit"]))
            summary = sending.deliver_due(
                now=now,
                limit=options["limit"],
                progress=lambda s: bar.update(task, completed=s.handed_over + s.retry + s.failed + s.unknown),
            )
        self.stdout.write(
            f"{summary.handed_over} handed over, {summary.exported} in files, {summary.retry} to be tried again, "
            f"{summary.failed} refused, {summary.unknown} uncertain, {summary.returned} back to review, "
            f"{summary.withdrawn} withdrawn, {summary.held} waiting for their time"
        )
        if summary.trouble:
            raise CommandError(f"Stopped early: {summary.trouble}. What is left stays due; call this again.")
        if summary.unknown:
            self.stdout.write("Uncertain ones wait for a person: manage.py unknown_deliveries")

    def _one(self, piece_id: int) -> None:
        try:
            delivery = sending.deliver(piece_id=piece_id)
        except (sending.NotSent, CannotConnect) as error:
            raise CommandError(f"Piece {piece_id} was not sent. {error}") from error
        self.stdout.write(
            f"piece {piece_id}: {delivery.get_status_display().lower()} {delivery.response}".strip()
        )
