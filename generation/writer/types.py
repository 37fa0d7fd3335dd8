"""The words the writer speaks: plain, frozen data in, plain data out. No Django here.

Everything that reaches a prompt is in `Brief` and `Reader`, so what the model can learn about a person
is what these two classes can hold: traits in words and a lifecycle, never a name, an address or an id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Channel(StrEnum):
    EMAIL = "email"
    GOOGLE_RSA = "google_rsa"
    META_AD = "meta_ad"
    LINKEDIN_AD = "linkedin_ad"
    SMS = "sms"
    PUSH = "push"


class ValueKind(StrEnum):
    PRICE = "price"
    PERCENT = "percent"
    DATE = "date"
    CODE = "code"
    LINK = "link"
    QUANTITY = "quantity"
    PHONE = "phone"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Value:
    """A named exact string. The model sees and writes `{{name}}`; rendering puts `text` in."""

    name: str
    text: str
    kind: ValueKind = ValueKind.OTHER


@dataclass(frozen=True, slots=True)
class Fact:
    """A true sentence the copy may use. `text` names values as `{{name}}` and holds no digit itself."""

    id: str  # "f1", "f2", ...
    text: str


@dataclass(frozen=True, slots=True)
class Product:
    """A catalogue item offered to a reader. `id` is "p1", "p2", ... within the request; no price in words."""

    id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class BrandVoice:
    name: str
    about: str
    voice: str
    avoid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Brief:
    """What all readers of a run share. Frozen with the run; hashed to know whether the prefix is the same."""

    brand: BrandVoice
    goal: str
    facts: tuple[Fact, ...]
    values: tuple[Value, ...]
    cta: str
    must_mention: tuple[str, ...] = ()  # names of values each piece must contain


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader, or one audience for ads. `traits` are words without digits, already allow-listed."""

    lifecycle: str
    traits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One piece to write. `key` is the caller's own handle and never reaches the model."""

    key: str
    channel: Channel
    reader: Reader
    seed: int
    products: tuple[Product, ...] = ()
    steer: str = ""  # a reviewer's short hint for writing again, treated as data


@dataclass(frozen=True, slots=True)
class PlanUnit:
    """One sentence (or one field of an ad) to write, and what it must say."""

    label: str  # S P G 1 2 H D T MH MD LI LH X PT PB, see channels.py
    sources: tuple[str, ...]  # ids of the facts ("f1"), traits ("r1") and products ("p1") it realises
    values: tuple[str, ...] = ()  # value names that may appear in it
    move: str = ""  # hook, bridge, benefit, offer, proof, close
    required: tuple[str, ...] = ()  # value names that must appear in it, a subset of `values`
    text: str = ""  # a fixed unit (greeting, link, brand name): taken as it stands, never generated


Plan = tuple[PlanUnit, ...]


@dataclass(frozen=True, slots=True)
class WrittenUnit:
    """A plan unit with the text that realises it: a row of the claim ledger."""

    label: str
    sources: tuple[str, ...]
    text: str
    logprob: float  # mean log-probability a token, natural log; 0 for a fixed unit
    score: float = 0.0  # what the choice between candidates went by; see scoring.py
    move: str = ""
    faith: float = 1.0  # how surely the text says its sources and nothing else, 0 to 1; 1 for a fixed unit
    reasons: dict[str, float] = field(default_factory=dict)  # what made the score, by feature


FieldValue = str | list[str]
Fields = dict[
    str, FieldValue
]  # email: subject, preheader, body, cta; google_rsa: headlines, descriptions; ...


@dataclass(frozen=True, slots=True)
class Draft:
    """One written piece, in template form: values still stand as `{{name}}`."""

    key: str
    channel: Channel
    fields: Fields
    units: tuple[WrittenUnit, ...]
    seed: int
    prompt_version: str
    score: float
    tokens: int


class Severity(StrEnum):
    BLOCKING = "blocking"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says. `start`/`end` are character offsets in `field` (and item `index` of a list field)."""

    rule: str
    severity: Severity
    message: str
    field: str = ""
    index: int = 0
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample: `max_tokens` is for one unit, and so is `candidates`: the best of that many stays."""

    temperature: float = 0.7
    top_p: float = 0.9
    candidates: int = 1
    max_tokens: int = 48

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise ValueError("temperature must lie between 0 and 2")
        if not 0 < self.top_p <= 1:
            raise ValueError("top_p must lie in (0, 1]")
        if self.candidates < 1 or self.max_tokens < 1:
            raise ValueError("candidates and max_tokens must be at least 1")


@dataclass(frozen=True, slots=True)
class WriterInfo:
    """What names this writer in a ModelVersion, so that a past piece can be written again to the letter."""

    name: str
    base: str
    tuned: bool
    prompt_version: str
    model_hash: str
    settings: dict[str, str] = field(default_factory=dict)


class Writer(Protocol):
    """Anything that turns requests over one brief into drafts. Batch first."""

    @property
    def info(self) -> WriterInfo: ...

    def write(
        self, brief: Brief, requests: list[Request], plans: list[Plan], sampling: Sampling
    ) -> list[Draft]:
        """Write one draft per request, in order, realising the plan beside it.

        The same seeds, plans and sampling give the same text on the same machine.
        """
        ...


class Embedder(Protocol):
    """Short texts to unit vectors."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: list[str]) -> list[list[float]]:
        """One unit-length vector of `dimension` floats per text, in order."""
        ...
