"""Numbers said in words: what they are worth, and where copy makes a claim with one.

Digits cannot be written outside values, so an invented number can only come in words: "twice as far", "half the
price", "on your fifth visit". A number stands for what it is worth: a fact that says "two lessons a week" licenses
"twice a week".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


def _counted(words: str, start: int) -> dict[str, int]:
    return {word: number for number, word in enumerate(words.split(), start)}


_UNITS = _counted(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
    0,
)
_TENS = {
    word: 10 * number
    for word, number in _counted("twenty thirty forty fifty sixty seventy eighty ninety", 2).items()
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = _counted(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
    1,
) | {
    "thirtieth": 30,
    "fortieth": 40,
    "fiftieth": 50,
    "hundredth": 100,
    "thousandth": 1000,
    "millionth": 10**6,
}
_PARTS = {"half": 2, "halves": 2, "quarter": 4} | {w: n for w, n in _ORDINALS.items() if n > 2}
_TIMES = {
    "twice": 2, "double": 2, "doubled": 2, "twofold": 2, "thrice": 3, "triple": 3, "tripled": 3, "treble": 3,
    "threefold": 3, "quadruple": 4, "fourfold": 4, "fivefold": 5, "tenfold": 10, "hundredfold": 100,
}  # fmt: skip
_OTHERS = {
    "couple": 2, "twin": 2, "trio": 3, "dozen": 12, "dozens": 12, "hundreds": 100, "thousands": 1000,
    "millions": 10**6, "billions": 10**9, "trillions": 10**12,
}  # fmt: skip
_WORTH = _UNITS | _TENS | _SCALES | _ORDINALS | _TIMES | _OTHERS

_CARDINAL = "|".join(sorted((set(_UNITS) | set(_TENS) | set(_SCALES)) - {"one"}, key=len, reverse=True))
_PART = "third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|twentieth|hundredth"
_LATE = "|".join(w for w, n in sorted(_ORDINALS.items(), key=lambda i: -len(i[0])) if n > 2)

_RUN = rf"(?:one[- ])?(?:{_CARDINAL})(?:(?:[- ]|[- ]and[- ])(?:{_CARDINAL}|one))*"
_SPOKEN = re.compile(
    r"\b(?:"
    rf"(?P<part>(?:one|two|three|a|{_CARDINAL})[- ](?:{_PART})s?(?=[- ](?:of|off|less|cheaper|more|the)\b)|"
    r"half[- ](?:as much|as many|of (?:the|our|all)|an? (?:hour|day|year|dozen|million|century))|"
    r"(?:three[- ])?quarters? of (?:an hour|a |all|our)|(?:one|two|three) and a half)"
    rf"|(?P<run>{_RUN})"
    r"|(?P<scale>hundreds|thousands|millions|billions|trillions|dozens?|scores of)|(?P<few>couple(?= of))"
    r"|(?P<times>(?:every|each) second|"
    r"twice|thrice|doubled|doubles? (?:the|your|our)|triples?|tripled|trebled?|quadruple|"
    r"(?:two|three|four|five|ten|hundred)fold)"
    rf"|(?P<ordinal>(?:every |each |your |the |a |an )?(?:{_LATE}))"
    r")\b",
    re.IGNORECASE,
)

# Where a number word counts nothing a reader could hold anybody to. Tried at every number word, so that none of them
# can hide a claim behind an idiom in the same sentence.
_IDIOMS = re.compile(
    r"\b(?:(?:the|you|us|them|these|those|no|all) (?:two|three|four|five|six)(?: of (?:you|us|them))?"
    r"(?=[.,;:!?]|$| of| are| is| have| met| should| can| will| may| might| could| would| belong| go| get| look)"
    r"|(?:two|three|four|five|six) of (?:you|us|them)|no two"
    r"|(?:or|and) two(?=[.,;:!?]|$| (?:is|are|at|in|on|to|for|of|before|with|more|and|or)\b)"
    r"|an? [^\W\d_]+ or two|one or two|two or three|three or four|once or twice|once, twice|not once but twice"
    r"|(?:think|thinks|thinking|look|looked|said|say|ask|asked|tell|told|asking|bother|happen|happens) twice"
    r"|(?:never|not|nobody|hardly) [^\W\d_]+ (?:[^\W\d_]+ )?twice|twice(?= over\b| bitten\b| about\b)|twice-told"
    r"|(?:two|three|four|five) (?:things?|reasons?|words?|questions?|notes?|thoughts?|jokes?)(?= \w|[.,:;!?]|$)"
    r"|two (?:cents|left feet|minds)|in two\b|two by two|two's|two-(?:way|faced|tone|legged)"
    r"|four legs|one [^\W\d_]+ or (?:ten|a hundred)|on all fours|high[- ]five"
    r"|nine[- ]to[- ](?:five|fives|fivers?)|cloud nine|sixes and sevens|dressed to the nines|nines"
    r"|(?:forty|catch) (?:winks|twenty-two)|six feet under|four[- ](?:poster|legged|square|corners|wheeled)"
    r"|ten to one|fifty[- ]fifty|a million (?:miles|thanks)|thanks a million|a hundred per ?cent"
    r"|a thousand (?:thanks|apologies|words)|twenty[- ]twenty|zero[- ](?:in|waste)|ground zero"
    r"|third[- ](?:party|parties|hand|person|wheel|space|world|age)|third time lucky|eleventh hour|seventh heaven"
    r"|sixth (?:sense|form|former|formers)|fifth (?:gear|wheel|avenue)|fourth wall"
    r"|[^\W\d_]+-(?:first|second|third) century|(?:the )?[^\W\d_]+teenth century"
    r"|(?:first|second|third) (?:and|or|to) (?:second|third|fourth)|in (?:quarters|halves|thirds))",
    re.IGNORECASE,
)

CJK = frozenset("两兩半倍折双雙廿卅")  # number words that Unicode does not call numeric
SIGNS = frozenset("💯🔟⅍")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A number word that claims something. `worth` is every number it may stand for."""

    start: int
    end: int
    phrase: str
    kind: str  # part, run, scale, few, times, ordinal
    worth: frozenset[float]
    often: bool = False  # says how often: "twice a week"


def spoken(text: str) -> Iterator[Spoken]:
    """Number words in a text whose values are blanked, those of idioms left out."""
    idioms = [m.span() for m in _IDIOMS.finditer(text)]
    for match in _SPOKEN.finditer(text):
        if any(start <= match.start() < end or start < match.end() <= end for start, end in idioms):
            continue
        kind = match.lastgroup or ""
        phrase = match.group(0)
        if (
            kind == "ordinal"
            and phrase.split()[0].lower() in ("the", "a", "an", "your")
            and _names(text, match)
        ):
            continue
        often = re.match(r" (?:a|an|each|every|per)\b", text[match.end() :]) is not None
        yield Spoken(match.start(), match.end(), phrase, kind, worth(phrase, kind), often)


def _names(text: str, match: re.Match[str]) -> bool:
    """Whether an ordinal is part of a name: George the Third, Fifth Avenue."""
    return (
        match.group(0).split()[-1][0].isupper()
        and match.start() > 0
        and text[match.end() :][:2].strip().isupper()
    )


def worth(phrase: str, kind: str = "") -> frozenset[float]:
    """All numbers a phrase may stand for. "Twenty-five" is 25 alone; a part is one over its name ("a third": 1/3)."""
    words = re.findall(r"[^\W\d_]+", phrase.lower())
    if kind == "part":
        found = {1 / _PARTS[w.rstrip("s")] for w in words if w.rstrip("s") in _PARTS}
        if "half" in words:
            found |= {30.0} if "hour" in words else {6.0} if {"year", "dozen"} & set(words) else set()
        return frozenset(found)
    if kind == "run":
        return frozenset({_value(words)})
    found = {float(_WORTH[w]) for w in words if w in _WORTH and w != "one"}
    if kind == "ordinal" and words[0] in ("a", "another"):
        found |= {number - 1 for number in found}  # "a fourth will have it too", said after three
    return frozenset(found)


def _value(words: list[str]) -> float:
    """What a run of cardinals amounts to; 0 when it is none."""
    total = current = 0.0
    for word in words:
        if word in _UNITS:
            current += _UNITS[word]
        elif word in _TENS:
            current += _TENS[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _SCALES:
            total, current = total + max(current, 1) * _SCALES[word], 0.0
        elif word not in ("and", "a"):
            return 0.0
    return total + current


_DIGITS = re.compile(r"(?<![\w$€£¥:.,])\d+(?:[.,]\d+)*(?![\d:]|[ap]m\b| ?%| ?[ap]\.?m\b)")
_ANY = "|".join(sorted({*_WORTH, *_PARTS} - {"second"}, key=len, reverse=True))
_ALL = re.compile(rf"\b(?:{_ANY})s?(?:[- ](?:and[- ])?(?:{_ANY})s?)*\b", re.IGNORECASE)


def said(text: str) -> frozenset[float]:
    """Every number a source says, in words or digits; prices, percentages and times of day say none."""
    found: set[float] = set()
    for match in _ALL.finditer(text):
        words = [
            w if w in _WORTH else w.rstrip("s") for w in re.findall(r"[^\W\d_]+", match.group(0).lower())
        ]
        found |= {float(_WORTH[w]) for w in words if w in _WORTH}
        found |= {1 / _PARTS[w] for w in words if w in _PARTS}
        found.add(_value(words))
    for match in _DIGITS.finditer(text):
        digits = match.group(0)
        for form in (digits.replace(",", ""), digits.replace(",", ".")):
            if form.count(".") < 2:
                found.add(float(form))
    if re.search(r"\byears?\b|\bannual", text, re.IGNORECASE):
        found.add(12.0)  # months
    if "½" in text:
        found.add(0.5)
    found.discard(0.0)
    return frozenset(found)
