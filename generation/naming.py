"""The reader's first name in a text: which names may stand there, and what stands for a missing one. Pure.

All rules are here. A text is never left with a hole: either the sentence reads well without the name, or
NameNeeded says that it doesn't, and a person decides.
"""

from __future__ import annotations

import re
import unicodedata

FIRST_NAME = "{{first_name}}"
LONGEST = 40

_NAME = re.escape(FIRST_NAME)
_START = r"(?:^|(?<=[.!?…:]\s)|(?<=\n))"  # where a sentence begins
_END = r"(?=[ \t]*(?:[,.!?;:…–—\n]|$))"
_OTHERS = r"[Ww]elcome(?: back)?|[Tt]hanks|[Tt]hank you|[Gg]ood (?:morning|afternoon|evening|day)"
_PREPOSITIONS = r"for|to|with|from|by|about|of|like|after|before|without"

# Tried in this order on the whole text; each leaves a sentence a person could have written.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # "Ada's kitchen" -> "your kitchen"
    (re.compile(rf"{_START}{_NAME}['’]s\b"), "Your"),
    (re.compile(rf"{_NAME}['’]s\b"), "your"),
    # "Hi Ada," -> "Hello,"; a bare "Ada," on its own line is a greeting as well
    (re.compile(rf"{_START}(?:Hi|Hey|Hello|Dear)(?: there)?,?[ \t]+{_NAME}{_END}"), "Hello"),
    (re.compile(rf"(?:^|(?<=\n)){_NAME}(?=[ \t]*[,!][ \t]*(?:\n|$))"), "Hello"),
    # "Hello Ada and welcome" -> "Hello and welcome"; "Thank you Ada." -> "Thank you."
    (re.compile(rf"\b([Hh]ello|[Hh]i|[Hh]ey|{_OTHERS}),?[ \t]+{_NAME}(?!\w)"), r"\1"),
    # "made for Ada" -> "made for you"
    (re.compile(rf"\b({_PREPOSITIONS})[ \t]+{_NAME}(?!\w)", re.IGNORECASE), r"\1 you"),
    # "Well, Ada, here it is" -> "Well, here it is"; "just for you, Ada." -> "just for you."
    (re.compile(rf",[ \t]*{_NAME}{_END}"), ""),
)
# "Ada, your stove is ready" -> "Your stove is ready"
_OPENING = re.compile(rf"{_START}{_NAME}[ \t]*[,:!–—-][ \t]*(\S)")

_LETTERS = frozenset({"L", "M"})
_SIGNS = frozenset(" -'’.·")
_HOST_LIKE = re.compile(r"\.\w{2,}")


class NameNeeded(ValueError):
    """The text cannot do without the name."""


def usable(name: str) -> str:
    """The name as it may stand in a text, or '' when it had better be left out.

    A sign-up form takes anything; what is no name (an address, a link, digits, forty-one characters) would
    be advertising in our letter.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > LONGEST or _HOST_LIKE.search(name):
        return ""
    known = all(unicodedata.category(c)[0] in _LETTERS or c in _SIGNS for c in name)
    return name if known and any(unicodedata.category(c)[0] == "L" for c in name) else ""


def without(text: str) -> str:
    """The template text with every `{{first_name}}` taken out so that it still reads well.

    Raises NameNeeded where no rule fits ("Ada loves coffee").
    """
    if FIRST_NAME not in text:
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _OPENING.sub(lambda match: match.group(1).upper(), text)
    if FIRST_NAME in text:
        raise NameNeeded("the reader's first name is missing, and the sentence cannot do without it")
    return text
