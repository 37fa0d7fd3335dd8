"""Fine-tune the writer on the corpus."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_EVERY = 5  # steps to a line of a log, where no terminal shows the bar


class Command(BaseCommand):
    help = (
        "Fine-tune the writer on the hand-written corpus (LoRA). The state is written as it goes: a run that was "
        "interrupted continues when started again with the same options. The adapter is written to FOLDER/adapter "
        "at the end; evaluate it with evaluate_writer --adapter FOLDER/adapter before you use it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="where the state and the adapter go")
        parser.add_argument(
            "--epochs", type=float, default=1.0, help="passes over the corpus, may be a fraction (1)"
        )
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--rank", type=int, default=16, help="rank of the LoRA matrices (16)")
        parser.add_argument("--learning-rate", type=float, default=6e-4)
        parser.add_argument(
            "--decay",
            type=float,
            default=0.5,
            help="last share of the run in which the rate falls; 0 for a run to continue",
        )
        parser.add_argument(
            "--start", type=Path, help="state.pt or adapter_model.safetensors of an earlier run to begin with"
        )
        parser.add_argument(
            "--files", type=Path, nargs="+", default=[], help="plain-layer files; default: all that ship"
        )
        parser.add_argument(
            "--processes",
            type=int,
            default=0,
            help="processes that train together, each on one thread (default: one a core; 1 on CUDA)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from generation.loading import BUILTIN, device_of
        from generation.writer import training, training_run
        from generation.writer.checkpoints import DEFAULT_MODEL, CheckpointProblem

        device = device_of(settings.WRITER_DEVICE)
        try:
            job = training_run.Job(
                folder=options["folder"],
                cache=settings.MODEL_CACHE,
                model=DEFAULT_MODEL if settings.WRITER_MODEL == BUILTIN else settings.WRITER_MODEL,
                files=tuple(options["files"]),
                start=options["start"],
                processes=options["processes"] or (1 if device.startswith("cuda") else os.cpu_count() or 1),
                device=device,
                settings=training.TrainingSettings(
                    rank=options["rank"],
                    alpha=2 * options["rank"],
                    learning_rate=options["learning_rate"],
                    epochs=options["epochs"],
                    decay=options["decay"],
                    seed=options["seed"],
                ),
            )
            with self._bar() as bar:
                task = bar.add_task("training", total=None, loss="", left="")

                def show(at: training.Progress) -> None:
                    if not bar.console.is_terminal and (at.step % LINE_EVERY == 0 or at.step == at.steps):
                        self.stderr.write(
                            f"step {at.step} of {at.steps}, loss {at.loss:.3f}, {at.eta_seconds / 60:.0f} min left"
                        )
                    bar.update(
                        task,
                        total=at.steps,
                        completed=at.step,
                        loss=f"loss {at.loss:.3f}",
                        left=f"{at.eta_seconds / 60:.0f} min left",
                    )

                adapter = training_run.run(
                    job, on_progress=show, tell=lambda message: bar.console.print(message)
                )
        except (ValueError, OSError, CheckpointProblem) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"The adapter is in {adapter}.")

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
        )
