"""Claims that need a fact behind them: number words, savings, urgency, praise; and phrases no reader should get.

Facts, goal and brand license a claim that they make themselves. A trait or a catalogue text licenses only a plain
number word it holds ("runs a two-person bakery"): what a CRM sends in can never add a promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from generation.writer import values
from generation.writer.types import Brief, Product, Reader, Severity


@dataclass(frozen=True, slots=True)
class Claim:
    rule: str
    severity: Severity
    message: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sources:
    """What may be said: `brief` licenses any claim, `reader` a plain number word only. Both lower-case."""

    brief: str
    reader: str

    @classmethod
    def of(cls, brief: Brief, reader: Reader, products: Sequence[Product] = ()) -> Self:
        known = values.mapping(brief)
        said = [values.preview(f.text, known) for f in brief.facts]
        said += [brief.goal, brief.brand.name, brief.brand.about, brief.cta, *known.values()]
        heard = [*reader.traits, *(f"{p.name} {p.description}" for p in products)]
        return cls("\n".join(said).lower(), "\n".join(heard).lower())

    def promised(self, phrase: str) -> bool:
        return _whole(phrase, self.brief)

    def heard(self, phrase: str) -> bool:
        return self.promised(phrase) or _whole(phrase, self.reader)


def _whole(phrase: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", text) is not None


_NUMBER_WORDS = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    r"fifteen|sixteen|seventeen|"
    r"eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|"
    r"billions?|trillions?|dozens?|couple|zero|twice|thrice)\b",
    re.IGNORECASE,
)
_MULTIPLES = re.compile(
    r"\b(?:half[- ](?:price|off|the price|the cost)|(?:two|three|"
    r"buy one,? get one)[- ](?:for[- ](?:one|two)|free)|"
    r"doubled?|triple|threefold|tenfold|percent|per cent|a (?:third|quarter|fifth|tenth|fraction) off)\b",
    re.IGNORECASE,
)
_SAVINGS = re.compile(
    r"\b(?:free (?:of charge|shipping|delivery|gift|trial|returns?|samples?|upgrades?|month|"
    r"lesson|entry)|for free(?!\s+\w)|"
    r"no (?:extra |additional )?(?:charge|cost|fee)s?|discounts?|on sale|bargains?|coupons?|"
    r"vouchers?|cash ?back|"
    r"refunds?|money back|save (?:big|money|up))\b",
    re.IGNORECASE,
)
_FREE = re.compile(
    r"\bfree\b(?!\s+(?:time|evening|afternoon|morning|hour|day|to|of|from|hand|weekend))", re.IGNORECASE
)
_SCARCITY = re.compile(
    r"\b(?:last chance|final (?:hours|days|call|chance)|(?:today|this week(?:end)?|"
    r"tonight) only|only (?:today|tonight)|"
    r"limited (?:time|offer|stock|edition|supply|availability)|while (?:stocks?|"
    r"supplies) lasts?|(?:selling|going) fast|"
    r"almost (?:gone|sold out)|nearly (?:gone|sold out)|sold out|few (?:left|remaining)|"
    r"ends? (?:soon|today|tonight)|"
    r"before (?:it(?:'|’)?s|it is) too late|running out|exclusive offer)\b",
    re.IGNORECASE,
)
_PUSHY = re.compile(
    r"\b(?:hurry|act (?:now|fast)|don(?:'|’)t (?:miss|wait)|buy now|order now|right now|"
    r"once in a lifetime|now or never)\b",
    re.IGNORECASE,
)
_PROOF = re.compile(
    r"\b(?:guarantee[ds]?|award[- ]winning|awards?|proven|clinically|scientifically|doctors?|"
    r"recommended by|risk[- ]free|"
    r"certified|best[- ]sell(?:er|ers|ing)|number one|top[- ]rated|world(?:'|"
    r"’)?s? ?[- ]?(?:class|leading|best|finest)|"
    r"market[- ]leading|industry[- ]leading|lowest prices?|cheapest|unbeatable|cures?|miracle|five[- ]star|"
    r"thousands of (?:happy|satisfied)|customers? (?:love|say|agree))\b",
    re.IGNORECASE,
)
_PRAISE = re.compile(
    r"\b(?:the (?:very )?(?:best|finest|greatest|fastest|easiest|safest|most \w+)|amazing|"
    r"incredible|revolutionary|"
    r"game[- ]chang(?:er|ing)|unparalleled|ultimate|perfect)\b",
    re.IGNORECASE,
)
_STOCK = re.compile(
    r"\b(?:elevate|unlock|unleash|look no further|treat yourself|we(?:'|’)ve got you covered|say hello to|"
    r"in today(?:'|’)s fast[- ]paced world|i hope this (?:email|message)? ?finds you well)\b",
    re.IGNORECASE,
)
_CREEPY = re.compile(
    r"\b(?:we(?:(?:'|’)ve| have)? (?:noticed?|saw|seen|see|know|tracked|detected|observed|"
    r"been watching|been tracking)"
    r" (?:that )?(?:you|your)|we (?:noticed|tracked|detected|are watching)|our records|according to your|"
    r"based on your (?:activity|history|data|profile|behaviou?r|purchases?|browsing)|"
    r"your (?:browsing|search) history|"
    r"your (?:personal )?data shows?|your profile (?:says|shows|tells))\b",
    re.IGNORECASE,
)
_PERSONAL_IN_AD = re.compile(
    r"\b(?:you(?:(?:'|’)ve| have)? (?:bought|searched|looked|browsed|ordered|asked|live|"
    r"visited|left|viewed|purchased|"
    r"already own)|since you (?:bought|live|like|love)|your (?:basket|cart|last (?:order|"
    r"purchase|visit)|age|religion|"
    r"income|debts?|illness|diagnosis|divorce|weight|disability|ethnicity)|"
    r"(?:people|someone) (?:like you|your age)|as an? (?:single|divorced|disabled|muslim|"
    r"christian|jewish|black|gay))\b",
    re.IGNORECASE,
)


def find(text: str, sources: Sources, *, is_ad: bool) -> Iterator[Claim]:
    """Claims in a template text that `sources` do not make. Values are blanked first: they are facts."""
    text = values.REFERENCE.sub(lambda m: "\x00" * len(m.group(0)), text)
    block, warn = Severity.BLOCKING, Severity.WARNING
    for match in _NUMBER_WORDS.finditer(text):
        if not sources.heard(match.group(0)):
            yield _claim("claims.number_word", block, f"no fact says “{match.group(0)}”", match)
    for rule, pattern, severity, message in (
        ("claims.multiple", _MULTIPLES, block, "a claim of size or saving that no fact makes"),
        ("claims.saving", _SAVINGS, block, "a saving that no fact promises"),
        ("claims.free", _FREE, block, "no fact says that it is free"),
        ("claims.scarcity", _SCARCITY, block, "urgency that no fact supports"),
        ("claims.pushy", _PUSHY, warn, "pushes the reader"),
        ("claims.proof", _PROOF, block, "a proof that no fact gives"),
        ("claims.praise", _PRAISE, warn, "praise that no fact supports"),
        ("words.stock", _STOCK, warn, "a stock phrase"),
    ):
        for match in pattern.finditer(text):
            if not sources.promised(match.group(0)):
                yield _claim(rule, severity, message, match)
    for match in _CREEPY.finditer(text):
        yield _claim("reader.creepy", block, "says that the reader is being watched", match)
    if is_ad:
        for match in _PERSONAL_IN_AD.finditer(text):
            yield _claim("ads.personal", block, "an ad may not say what it knows of a person", match)


def _claim(rule: str, severity: Severity, message: str, match: re.Match[str]) -> Claim:
    return Claim(rule, severity, message, match.start(), match.end())
