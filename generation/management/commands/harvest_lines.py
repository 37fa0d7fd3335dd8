"""Let the writer write on the brands it may learn from, and keep its best lines as training text."""

from __future__ import annotations

import random
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from generation import engines, loading
from generation.management import arguments


class Command(BaseCommand):
    help = (
        "A round of self-training: write on brands of the corpus that are not held out, keep the lines that pass every "
        "check and that the judge puts highest, and write them to OUT in the format of the plain layer. Read a sample "
        "of them, then train on: train_writer FOLDER --start ... --files generation/writer/corpus/plain/*.txt OUT"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("out", type=Path, help="the file to write; must not exist")
        parser.add_argument(
            "--brands", type=int, default=40, help="brands to write on, chosen by the seed (40)"
        )
        parser.add_argument(
            "--share", type=float, default=0.4, help="best share of each kind of line to keep (0.4)"
        )
        parser.add_argument("--candidates", type=int, default=2 * settings.WRITER_CANDIDATES)
        parser.add_argument("--temperature", type=float, default=0.9)
        parser.add_argument("--adapter", type=Path, help="folder of an adapter; default: the one in use")
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *args: Any, **options: Any) -> None:
        from generation.writer import checkpoints, selftraining
        from generation.writer.corpus import CorpusPiece, plain_text, read_plain, split_brands
        from generation.writer.types import Sampling

        out: Path = options["out"]
        if out.exists():
            raise CommandError(f"{out} exists already: name another file, so that no lines are lost")
        if not 0 < options["share"] <= 1 or options["brands"] < 1:
            raise CommandError("--share lies above 0 and up to 1, --brands is at least 1")
        by_brand: dict[str, list[CorpusPiece]] = {}
        for piece in split_brands(read_plain())[0]:
            by_brand.setdefault(piece.brief.brand.name, []).append(piece)
        names = sorted(by_brand)
        random.Random(options["seed"]).shuffle(names)
        chosen = [piece for name in names[: options["brands"]] for piece in by_brand[name]]
        try:
            adapter = options["adapter"]
            writer = loading.local_writer(adapter) if adapter else engines.get_writer()
            with arguments.progress_bar(Console(stderr=True)) as bar:
                task = bar.add_task("brands", total=None, speed="")
                found = selftraining.harvest(
                    writer,
                    engines.get_embedder(),
                    chosen,
                    sampling=Sampling(temperature=options["temperature"], candidates=options["candidates"]),
                    seed=options["seed"],
                    share=options["share"],
                    on_brief=lambda done, of: bar.update(task, completed=done, total=of),
                )
            out.write_text(plain_text(found.pieces), encoding="utf-8")
        except (checkpoints.CheckpointProblem, ValueError, OSError) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"{found.kept} of {found.written} lines kept, in {out}.")
