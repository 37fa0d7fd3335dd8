"""Draw who may do what to a piece in which state, from the roles, the actions and the transition table."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from delivery.management.commands.setup_roles import READ, ROLES
from delivery.rights import ACTIONS
from generation.models import Status
from generation.rights import Action

WHERE = Path("docs") / "piece-rights.md"


class Command(BaseCommand):
    help = f"Write {WHERE} from the roles and the actions. With --check, only say whether it is up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="exit 1 if the file is not what it should be"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        text = document()
        path = Path(settings.BASE_DIR) / WHERE
        if not options["check"]:
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"{WHERE} written.")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise CommandError(f"{WHERE} is out of date. Run: manage.py rights_table")


def may(role: str, action: Action) -> bool:
    return action.permission in {*READ, *ROLES[role]}


def document() -> str:
    """A table of actions and states for each role; where there is no arrow, there is nothing to do for anybody."""
    lines = [
        "# Who may do what to a piece",
        "",
        "Drawn by `manage.py rights_table` from the roles of `setup_roles` and the actions in `generation/rights.py`",
        "and `delivery/rights.py`; do not edit. A test calls every action as every role in every state.",
        "",
        "→ and a state: it may be done, and that is what the piece becomes. ✗: the role lacks the permission.",
        "·: no role can do it, in this state there is nothing to do. A planted piece can only be withdrawn.",
        "",
        "A brand may be kept to some people (its page, *Whose it is…*). Of its pieces, nobody else sees any and every",
        "cell of theirs is ✗, superusers excepted; to those people and for every other brand the tables hold as they",
        "stand. The same test calls every cell on a piece of a brand that is kept to others.",
        "",
        "| action | asks for | besides |",
        "|---|---|---|",
    ]
    lines += [f"| {a.words} | `{a.permission}` | {a.remark} |" for a in ACTIONS]
    for role in ROLES:
        lines += ["", f"## {role}", ""]
        lines.append("| | " + " | ".join(state.label for state in Status) + " |")
        lines.append("|---|" + "---|" * len(Status))
        for action in ACTIONS:
            cells = [_cell(role, action, state) for state in Status]
            lines.append(f"| {action.words} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(role: str, action: Action, state: Status) -> str:
    if state not in action.to:
        return "·"
    return f"→ {action.to[state].label}" if may(role, action) else "✗"
