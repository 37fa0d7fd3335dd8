"""What a line did to the exact parts of its plan line: values in their roles, with their limits and nouns.

"At {{time}}" may not become "on {{time}}", "from {{price}}" not "{{price}}", "{{count}} wines" not "{{count}} on
Thursday": each is a false statement made of true words, which neither likelihood nor nearness of meaning shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
# What a fact may ask of the reader. "Reply by Friday" is never the shop's own deed.
_ASKED = word_set(
    "reply bring book order ask call ring send come choose reserve renew upgrade use show wear meet register apply buy "
    "pay visit join sign return try give tell keep look collect pick phone text write add enter quote"
)
_OURSELVES = frozenset(("we", "we'll", "we've"))


def misplaced(spoken: str, text: str, known: Mapping[str, str]) -> int:
    """How often `text` breaks with `spoken`, the plan line as said to the reader; 0 is as it should be.

    Counted are values in another role or without their limit or noun, the reader's deed made ours, the contrary of a
    word, and words said twice over. Values stand as `{{name}}` in both; `known` gives what they stand for.
    """
    said, told = _tokens(spoken), _tokens(text)
    return (
        _values(said, told, known)
        + _wrong_actor(said, told)
        + _said_twice(said, told)
        + _reversed(said, told)
    )


def _tokens(text: str) -> list[str]:
    return [word.replace("’", "'").lower() for word in _TOKEN.findall(text)]


def _values(said: Sequence[str], told: Sequence[str], known: Mapping[str, str]) -> int:
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
        elif all(i and said[i - 1] in _LIMITS for i in places):
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
    once = list(pairwise(said))
    return int(any(pairs.count(p) > max(1, once.count(p)) for p in pairs))


def _reversed(said: Sequence[str], told: Sequence[str]) -> int:
    """Words that say the contrary of one in the plan line: "uninsured" for "insured"."""
    own = set(said)
    return sum(
        word not in own
        and any(word.startswith(p) and word[len(p) :] in own for p in ("un", "in", "non", "dis", "im"))
        for word in set(told)
        if len(word) > 6
    )


def _root(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
