"""Draw the states of a piece from the transition table."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from generation.models import Status
from generation.transitions import OWNERS, TRANSITIONS

WHERE = Path("docs") / "piece-states.md"


class Command(BaseCommand):
    help = f"Write {WHERE} from the transition table. With --check, only say whether it is up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="exit 1 if the file is not what it should be"
        )
        parser.add_argument("--print", action="store_true", help="print instead of writing")

    def handle(self, *args: Any, **options: Any) -> None:
        text = document()
        path = Path(settings.BASE_DIR) / WHERE
        if options["print"]:
            self.stdout.write(text, ending="")
        elif options["check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                raise CommandError(f"{WHERE} is out of date. Run: manage.py statemachine")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"{WHERE} written.")


def document() -> str:
    """The page: a Mermaid diagram and a table, both in the order of Status."""
    lines = [
        "# The states of a piece",
        "",
        "Drawn from the transition table in `generation/transitions.py` by `manage.py statemachine`; do not edit.",
        "Only `generation.transitions` writes a status: by compare-and-set, with an audit row in the same transaction.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> draft",
    ]
    for status in Status:
        lines += [f"    {status.value} --> {to.value}" for to in Status if to in TRANSITIONS[status]]
        if not TRANSITIONS[status]:
            lines.append(f"    {status.value} --> [*]")
    lines += ["```", "", "| state | shown as | who moves it on | may become |", "|---|---|---|---|"]
    for status in Status:
        after = ", ".join(f"`{to.value}`" for to in Status if to in TRANSITIONS[status]) or "nothing more"
        lines.append(f"| `{status.value}` | {status.label} | {OWNERS[status]} | {after} |")
    return "\n".join(lines) + "\n"
