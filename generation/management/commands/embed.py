"""Bring traits and vectors up to date, in this process."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.console import Console

from campaigns import traits
from generation import embedding
from generation.management import arguments


class Command(BaseCommand):
    help = "Derive due traits, then embed the products, readers and segments whose words or model changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, help="at most this many rows of each kind")
        parser.add_argument("--no-traits", action="store_true", help="embed only; derive no traits")

    def handle(self, *args: Any, **options: Any) -> None:
        limit = options["limit"]
        with arguments.progress_bar(Console(stderr=True)) as bar:
            if not options["no_traits"]:
                derived = self._timed("traits of readers", lambda: _derive(limit))
                bar.console.print(derived)
            for name, embed in (
                ("products", embedding.embed_products),
                ("readers", embedding.embed_profiles),
            ):
                task = bar.add_task(name, total=None, speed="")
                started = time.monotonic()

                def report(done: int, total: int, task: Any = task, started: float = started) -> None:
                    speed = f"{done / max(time.monotonic() - started, 0.001):,.0f}/s"
                    bar.update(task, completed=done, total=total, speed=speed)

                self.stdout.write(self._timed(name, lambda e=embed, r=report: e(limit=limit, progress=r)))
            self.stdout.write(self._timed("segments", embedding.embed_segments))

    @staticmethod
    def _timed(name: str, work: Any) -> str:
        started = time.monotonic()
        done = work()
        seconds = time.monotonic() - started
        speed = f", {done / seconds:,.0f} a second" if done and seconds else ""
        return f"{name}: {done:,} in {seconds:.1f} s{speed}"


def _derive(limit: int | None) -> int:
    done = 0
    while limit is None or done < limit:
        size = 5_000 if limit is None else min(5_000, limit - done)
        derived = traits.refresh_due(now=timezone.now(), limit=size)
        done += derived
        if not derived:
            break
    return done
