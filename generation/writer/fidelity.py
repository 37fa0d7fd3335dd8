"""What a line did to the exact parts of its plan line: values in their roles, limits, denials and conditions.

"At {{time}}" may not become "on {{time}}", "from {{price}}" not "{{price}}", "{{count}} wines" not "{{count}} on
Thursday": each is a false statement made of true words, which neither likelihood nor nearness of meaning shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from generation.writer.sentences import word_set

_TOKEN = re.compile(r"\{\{\w+\}\}|[^\W\d_]+(?:['’][^\W\d_]+)?")
_BARE_NUMBER = re.compile(r"[\d.,]+")
# Words that give the value after them its role.
_ROLES = word_set(
    "at on in by until till from before after since between to per over under within than up least most for about "
    "first every each only through"
)
# Of these, the ones without which the value says more than the fact does, or something else.
_LIMITS = word_set(
    "from until till by before after over under within since than to up least most only per between every each"
)
_ALIKE = (
    frozenset(("by", "before")),
    frozenset(("until", "till", "to", "through")),
    frozenset(("on", "from")),
    frozenset(("between", "from")),
    frozenset(("within", "in")),
    frozenset(("until", "by")),
)
# Words that turn or bound what is said.
_TURNS = word_set(
    "no not never without none nothing nobody except unless if when may cannot can't don't only until after before "
    "while because used once still again instead"
)
# What a fact may ask of the reader. "Reply by Friday" is never the shop's own deed.
_ASKED = word_set(
    "reply bring book order ask call ring send come choose reserve renew upgrade use show wear meet register apply buy "
    "pay visit join sign return try give tell keep look collect pick phone text write add enter quote"
)
_OURSELVES = frozenset(("we", "we'll", "we've"))
_ADDRESSED = frozenset(("you", "your", "yours"))


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Counts and shares of what differs between a plan line as spoken to the reader and a text that realises it."""

    misplaced: (
        int  # values in another role, without their limit or noun; the reader's deeds made ours; said twice
    )
    turned: int  # denials, conditions and limits that only one of the two has
    new_pairs: (
        float  # share of the text's neighbouring words, 0 to 1, that are no neighbours in the plan line
    )


def compare(spoken: str, text: str, known: Mapping[str, str]) -> Fidelity:
    """How true `text` stays to `spoken`. Values stand as `{{name}}` in both; `known` gives what they stand for."""
    said, told = _tokens(spoken), _tokens(text)
    return Fidelity(
        misplaced=_misplaced(said, told, known)
        + _wrong_actor(said, told)
        + _said_twice(said, told)
        + _reversed(said, told),
        turned=len({w for w in said if w in _TURNS} ^ {w for w in told if w in _TURNS}),
        new_pairs=_new_pairs(said, told),
    )


def _tokens(text: str) -> list[str]:
    return [word.replace("’", "'").lower() for word in _TOKEN.findall(text)]


def _misplaced(said: Sequence[str], told: Sequence[str], known: Mapping[str, str]) -> int:
    found = 0
    for at, word in enumerate(told):
        places = [i for i, w in enumerate(said) if w == word]
        if not word.startswith("{{") or not places:
            continue
        before = told[at - 1] if at else ""
        roles = {said[i - 1] for i in places if i and said[i - 1] in _ROLES}
        if before in _ROLES and roles:
            found += before not in roles and not any({before, r} <= alike for r in roles for alike in _ALIKE)
        elif before in _ROLES:
            found += before in _LIMITS
        elif len(roles) and roles <= _LIMITS and all(i and said[i - 1] in _LIMITS for i in places):
            found += 1
        if _BARE_NUMBER.fullmatch(known.get(word[2:-2], "").strip()):
            nouns = {_root(said[i + 1]) for i in places if i + 1 < len(said) and _is_noun(said[i + 1])}
            found += bool(nouns) and not nouns & {_root(w) for w in told[at + 1 : at + 4]}
    return found


def _is_noun(word: str) -> bool:
    """Roughly: what a number before it counts."""
    return len(word) > 3 and word not in _ROLES and not word.startswith("{{")


def _wrong_actor(said: Sequence[str], told: Sequence[str]) -> int:
    asked = bool(said) and said[0] in _ASKED and not _OURSELVES & set(said)
    return int(asked and bool(_OURSELVES & set(told)))


def _said_twice(said: Sequence[str], told: Sequence[str]) -> int:
    """Whether two words together come again ("the spring parcel comes with the spring parcel")."""
    pairs = [p for p in pairwise(told) if all(len(w) > 3 and w not in _ROLES for w in p)]
    again = {p for p in pairs if pairs.count(p) > 1}
    return int(
        bool(again - set(pairwise(said)))
        or any(pairs.count(p) > list(pairwise(said)).count(p) for p in again)
    )


def _reversed(said: Sequence[str], told: Sequence[str]) -> int:
    """Words that say the contrary of one in the plan line: "uninsured" for "insured"."""
    own = set(said)
    return sum(
        word not in own
        and any(word.startswith(p) and word[len(p) :] in own for p in ("un", "in", "non", "dis", "im"))
        for word in set(told)
        if len(word) > 6
    )


def _new_pairs(said: Sequence[str], told: Sequence[str]) -> float:
    def pairs(words: Sequence[str]) -> set[tuple[str, str]]:
        return set(pairwise(["", *map(_root, words), ""]))

    own = pairs(told)
    return len(own - pairs(said)) / max(len(own), 1)


def _root(word: str) -> str:
    if word in _ADDRESSED:
        return "you"
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
