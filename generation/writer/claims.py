"""Claims that need a fact behind them: number words, savings, urgency, praise; and phrases no reader should get.

Facts, goal and brand license a claim that they make themselves, in the same words or in others of the same kind about
the same thing ("delivery is free" licenses "no charge for delivery", and no free gift). A trait or a catalogue text
licenses only a plain number word it holds ("runs a two-person bakery"): what a CRM sends in can never add a promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from generation.writer import numerals, sentences, values
from generation.writer.types import Brief, Product, Reader, Severity, ValueKind

LEAST_FAITH = 0.3  # 75 % of the lines judged bad by eye lie below, and 4 % of the good ones; see scoring.py

_I = re.IGNORECASE


@dataclass(frozen=True, slots=True)
class Claim:
    rule: str
    severity: Severity
    message: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sources:
    """What may be said: `brief` licenses any claim, `reader` a plain number word only. Both lower-case.

    `lines` are the texts of the brief with their values as names, each with its content words; the counts are all
    numbers that a text says, in words or digits.
    """

    brief: str
    reader: str
    lines: tuple[tuple[str, frozenset[str]], ...] = ()
    brief_counts: frozenset[float] = frozenset()
    reader_counts: frozenset[float] = frozenset()
    stems: frozenset[str] = frozenset()  # content words of everything

    @classmethod
    def of(cls, brief: Brief, reader: Reader, products: Sequence[Product] = ()) -> Self:
        known = values.mapping(brief)
        told = [f.text for f in brief.facts]
        told += [brief.goal, brief.brand.name, brief.brand.about, brief.cta]
        said = "\n".join([*(values.preview(text, known) for text in told), *known.values()])
        counted = [v.text for v in brief.values if v.kind in (ValueKind.QUANTITY, ValueKind.OTHER)]
        traits = [*reader.traits, reader.lifecycle, *(f"{p.name} {p.description}" for p in products)]
        heard = "\n".join(traits)
        lines = tuple((values.preview(t, known).lower(), sentences.stems(t)) for t in told if t)
        named = " ".join(value.name.replace("_", " ") for value in brief.values)  # {{half_day}} says "half"
        return cls(
            said.lower(),
            heard.lower(),
            lines,
            numerals.said("\n".join([*told, named, *counted])),
            numerals.said(heard),
            sentences.stems("\n".join([*told, said, heard, brief.brand.voice])),
        )

    def promised(self, phrase: str) -> bool:
        return _whole(phrase, self.brief)

    def heard(self, phrase: str) -> bool:
        return self.promised(phrase) or self.reads(phrase)

    def reads(self, phrase: str) -> bool:
        """Whether a trait or a product's text says the phrase."""
        return _whole(phrase, self.reader)

    def counted(self, spoken: numerals.Spoken) -> bool:
        """Whether anything told says the number, in these words or in others or in digits."""
        if self.heard(spoken.phrase):
            return True
        if spoken.kind == "times" and not spoken.often:
            return False  # "twice the space" is no matter of two dogs; "twice a week" is one of two evenings
        return bool(spoken.worth & (self.brief_counts | self.reader_counts))

    def backs(self, licence: re.Pattern[str], context: str) -> bool:
        """Whether a line of the brief makes a claim of this kind about something that `context` speaks of.

        A context that speaks of nothing ("There is no charge.") is backed by any such line.
        """
        about = sentences.stems(licence.sub(" ", context))
        return any(licence.search(line) and (not about or about & held) for line, held in self.lines)

    def speaks_of(self, word: str) -> bool:
        """Whether anything in the brief begins like this word (`cancellation`, `cancelled`); true of no word."""
        return not word or any(held[:4] == word[:4] for _, line in self.lines for held in line)


def _noun(text: str, at: int) -> str:
    """The content word right after an offset: what is said to be free."""
    match = re.match(r"[- ]+([^\W\d_]+)(?: ([^\W\d_]+))?", text[at:])
    words = [word.lower() for word in match.groups() if word] if match else []
    return sentences.stem(words[0]) if words and words[0] not in sentences.FUNCTION_WORDS else ""


def _whole(phrase: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", text) is not None


_MULTIPLES = re.compile(
    r"\b(?:(?:three|four|five)[- ]for[- ](?:two|three|four|the price of \w+)|buy one,? get one|percent|per cent|"
    r"a (?:third|quarter|fifth|tenth|fraction) (?:off|of the (?:price|cost)))\b",
    _I,
)
_PROOF = re.compile(
    r"\b(?:award[- ]winning|awards?|proven|clinically|scientifically|doctors? (?:recommend|approve|say|agree|love)s?|"
    r"recommended by|risk[- ]free|certified|best[- ]sell(?:er|ers|ing)|number one|top[- ]rated|"
    r"world(?:'|’)?s? ?[- ]?(?:class|leading|best|finest)|market[- ]leading|industry[- ]leading|lowest prices\b|"
    r"the cheapest|unbeatable|(?:will|can|to) cure|cures|miracle|five[- ]star|"
    r"(?:thousands|hundreds|millions) of (?:happy|satisfied)|customers? (?:love|say|agree))\b",
    _I,
)
_SCARCITY = re.compile(
    r"\b(?:last chance|final (?:hours|days|call|chance)|(?:today|this week(?:end)?|tonight) only|"
    r"only (?:today|tonight)|limited (?:time|offer|stock|edition|supply|availability)|"
    r"while (?:stocks?|supplies) lasts?|(?:selling|going) fast|(?:almost|nearly) (?:gone|sold out)|"
    r"(?:soon|always|usually|often|will be) sold out|sells? out|few (?:left|remaining)|"
    r"(?:offer|sale|deal|price|code|discount|this|it|that)(?: \w+){0,3} ends? (?:soon|today|tonight)|"
    r"before (?:it(?:'|’)?s|it is) too late|(?:stocks?|time|supplies|places|seats|they|we)"
    r"(?: is| are|'s|’s|'re|’re)? running out|exclusive offer)\b",
    _I,
)
_PUSHY = re.compile(
    r"\b(?:hurry|act (?:now|fast)|don(?:'|’)t (?:miss|wait)|buy now|order now|right now|"
    r"once in a lifetime|now or never)\b",
    _I,
)
_PRAISE = re.compile(
    r"\b(?:the (?:very )?(?:best|finest|greatest|fastest|easiest|safest|most \w+)|amazing|"
    r"incredible|revolutionary|game[- ]chang(?:er|ing)|unparalleled|ultimate|perfect)\b",
    _I,
)
_STOCK = re.compile(
    r"\b(?:elevate|unlock|unleash|look no further|treat yourself|we(?:'|’)ve got you covered|say hello to|"
    r"in today(?:'|’)s fast[- ]paced world|i hope this (?:email|message)? ?finds you well)\b",
    _I,
)
_FREE = re.compile(
    r"\bno (?:extra |additional )?(?:charge|cost|fee)s?\b|(?<!\w-)\b(?:for )?free\b(?!-)(?: of charge)?", _I
)
_AT_LEISURE = re.compile(  # free, and nothing to do with money
    r"\b(?:keep|leave|stay|feel|roam|hold|hand)(?:s|ing)?\b[^.!?]{0,30}? free\b(?! of charge)"
    r"|\b(?:set|run|break|pull|swim|walk|you|you're|we|we're|they|they're|you are|they are|we are|to|will|can|still|"
    r"on|if) free\b(?! of charge)"
    r"|\b(?:are|is) [^.!?]{0,40} free\?|\bfree (?:time|evenings?|afternoons?|mornings?|hours?|days?|weekends?|hands?|"
    r"to|of (?!charge)|from|range|spirits?|agents?|kick|fall|style|speech|verse|again|\x00|"
    r"(?:sun|mon|tues|wednes|thurs|fri|satur)days?|on (?:\x00+|\w+days?)\?|is|isn't)",
    _I,
)
# Kinds of promise: what says one in copy, and what in a fact of the brief makes it true.
_PROMISES = (
    (
        "claims.multiple",
        re.compile(
            r"\bhalf[- ](?:price[ds]?|(?:\w+ )?off|(?:of )?(?:the|its|our|their|your) (?:\w+ )?"
            r"(?:price|cost|fee|rate))\b|"
            r"\btwo[- ]for[- ](?:one|the price of one)\b|\bfor the price of one\b",
            _I,
        ),
        re.compile(
            r"\b(?:half(?:[- ]price| the| off| of| for|$)|halves|halved|two[- ]for[- ]one|price of one|same as one)",
            _I,
        ),
        "a saving that no fact promises",
    ),
    (
        "claims.free",
        _FREE,
        re.compile(
            r"\b(?:free|no (?:\w+ )?(?:charge|cost|fee|extra)s?|"
            r"without (?:an? |the |any |extra )*(?:charge|cost|fee)s?|"
            r"for nothing|costs? nothing|nothing (?:extra|to pay)|pays? nothing|"
            r"(?:do|does|need) not pay|postage paid|"
            r"includ(?:e|es|ed|ing)|complimentary|gratis|at our (?:cost|expense)|on us|on the house|waive\w*)\b",
            _I,
        ),
        "no fact says that it is free",
    ),
    (
        "claims.saving",
        re.compile(
            r"\b(?:discounts?|discounted|(?:now )?on sale now|in (?:the|our) \w* ?sale|bargains?|save big|"
            r"price cuts?)\b",
            _I,
        ),
        re.compile(
            r"\b(?:discount\w*|off|sales?|sold|reduced|reductions?|less|lower|cheaper|saves?|saving|half|bargains?|code|"
            r"offer|seconds|second-?hand|price drop)\b|%",
            _I,
        ),
        "a saving that no fact promises",
    ),
    (
        "claims.saving",
        re.compile(r"\b(?:coupons?|vouchers?|gift cards?)\b", _I),
        re.compile(r"\b(?:coupons?|vouchers?|gift cards?|gifts?|code|stamps?|credit)\b", _I),
        "a voucher that no fact promises",
    ),
    (
        "claims.saving",
        re.compile(r"\b(?:refund(?:s|ed|able)?|money[- ]back|cash ?back)\b", _I),
        re.compile(
            r"\b(?:refund\w*|money[- ]back|money|cash ?back|returned|returns?|sent back|deposits?|repaid|pay back)\b",
            _I,
        ),
        "a refund that no fact promises",
    ),
    (
        "claims.proof",
        re.compile(r"\bguarantee(?:s|d|ing)?\b", _I),
        re.compile(r"\b(?:guarant\w+|warrant\w+|covered|cover|promises?|insured|or we|replaced?)\b", _I),
        "a guarantee that no fact gives",
    ),
)
_CREEPY = re.compile(
    r"\b(?:we(?:(?:'|’)ve| have)? (?:noticed?|tracked|detected|observed|been watching|been tracking) (?:that )?your?|"
    r"we(?:(?:'|’)ve| have)? (?:saw|seen|see) (?:that )?(?:you (?:looked|looking|bought|browsed|browsing|searched|"
    r"viewed|clicked|left|ordered|were (?:looking|browsing))|your (?:search|searches|browsing|orders?|basket|cart|"
    r"profile|clicks|activity|location|data))|we (?:noticed|tracked|detected|are watching)|"
    r"our records (?:show|say|tell|suggest|indicate)|according to (?:your|our records)|"
    r"based on your (?:activity|history|data|profile|behaviou?r|purchases?|browsing)|"
    r"your (?:browsing|search) history|your (?:personal )?data shows?|your profile (?:says|shows|tells))\b",
    _I,
)
_KNOWING = re.compile(r"\bwe know (?:that |all about )?(?:you|your)\b", _I)
_PERSONAL_IN_AD = re.compile(
    r"\b(?:(?<!where )(?<!wherever )(?<!as )(?<!what )(?<!which )"
    r"you(?:(?:'|’)ve| have)? (?:bought|searched|looked|browsed|"
    r"ordered|asked|live|visited|left|viewed|purchased|already own)|since you (?:bought|live|like|love)|"
    r"your (?:basket|cart|last (?:order|purchase|visit)|religion|income|debts?|illness|diagnosis|divorce|weight|"
    r"disability|ethnicity)|your age\b(?! group)|(?:people|someone) (?:like you|your age)|"
    r"as an? (?:divorced|disabled|muslim|christian|jewish|black|gay|single (?:parent|mum|mom|mother|father|dad|man|"
    r"woman|person)))\b",
    _I,
)


def find(text: str, sources: Sources, *, is_ad: bool) -> Iterator[Claim]:
    """Claims in a template text that `sources` do not make. Values are blanked first: they are facts."""
    template, text = text, sentences.blank(text)
    block, warn = Severity.BLOCKING, Severity.WARNING
    taken: list[tuple[int, int]] = []
    for rule, pattern, severity, message in (
        ("claims.multiple", _MULTIPLES, block, "a claim of size or saving that no fact makes"),
        ("claims.scarcity", _SCARCITY, block, "urgency that no fact supports"),
        ("claims.pushy", _PUSHY, warn, "pushes the reader"),
        ("claims.proof", _PROOF, block, "a proof that no fact gives"),
        ("claims.praise", _PRAISE, warn, "praise that no fact supports"),
        ("words.stock", _STOCK, warn, "a stock phrase"),
    ):
        for match in pattern.finditer(text):
            taken.append(match.span())
            if not sources.promised(match.group(0)):
                yield _claim(rule, severity, message, match)
    for spoken in numerals.spoken(text):
        if any(start < spoken.end and spoken.start < end for start, end in taken):
            continue  # part of a larger claim, judged above
        if not sources.counted(spoken):
            message = f"no fact says “{spoken.phrase}”"
            severity = warn if spoken.kind == "few" else block
            yield Claim("claims.number_word", severity, message, spoken.start, spoken.end)
    at_leisure = [m.span() for m in _AT_LEISURE.finditer(text)]
    for rule, pattern, licence, message in _PROMISES:
        owned = "voucher" in message  # a reader may hold one already: "the voucher your sister gave you"
        for match in pattern.finditer(text):
            phrase = match.group(0)
            if any(start <= match.start() < end for start, end in at_leisure):
                continue
            named = sources.promised(phrase) and phrase.lower() not in ("free", "for free")
            if named or sources.backs(licence, _around(template, match.start(), licence)):
                continue
            # The brief promises this of something, and the words do not show of what: a person must see. A promise
            # whose words stand in what is known of the reader is stopped: a CRM adds none.
            doubtful = not sources.reads(phrase) and sources.backs(licence, "")
            doubtful = doubtful and sources.speaks_of(_noun(text, match.end()))
            doubtful = doubtful or (owned and sources.reads(phrase))
            yield _claim(rule, warn if doubtful else block, message, match)
    for match in _CREEPY.finditer(text):
        yield _claim("reader.creepy", block, "says that the reader is being watched", match)
    for match in _KNOWING.finditer(text):
        yield _claim("reader.knowing", warn, "tells the reader what we know of them", match)
    if is_ad:
        for match in _PERSONAL_IN_AD.finditer(text):
            yield _claim("ads.personal", block, "an ad may not say what it knows of a person", match)


def _around(template: str, at: int, licence: re.Pattern[str]) -> str:
    """The sentence at an offset; with the one before it when it names nothing itself ("There is no charge for it")."""
    before = ""
    for start, sentence in sentences.sentences(template):
        if start <= at < start + len(sentence):
            return sentence if sentences.stems(licence.sub(" ", sentence)) else f"{before} {sentence}"
        before = sentence
    return template


def _claim(rule: str, severity: Severity, message: str, match: re.Match[str]) -> Claim:
    return Claim(rule, severity, message, match.start(), match.end())
