"""Grammar by Harper (https://writewithharper.com), an English checker that runs in the process, without a network.

Values are filled in before it reads, and spans are mapped back to the template. Most of its 900 rules are no use for
copy: spelling stumbles over brands, style over fragments and headlines, dialects over each other. Each rule used here
was tried on hand-written copy first (10,000 lines of the plain layer and the 769 whole pieces, 147,000 words): one
that fired there on good English more than it could ever be worth is in `_WRONG` and never shown.

Harper is imported at the first use: building its dictionary takes about half a second and 140 MB.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from generation.writer import values
from generation.writer.checks.copy import Copy, Place, finding
from generation.writer.sentences import word_set
from generation.writer.types import Finding, Severity

# Right nearly always where they fire: shown as warnings.
_SURE = word_set(
    "AnA AnAnother AnotherAn CapitalizePersonalPronouns DespiteOf DidPast Didnt DoubleNegative HadOf HavePronoun "
    "HeDos IAmAgreement IfWouldve IsBeenAuxSequence ItsContraction LooksLikes ModalOf MoreBetter "
    "AdjectiveDoubleDegree NotBeAfterNot OughtToBe PronounVerbAgreement PronounContraction RegularIrregulars "
    "RepeatedWords SimplePastToPastParticiple SubjectPronoun TheAnother TheirToThere TheirToTheyre TheMy "
    "ThenThan ThesesThese TheTheToThatThe TheyreToTheir ThereIsAgreement WillNonLemma WrongNegative "
    "YourOutClauseAgreement"
)
# "You likes" is wrong and "your debut earned you points" is not; of these forms Harper can be sure.
_AUXILIARIES = word_set("is are am was were has have do does")
# Plausible, never or hardly ever wrong on good copy: notes.
_LIKELY = word_set(
    "AdvantageOf AfterLater AllReady AnotherOnes AnotherThings AsLongAs AskNoPreposition AspireTo "
    "AsToInterrogative BetterOffPhrase CanBeSeen Cant CapitalizeOn CommaFixes ComplainAsNoun CuriousAbout "
    "DoIAdjective DoNotWant EachAndEveryOne EachOthersPossessive ElsePossessive ForNoun GetPassGoPass GoingTo "
    "HaveNegNoAny HelpedPast HowTo IAm IDo InAnyWay InflectedVerbAfterTo InsteadOf ItCan IveGotTo LetToDo "
    "LevelOfDetails LikeAsIf LookInto ModalSeem MoreAdjective MultipleSequentialPronouns MyHouse NeedHelp "
    "NeedToNoun NominalWants NorModalPronoun NotTo NounVerbConfusion ObsessPreposition OneOfTheSingular "
    "PluralWrongWordOfPhrase PossessiveNoun PronounAre ProgressiveNeedsBe QuantifierNeedsOf ReadsAndWrites "
    "ReasonForDoing RelayOnForRely ResponsibleFor SameAs SomebodyElses SomeOfThe SomeWithoutArticle TakeALookTo "
    "TakeCareOf ThanksALot ThatThan ThatThis ThatWhich ThereMissingIsClause ThereOwn Theres TheyreConfusions "
    "ThinkKnowOff ThriveOn ToTo TransposedSpace TryOnesHandAt VerbToAdjective VeryMuchSo WantBe WereWhere "
    "WithoutOut Yourself"
)
# Fired on good copy again and again ("The shop has new owners", "a soft tan leather"). Counted for the rate, which is
# compared with that of hand-written copy, and never shown.
_WRONG = word_set(
    "AWhile DisjointPrefixes DontCan DoubleModal FindOut HaveTakeALook InAWhile ItsPossessive LetsConfusion "
    "MassNouns MissingDeterminer MissingPreposition MissingTo ModalBeAdjective NotIn PossessiveYour "
    "PronounInflectionBe PronounKnew QuantifierNumeralConflict SentenceCapitalization SingleBe ThereToTheir "
    "TheyToThem ToTwoToo WhomSubjectOfVerb WouldNeverHave YourPredicateAdjective"
)
SHOWN = _SURE | _LIKELY
COUNTED = SHOWN | _WRONG

# Notes of the COUNTED rules per 100 words of hand-written copy, those on the brief's own words left out: 119 in
# 105,759 words, values filled in, over 900 random pieces of the plain layer (0.073) and all 769 whole pieces (0.145),
# with Harper 2.13. With the brief's words it is 0.137.
HUMAN_RATE = 0.112

LONGEST = 4000  # characters; no field is meant to be a tenth as long, and Harper takes ever longer over more

_lock = threading.Lock()  # a Linter may be used by one thread at a time


@functools.cache
def _linter() -> Any:
    import harper

    linter = harper.Linter(harper.Dialect.BRITISH)  # the dialect matters to spelling and style alone
    linter.set_lint_config({name: name in COUNTED for name in linter.get_default_lint_config()})
    return linter


@dataclass(frozen=True, slots=True)
class _Note:
    rule: str
    start: int
    end: int
    message: str


def _read(text: str) -> list[_Note]:
    with _lock:
        found = _linter().organized_lints(text, language="plaintext")
    return [
        _Note(rule, lint.span.start, lint.span.end, lint.message)
        for rule, lints in found.items()
        for lint in lints
    ]


def notes(copy: Copy) -> Iterator[Finding]:
    """What Harper says of the filled text, where the writer's own words are meant: not a value, not a name."""
    texts = values.mapping(copy.brief)
    names = " ".join([copy.brief.brand.name, *(product.name for product in copy.products)]).lower()
    for place in copy.texts:
        filled, spans = _fill(place[2], texts)
        if not filled.strip() or len(filled) > LONGEST:
            continue
        for note in _read(filled):
            if note.rule not in SHOWN or _named(filled[note.start : note.end], names):
                continue
            span = _template_span(note.start, note.end, spans)
            if span is not None:
                yield _finding(note, filled[note.start : note.end], place, span)


def _named(words: str, names: str) -> bool:
    """Whether the words stand in a brand's or product's name; a lone short word means itself."""
    return len(words) > 3 and re.search(rf"(?<!\w){re.escape(words.lower())}(?!\w)", names) is not None


def _finding(note: _Note, word: str, place: Place, span: tuple[int, int]) -> Finding:
    sure = note.rule in _SURE and (note.rule != "PronounVerbAgreement" or word.lower() in _AUXILIARIES)
    severity = Severity.WARNING if sure else Severity.NOTE
    return finding(f"grammar.{_snake(note.rule)}", severity, note.message, place, span)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


_Spans = list[
    tuple[int, int, int, int, bool]
]  # filled start, filled end, template start, template end, is a value


def _fill(template: str, texts: dict[str, str]) -> tuple[str, _Spans]:
    parts: list[str] = []
    spans: _Spans = []
    at = size = 0

    def put(text: str, start: int, end: int, is_value: bool) -> None:
        nonlocal size
        if text:
            parts.append(text)
            spans.append((size, size + len(text), start, end, is_value))
            size += len(text)

    for match in values.REFERENCE.finditer(template):
        put(template[at : match.start()], at, match.start(), False)
        put(values.preview(match.group(0), texts), match.start(), match.end(), True)
        at = match.end()
    put(template[at:], at, len(template), False)
    return "".join(parts), spans


def _template_span(start: int, end: int, spans: _Spans) -> tuple[int, int] | None:
    """Where a span of the filled text stands in the template; None when it lies inside a value."""
    own = False
    first = last = None
    for filled_start, filled_end, template_start, template_end, is_value in spans:
        if filled_end <= start or filled_start >= max(end, start + 1):
            continue
        low = template_start if is_value else template_start + max(start - filled_start, 0)
        high = template_end if is_value else template_start + min(end, filled_end) - filled_start
        first = low if first is None else first
        last = high
        own = own or not is_value
    return (first, last) if own and first is not None and last is not None else None


def notes_per_100_words(texts: Sequence[str], given: Sequence[str] | None = None) -> float:
    """Harper's notes per 100 words of filled texts; 0.0 for none. Divide by HUMAN_RATE for a ratio.

    All COUNTED rules count, those too that are often wrong: they are wrong about a person's copy just as often, and a
    rate that rests on the few sure ones alone would be made of a handful of notes.

    `given` holds for each text what its brief gave, filled: a note on words that the brief already had ("pre-owned")
    is the brief's, not the writer's, and does not count. HUMAN_RATE was counted in the same way.
    """
    count = words = 0
    for number, text in enumerate(texts):
        words += len(text.split())
        if text.strip():
            known = _given(given[number]) if given is not None else frozenset()
            count += sum((n.rule, text[n.start : n.end].lower()) not in known for n in _read(text))
    return 100 * count / words if words else 0.0


@functools.lru_cache(maxsize=256)
def _given(text: str) -> frozenset[tuple[str, str]]:
    return frozenset((n.rule, text[n.start : n.end].lower()) for n in _read(text[: 4 * LONGEST]))
