"""Write drafts in this process, without a broker."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from campaigns.models import Run, RunStatus
from generation import drafting
from generation.management import arguments
from personalize.core.errors import TransientFailure


class Command(BaseCommand):
    help = (
        "Write the drafts of a run, or of all open runs, in this process. Ctrl-C stops it: what is being written "
        "becomes a draft again, and the next call goes on. Any number of these may run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", type=int, help="only this run")
        parser.add_argument("--limit", type=int, help="stop after about this many pieces")
        parser.add_argument("--chunk", type=int, help="pieces written as one batch (default: WRITER_CHUNK)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["run"]:
            runs = [arguments.run_of(options["run"])]
        else:
            runs = list(Run.objects.filter(status=RunStatus.OPEN).order_by("pk"))
        console = Console(stderr=True)
        self.written = 0
        started = time.monotonic()
        try:
            for run in runs:
                self._write_run(run, console, options["limit"], options["chunk"])
        except KeyboardInterrupt:
            raise CommandError(
                f"Stopped after {self.written} pieces. What was being written is a draft again.",
                returncode=130,
            ) from None
        except TransientFailure as error:
            raise CommandError(f"The writer is away for now ({error}). Try again in a minute.") from error
        seconds = time.monotonic() - started
        speed = f", {self.written / seconds:.2f} a second" if self.written else ""
        self.stdout.write(f"{self.written:,} pieces written in {seconds:.1f} s{speed}.")

    def _write_run(self, run: Run, console: Console, most: int | None, chunk_size: int | None) -> None:
        left = drafting.progress(run).left
        total = left if most is None else min(left, most - self.written)
        written = 0
        started = time.monotonic()
        with arguments.progress_bar(console) as bar:
            task = bar.add_task(f"run {run.pk}", total=total, speed="loading the writer")
            while written < total:
                chunk = drafting.write_next(run_id=run.pk, limit=chunk_size)
                if not chunk.claimed:
                    break
                written += chunk.written
                self.written += chunk.written
                speed = written / (time.monotonic() - started)
                bar.update(task, completed=written, speed=f"{speed:.2f}/s")
