"""Small tools over plain text: where sentences stand, whether one has ended, which of its words carry content."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from generation.writer import values


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


BREAKS = word_set(
    "a an the and or but nor of for from with without than if because while that which whose your our their its my "
    "is are was were very"
)  # words that end no text, not even a title
DANGLING = BREAKS | word_set(
    "a an the and or but nor of to for from with without by at in on into onto as than if because while that "
    "which who whose your our their its my is are was were be been can could will would should may must has have "
    "had do does not any so very more most when where no until before after between about up it's you're we're i'm"
)
ENDINGS = (".", "!", "?", "…", "。", "！", "？")


def ends_finished(text: str) -> bool:
    """Whether a sentence has come to its end: a closing mark, quotes and brackets aside."""
    return text.rstrip(" )\"'”’»").endswith(ENDINGS)


def last_word(text: str) -> str:
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text.lower())
    return words[-1].replace("’", "'") if words else ""


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Sentences with their offsets; a paragraph's end is a sentence's end."""
    for match in re.finditer(r"[^\s.!?…][^\n]*?(?:[.!?…]+(?=\s|$)|(?=\n|$))", text):
        yield match.start(), match.group(0)


def normal(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def blank(text: str) -> str:
    """The text with its values blanked out, every offset kept."""
    return values.REFERENCE.sub(lambda m: "\x00" * len(m.group(0)), text)


FUNCTION_WORDS = word_set(
    "a about above after again against all also always am an and another any anyone anything are around as at away "
    "back be because been before behind being below between both but by can cannot come comes could did do does "
    "doing done down each either else enough even ever every everyone everything far few first for from get gets "
    "give gives go goes going gone good got had half has have having he hello her here hers hi him his how i if in "
    "into is it its itself just keep know last least less let like little long look lot made make makes many may me "
    "might mind mine more most much must my need needs never new next no nobody none nor not nothing now of off "
    "often on once one ones only onto or other others our ours out over own people per please put quite rather "
    "really right same see she should since so some someone something soon still such sure take takes than that "
    "the their theirs them then there these they thing things think this those though through time to today "
    "together too under until up upon us use used very want wants was way we well were what whatever when where "
    "which while who whole whom whose why will with within without would yes yet you your yours yourself dear "
    "don didn doesn isn aren wasn won couldn shouldn wouldn hasn haven ll ve re"
)


def stems(text: str) -> frozenset[str]:
    """Content words, shorn of their commonest endings so that `opens` meets `opening`; value names as they are."""
    names = {values.reference(name) for name in values.names(text)}
    words = re.findall(r"[^\W\d_]{2,}", values.REFERENCE.sub(" ", text).lower())
    return frozenset(names | {stem(w) for w in words if w not in FUNCTION_WORDS})


def stem(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "i"
    for ending in ("ingly", "ings", "ing", "edly", "ers", "er", "ed", "es", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]  # shopp(ing) is shop
    if len(word) > 3 and word[-1] in "ey":
        word = word[:-1] if word[-1] == "e" else word[:-1] + "i"
    return word
