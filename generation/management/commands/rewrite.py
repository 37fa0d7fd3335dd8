"""Write a past piece again and compare."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from generation import rewriting

DESCRIPTION = """\
Write a past piece again from what is stored of it (the brief frozen with its run, the reader's traits of then, the
hint, the seed of the kept try, the sampling, the number of candidates) and compare it with what the writer wrote then,
whatever people made of it since. Prints "identical", or the words that differ. Nothing is stored.

It refuses where the writer at hand is another: weights, adapter, prompt format, number format or embedder. It says so
where the code of the writer has changed since.

Pieces are written in batches. The words of one do not depend on those of another, but sums in a batch of another size
are rounded differently in their last digits, which can turn a choice between two equally likely words. A piece that
comes out differently alone is therefore written again within its whole batch, which takes as long as the batch took.
Across processors, numbers of threads and versions of torch the last digits may differ as well.

Exit code: 0 identical, 1 different or refused.
"""


class Command(BaseCommand):
    help = DESCRIPTION

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("piece", type=int, metavar="PIECE_ID", help="the number on the desk's title")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = rewriting.rewrite(piece_id=options["piece"])
        except rewriting.NotRewritable as error:
            raise CommandError(str(error)) from error
        how = f" (in its batch of {found.together})" if found.together > 1 else ""
        if found.identical:
            since = "" if found.written is not None else "; it was edited by a person since"
            self.stdout.write(f"identical{how}{since}")
            return
        if found.written is None:
            self.stdout.write("The text was edited since: of what the writer wrote only the hash is kept.")
        else:
            for line in rewriting.word_diff(found.written, found.fields):
                self.stdout.write(line)
        raise CommandError(f"Piece {options['piece']} comes out differently{how}. {_why(found)}")


def _why(found: rewriting.Rewritten) -> str:
    if found.code_changed:
        return "The code of the writer has changed since it was written."
    if found.missing:
        pieces = f"{found.missing} piece{'' if found.missing == 1 else 's'}"
        return f"It was tried alone: {pieces} of its batch were erased or written again since."
    return "Another processor, number of threads or version of torch is the likely reason."
