"""Which candidate of a unit stays, and how far a text can be trusted to say its plan line and nothing else.

A candidate is looked at from five sides: how likely the model finds it, whether it says its plan line, what it adds,
whether it reads like copy, and what went wrong in writing it. The features are weighed by a logistic model whose
weights were fitted on candidates judged by eye (see docs/model-card.md); `faith` weighs only the features that tell
of faithfulness, so a well-phrased invention does not pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from operator import mul
from pathlib import Path

from generation.writer import channels, fidelity, values
from generation.writer.types import Embedder

_STOP_WORDS = (
    "a an the and or but of to for from with by at in on as if it its is are was were be been this that these those "
    "you your we our us i my he she they them their so not no do does did has have had can will would may just "
    "who which what when where how all any each every some more most very too also only one reader there here then "
    "than because since while before after until up out about into over back again now still yet"
)
_STOP = frozenset(_STOP_WORDS.split())
_OWN_VOICE = re.compile(r"\b(?:I|me|my|mine|myself|I'm|I've|I'll)\b")
_THIRD = re.compile(r"\b(?:he|him|his|she|her|hers)\b", re.IGNORECASE)
_YOU = re.compile(r"\b(?:you|your|yours|yourself|you're|you've|you'll)\b", re.IGNORECASE)
_IMPERATIVE = re.compile(r"^[A-Z][a-z]+ (?:a|an|the|your|it|in|on|by|and|with|at)\b")


@dataclass(frozen=True, slots=True)
class Aim:
    """What a unit has to say, and what else there is to say. Texts hold values as `{{name}}`."""

    label: str
    lines: tuple[str, ...]  # the plan line's parts: facts and traits in words, without what values stand for
    spoken: str  # the same said plainly to the reader
    others: tuple[str, ...] = ()  # the facts and traits of the brief that are not this unit's
    world: str = ""  # brand, goal, traits, facts: words that are no invention
    known: Mapping[str, str] = field(default_factory=dict)  # value name to text
    about_reader: bool = False  # rests on a trait
    said: tuple[str, ...] = ()  # the texts written before it


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate's text as it would stand, and how it came about."""

    text: str
    logprobs: tuple[float, ...]  # of its tokens, natural logarithm; empty for a text from elsewhere
    forced: int = 0  # values that had to be put in
    broken: bool = False  # cut or not come to an end
    scripted: bool = False  # the plainest wording, not drawn
    faults: int = 0  # claims and avoided words that the checks would block


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score` in log-odds orders candidates; `faith` is between 0 and 1."""

    score: float
    faith: float
    features: Mapping[str, float]


def content(text: str) -> set[str]:
    """Content words, roughly stemmed, values among them."""
    words = re.findall(r"[^\W\d_]+", values.REFERENCE.sub(" ", text).lower())
    return {_stem(w) for w in words if w not in _STOP and len(w) > 1} | set(values.names(text))


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "ed", "es", "s", "ly", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


@cache
def light_words() -> Mapping[str, float]:
    """Stems that hand-written lines add to their plan line, to what adding one costs: 0 common, towards 1 rare."""
    found: dict[str, float] = {}
    text = (Path(__file__).resolve().parent / "light_words.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            stem, count = line.split()
            found[stem] = max(0.0, 1.0 - math.log10(int(count)) / 2)
    return found


class Judge:
    """Weighs candidates. With an embedder meaning counts as well as words; its vectors are kept for the brief."""

    def __init__(self, embedder: Embedder | None = None, *, calibrated: bool = True) -> None:
        """`calibrated`: likelihoods are those of a model tuned on the corpus, on which the weights were fitted.

        Those of another model still order its candidates; `faith` then takes the usual ones in their place.
        """
        self._embedder, self._calibrated = embedder, calibrated
        self._vectors: dict[str, list[float]] = {}

    def judge(self, aim: Aim, attempts: Sequence[Attempt]) -> list[Verdict]:
        """One verdict per attempt, in order."""
        shown = [_shown(a.text, aim) for a in attempts]
        vectors = self._embed(aim, shown)
        found = []
        for attempt, text in zip(attempts, shown, strict=True):
            told = features(aim, attempt)
            told |= self._meaning(aim, text, vectors, told["covers"])
            trusted = (
                told if self._calibrated else {**told, "likely": USUAL_LIKELY, "unlikely": USUAL_UNLIKELY}
            )
            faith = 1 / (1 + math.exp(-_weigh(trusted, FAITH_WEIGHTS)))
            found.append(Verdict(_weigh(told, WEIGHTS), faith, told))
        return found

    def _embed(self, aim: Aim, shown: Sequence[str]) -> Mapping[str, list[float]]:
        if self._embedder is None:
            return {}
        wanted = [_shown(t, aim) for t in (aim.spoken, *aim.others, *aim.said)]
        missing = [t for t in dict.fromkeys([*wanted, *shown]) if t not in self._vectors]
        if len(self._vectors) > 20_000:
            self._vectors.clear()
            missing = list(dict.fromkeys([*wanted, *shown]))
        self._vectors.update(zip(missing, self._embedder.embed(missing), strict=True) if missing else ())
        return self._vectors

    def _meaning(
        self, aim: Aim, text: str, vectors: Mapping[str, list[float]], covers: float
    ) -> dict[str, float]:
        """What meaning adds; without vectors nearness is guessed from the words."""
        if not vectors:
            return {"near": 0.5 + 0.45 * min(covers, 1.0), "lead": 0.1, "echo": 0.0}
        own = vectors[text]

        def to(other: str) -> float:
            return float(sum(map(mul, own, vectors[_shown(other, aim)])))

        near = to(aim.spoken)
        away = max((to(o) for o in aim.others), default=0.0)
        return {
            "near": near,
            "lead": max(-0.4, min(near - away, 0.4)),
            "echo": max(0.0, max((to(s) for s in aim.said), default=0.0) - 0.7),
        }


def _shown(text: str, aim: Aim) -> str:
    return values.preview(text, aim.known)


def features(aim: Aim, attempt: Attempt) -> dict[str, float]:
    """What can be told from the words alone."""
    text = attempt.text
    told, wanted = content(text), content(" ".join(aim.lines))
    told.discard(values.FIRST_NAME)
    world, other = content(aim.world), content(" ".join(aim.others)) - wanted
    light = light_words()
    added = told - wanted
    strange = sum(light.get(w, 1.0) for w in added - world)
    wandering = sum(light.get(w, 1.0) for w in added & other)
    lowest = sorted(attempt.logprobs)[:3]
    words = re.findall(r"[^\W\d_]+", text)
    names = values.names(text)
    planned = set(values.names(" ".join(aim.lines)))
    title = aim.label in channels.TITLE_LABELS
    return {
        "bias": 1.0,
        "title": float(title),
        "likely": sum(attempt.logprobs) / len(attempt.logprobs) if lowest else USUAL_LIKELY,
        "unlikely": sum(lowest) / len(lowest) if lowest else USUAL_UNLIKELY,
        "covers": len(told & wanted) / max(min(len(wanted), 3 if title else 8), 1),
        "strange": min(strange, 4.0),
        "wanders": min(wandering, 4.0),
        "alien_name": float(len(_alien_names(text, aim))),
        "lacks_value": float(not title) * (len(planned - set(names)) if planned else 0),
        "value_twice": float(len(names) - len(set(names))),
        "person": float(
            (bool(_OWN_VOICE.search(text)) and not _OWN_VOICE.search(aim.spoken))
            or (bool(_THIRD.search(text)) and not _THIRD.search(" ".join(aim.lines)))
        ),
        "not_to_you": float(aim.about_reader and not title and not _YOU.search(text) and not _IMPERATIVE.match(text)),
        "word_twice": sum(1.0 for a, b in pairwise(sorted(w.lower() for w in words if len(w) > 4)) if a == b),
        "long": max(0.0, (len(words) - 18) / 10),
        "short": float(len(words) + 2 * len(names) < (2 if title else 4)),
        "said": _overlap(told, aim.said),
        "same_start": float(bool(aim.said) and _start(text) == _start(aim.said[-1])),
        "forced": float(attempt.forced),
        "broken": float(attempt.broken),
        "scripted": float(attempt.scripted),
        "faults": float(min(attempt.faults, 2)),
        "misplaced": float(min(fidelity.misplaced(aim.spoken, text, aim.known), 2)),
    }  # fmt: skip


_DAYS = re.compile(
    r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|"
    r"\b(?:January|February|March|April|June|July|August|September|October|November|December)\b"
)
_CAPITAL = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}")


def _alien_names(text: str, aim: Aim) -> set[str]:
    """Names, days and months that neither the plan line nor the brief knows: always a slip."""
    found = set(_DAYS.findall(text))
    if aim.label not in channels.TITLE_LABELS:
        found |= set(_CAPITAL.findall(text))
    told = f"{aim.world} {' '.join(aim.lines)} {' '.join(aim.known.values())}".lower()
    return {name for name in found if name.lower().removesuffix("s") not in told}


def _overlap(told: set[str], said: Sequence[str]) -> float:
    """How much of the text was said before, above what is common between two lines of one piece."""
    most = max((len(told & content(s)) / max(len(told | content(s)), 1) for s in said), default=0.0)
    return max(0.0, most - 0.3)


def _start(text: str) -> str:
    return text.partition(" ")[0].lower()


Weights = Mapping[str, float]

# Fitted on 782 candidates for 182 units of four brands, judged good, weak, unfaithful or nonsense by eye (logistic
# regression, five folds over units: the best of a unit is good in 59 % of units where 63 % have a good one, and
# unfaithful or nonsense in 18 %; 37 % and 43 % with weights set by hand, 53 % and 23 % by likelihood alone). Features
# too rare among them for a fit keep a weight set by hand: those from `alien_name` on.
WEIGHTS: Weights = {
    "bias": -8.3, "likely": 0.87, "unlikely": 0.85, "near": 9.36, "lead": 0.41, "covers": 1.3, "strange": -1.44,
    "wanders": 0.1, "long": -2.46, "not_to_you": -0.62, "person": -0.44, "same_start": -0.47, "title": 0.56,
    "word_twice": -0.51, "echo": -2.09,
    "alien_name": -2.5, "lacks_value": -0.7, "value_twice": -1.5, "forced": -0.5, "short": -0.7, "said": -1.0,
    "broken": -1.0, "faults": -2.0, "scripted": -0.4, "misplaced": -2.5,
}  # fmt: skip
# The same for "neither unfaithful nor nonsense". Below 0.3 lie 75 % of the bad candidates and 4 % of the good.
FAITH_WEIGHTS: Weights = {
    "bias": -0.6, "likely": 1.05, "unlikely": 1.0, "near": 3.33, "lead": 0.87, "strange": -0.78, "wanders": -1.42,
    "long": -2.34, "person": -2.74, "scripted": 2.54,
    "alien_name": -2.5, "lacks_value": -0.7, "broken": -1.0, "misplaced": -2.5,
}  # fmt: skip
# What the tokens of a good line are worth on average, for texts of writers that do not tell.
USUAL_LIKELY, USUAL_UNLIKELY = -0.48, -1.32


DOUBTFUL, SURE = 0.75, 0.8


def best(verdicts: Sequence[Verdict], among: Sequence[int]) -> int:
    """The number of the candidate to keep: the highest score, but no doubtful one where a surer one is to be had."""
    chosen = max(among, key=lambda number: verdicts[number].score)
    if verdicts[chosen].faith >= DOUBTFUL:
        return chosen
    sure = [number for number in among if verdicts[number].faith >= SURE]
    if sure:
        return max(sure, key=lambda number: verdicts[number].score)
    return max(among, key=lambda number: verdicts[number].faith)


def _weigh(told: Mapping[str, float], weights: Weights) -> float:
    return sum(weight * told[name] for name, weight in weights.items())


def describe(verdict: Verdict) -> dict[str, float]:
    """The verdict for the record: what spoke for the choice and against it, rounded."""
    shares = {name: weight * verdict.features[name] for name, weight in WEIGHTS.items()}
    return {name: round(value, 2) for name, value in shares.items() if abs(value) >= 0.05}
