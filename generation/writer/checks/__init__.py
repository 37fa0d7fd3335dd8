"""What is wrong with a piece: pure rules, each a function from the copy to findings with their place in it.

`check` runs them all. A rule's name is stable: it is stored, counted and shown. A BLOCKING finding stops approval, so
its rule must be right nearly always; a WARNING asks for a look; a NOTE is information.

By theme: exact.py holds values, numbers, addresses and the button; shape.py lengths, endings and repetition; words.py
avoided and coarse words and leftovers of the prompt; support.py what the facts must back; grammar.py Harper's notes.
"""

from __future__ import annotations

from collections.abc import Sequence

from generation.writer.checks import exact, grammar, shape, support, words
from generation.writer.checks.copy import Copy, Rule
from generation.writer.sentences import BREAKS, DANGLING, ENDINGS, ends_finished, last_word, sentences
from generation.writer.types import (
    Brief,
    Channel,
    Draft,
    Fields,
    Finding,
    Product,
    Reader,
    Request,
    Severity,
    WrittenUnit,
)

__all__ = [
    "BREAKS",
    "DANGLING",
    "ENDINGS",
    "RULES",
    "Copy",
    "Rule",
    "check",
    "check_draft",
    "ends_finished",
    "last_word",
    "sentences",
]

RULES: tuple[Rule, ...] = (*exact.RULES, *shape.RULES, *words.RULES, *support.RULES, grammar.notes)


def check(
    brief: Brief,
    channel: Channel,
    fields: Fields,
    reader: Reader,
    units: Sequence[WrittenUnit] = (),
    products: Sequence[Product] = (),
) -> list[Finding]:
    """Everything the rules find, blocking ones first. An empty list is a clean piece."""
    copy = Copy(brief, channel, fields, reader, tuple(units), tuple(products))
    found = list(dict.fromkeys(finding for rule in RULES for finding in rule(copy)))
    order = list(Severity)
    return sorted(found, key=lambda f: order.index(f.severity))


def check_draft(brief: Brief, request: Request, draft: Draft) -> list[Finding]:
    return check(brief, draft.channel, draft.fields, request.reader, draft.units, request.products)
