"""Measure the writer on brands it has not seen."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from generation import engines, versions
from generation.management import arguments
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Measure the writer: every reader and audience of the briefs gets one piece, at first writing, nothing tried "
        "again, nothing selected. Prints a table and some of the pieces for reading; nothing is stored unless --record."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--briefs",
            type=Path,
            help="JSON lines of the corpus format; default: the brands no writer is trained on",
        )
        parser.add_argument("--adapter", help="folder of an adapter, or 'none'; default: the one in use")
        parser.add_argument(
            "--candidates", type=int, default=settings.WRITER_CANDIDATES, help="drawn for each unit"
        )
        parser.add_argument("--temperature", type=float, default=settings.WRITER_TEMPERATURE)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--show", type=int, default=6, help="pieces to print, unselected (6)")
        parser.add_argument(
            "--json", type=Path, metavar="OUT", help="write the measures and sixty pieces here"
        )
        parser.add_argument(
            "--record", action="store_true", help="keep the measures with the version, for promotion"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from generation import loading
        from generation.writer import checkpoints, evaluation
        from generation.writer.checks.grammar import HUMAN_RATE, notes_per_100_words
        from generation.writer.corpus import CorpusError, read_pieces, validation_pieces
        from generation.writer.types import Sampling

        console = Console(stderr=True)
        folder = options["adapter"]
        try:
            pieces = read_pieces([options["briefs"]]) if options["briefs"] else validation_pieces()
            adapter = None if folder in (None, "none") else Path(folder)
            writer = loading.local_writer(adapter) if folder else engines.get_writer()
            sampling = Sampling(temperature=options["temperature"], candidates=options["candidates"])
            with arguments.progress_bar(console) as bar:
                task = bar.add_task("brands", total=None, speed="")
                report = evaluation.evaluate(
                    writer,
                    engines.get_embedder(),
                    pieces,
                    sampling=sampling,
                    seed=options["seed"],
                    grammar=lambda texts, given: notes_per_100_words(texts, given) / HUMAN_RATE,
                    on_brief=lambda done, of: bar.update(task, completed=done, total=of),
                )
        except (CorpusError, checkpoints.CheckpointProblem, ValueError, OSError) as problem:
            raise CommandError(str(problem)) from problem
        self._show(report, options["show"])
        found = report.as_json()
        if options["json"]:
            options["json"].write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        if options["record"]:
            try:
                version = versions.record_evaluation(versions.of(writer.info, adapter=adapter), found)
            except DomainError as problem:
                raise CommandError(str(problem)) from problem
            self.stdout.write(f"Recorded with {version.name}.")

    def _show(self, report: Any, count: int) -> None:
        from generation.writer import evaluation

        out = StringIO()
        console = Console(file=out, width=120)
        table = Table(title=f"{report.pieces} pieces for {report.brands} brands, first writing")
        table.add_column("measure")
        table.add_column("value", justify="right")
        for name, value, percent in (
            ("clean", report.clean_rate, True),
            *((f"  {channel}", rate, True) for channel, rate in report.clean_rate_by_channel.items()),
            ("clean and without a warning", report.spotless_rate, True),
            ("invented numbers", report.invented_numbers, False),
            (f"reader identified, of {report.readers_in_question}", report.reader_identified, True),
            ("grammar notes, as a ratio to hand-written copy", report.grammar_ratio, False),
            ("faithful lines", report.faithful_rate, True),
            ("distinct openings", report.distinct_openings, True),
            ("overlap between e-mails of a brief", report.self_overlap, True),
            ("pieces a second", report.pieces_per_second, False),
        ):
            table.add_row(name, f"{value:.1%}" if percent else f"{value:.2f}".removesuffix(".00"))
        console.print(table)
        rules = Table("rule", "findings")
        for rule, number in report.findings_by_rule.items():
            rules.add_row(rule, str(number))
        console.print(rules)
        for piece in evaluation.unselected(report.written, count):
            shown = evaluation.shown(piece)
            who = "; ".join([shown["lifecycle"], *shown["traits"]])
            console.rule(f"{shown['brand']} · {shown['channel']} · {who}", align="left")
            for name, text in shown["fields"].items():
                console.print(f"{name}: " if isinstance(text, str) else f"{name}:", style="bold", end="")
                console.print(
                    "\n".join(text) if isinstance(text, list) else text, markup=False, highlight=False
                )
            for rule, severity, message in shown["findings"]:
                console.print(f"  {severity}: {rule}: {message}", markup=False, style="red")
        self.stdout.write(out.getvalue())
