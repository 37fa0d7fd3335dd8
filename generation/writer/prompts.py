"""The words put before the model, deterministic to the letter; also what training rows are made of.

Order: role, worked examples, brand, brief (shared by all readers of a run), then channel and reader, then in turn a
plan line in brackets and the text that realises it. The parts are tokenised one by one and joined as ids, in
training as in writing: `[*prefix, *opening + first plan line, *text, *newline + next plan line, *text, ...]`.

What a marketer, a profile or a catalogue wrote is data: brought to one line, without control characters, brackets,
role tokens or braces that name no value.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from generation.writer import channels, telling, values
from generation.writer import facts as fact_parts
from generation.writer.planning import trait_ids
from generation.writer.types import Brief, PlanUnit, Request

PROMPT_VERSION = "plan-1"

LONGEST_TRAIT = 120  # characters; a trait is a short phrase, whatever a profile puts there
LONGEST_TEXT = 300

_ROLE = (
    "Marketing copy, written line by line. A note in brackets says what the next line has to say. The line says "
    'that and nothing else, in plain, natural English, to the reader as "you". Names such as {{price}} stand for '
    "the exact words beside them and are copied as they are.\n\n"
)

# Hand-written for this prompt, on invented brands. They show the form on an e-mail, a text message and ads.
_EXAMPLES = """\
Brand: Brightwater Kayaks, kayak hire on a quiet lake
Voice: friendly and plain
Email for a new customer who bought paddling gloves last week; likes quiet mornings
[subject: the reader likes quiet mornings]
A quiet lake before breakfast
[preheader: early hire starts at {{open_time}} (7am) until {{end_date}} (30 June)]
Early hire starts at {{open_time}} until {{end_date}}.
[sentence: the reader bought paddling gloves last week]
You have the paddling gloves, so all that is missing is the lake.
[sentence: every kayak comes with a life jacket and a dry bag]
Every kayak comes with a life jacket and a dry bag.
[sentence: the reader likes quiet mornings; free parking at the boathouse]
If you like your mornings quiet, come early and park at the boathouse for free.
[sentence: half-day hire costs {{price}} ($35)]
Half a day on the water costs {{price}}.

Brand: Ledgerfold, accounting app for small firms
Voice: calm and precise
Google ad for people who search for accounting software
[headline: the standard plan costs {{fee}} ($18) a month]
Accounting From {{fee}} a Month
[headline: your accountant can log in at no extra charge]
Free Login for Your Accountant
[description: bank transactions are imported every morning]
Open your books and the bank transactions are already there.

Brand: Oakfield Bakery, bread baked on the day
Voice: warm and short
Email for a customer who has not been back since spring; used to buy the rye loaf
[subject: the reader used to buy the rye loaf]
The rye loaf is still here
[sentence: the reader has not been back since spring]
It has been a while since spring, and we would love to see you again.
[sentence: the oven is lit at {{bake_time}} (4am)]
We light the oven at {{bake_time}}, so the bread is fresh when you come.

"""

_LIFECYCLES = {
    "new": "a new customer",
    "active": "a regular customer",
    "loyal": "a loyal customer",
    "lapsed": "a customer who has been away",
    "vip": "one of the best customers",
    "prospect": "someone who is not a customer yet",
}
_CHANNELS = {
    "email": "Email",
    "google_rsa": "Google ad",
    "meta_ad": "Facebook ad",
    "linkedin_ad": "LinkedIn ad",
    "sms": "Text message",
    "push": "Phone notification",
}
_UNITS = {
    "S": "subject", "P": "preheader", "G": "greeting", "1": "sentence", "2": "sentence", "H": "headline",
    "D": "description", "T": "ad text", "MH": "headline", "MD": "description", "LI": "ad text", "LH": "headline",
    "X": "message", "LK": "link", "PT": "title", "PB": "message",
}  # fmt: skip

_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"))
_ROLE_TOKENS = re.compile(r"<\|?[^<>]{0,40}?\|?>|</?s>|\[/?INST\]|<<?/?SYS>>?", re.IGNORECASE)


def one_line(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text from outside as plain words on one line: no control characters, role tokens, brackets or braces."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if unicodedata.category(c) in _HIDDEN or c.isspace() else c for c in text)
    text = _ROLE_TOKENS.sub(" ", text)
    text = re.sub(r"[<>\[\]{}|`]", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    if len(text) > longest:
        text = text[:longest].rsplit(" ", 1)[0]
    return text


def fact_line(text: str, known: dict[str, str], shown: bool = True) -> str:
    """A fact on one line; the brief's own values keep their braces, with what they stand for beside them."""
    out = []
    for number, part in enumerate(values.REFERENCE.split(text)):
        if number % 2 == 0:  # between the references; spaces at the seams stay
            left = " " if part[:1].isspace() else ""
            right = " " if part[-1:].isspace() else ""
            out.append(left + one_line(part) + right)
        elif part in known:
            out.append(values.reference(part) + (f" ({one_line(known[part])})" if shown else ""))
    return re.sub(r"\s+", " ", "".join(out)).strip()


def prefix(brief: Brief, *, examples: bool = True) -> str:
    """All that the readers of a run share. A tuned writer has learned what the worked examples show."""
    brand = brief.brand
    known = values.mapping(brief)
    facts = "; ".join(fact_line(f.text, known) for f in brief.facts)
    lines = [
        f"Brand: {one_line(brand.name)}, {one_line(brand.about)}",
        f"Voice: {one_line(brand.voice)}",
    ]
    if brand.avoid:
        lines.append("Never: " + ", ".join(one_line(a, 60) for a in brand.avoid))
    lines.append(f"Goal: {one_line(brief.goal)}")
    lines.append(f"Facts: {facts}")
    return _ROLE + (_EXAMPLES if examples else "") + "\n".join(lines) + "\n"


def prefix_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def opening(request: Request) -> str:
    """Channel and reader; ads are told of an audience, not of a person."""
    spec = channels.SPECS[request.channel]
    traits = "; ".join(one_line(t, LONGEST_TRAIT) for t in request.reader.traits)
    name = _CHANNELS[request.channel]
    if spec.is_ad:
        who = f"people: {traits}" if traits else "new people"
    else:
        who = _LIFECYCLES.get(
            request.reader.lifecycle, f"a customer: {one_line(request.reader.lifecycle, 60)}"
        )
        who += f" who {traits}" if traits else ""
    hint = f"Hint: {one_line(request.steer)}\n" if request.steer.strip() else ""
    return f"{name} for {who}\n{hint}"


def plan_line(brief: Brief, request: Request, unit: PlanUnit) -> str:
    """The note before a unit: its kind and the one or two things it has to say, values with their meaning."""
    return f"[{_UNITS[unit.label]}: {'; '.join(source_lines(brief, request, unit))}]\n"


def source_lines(brief: Brief, request: Request, unit: PlanUnit, *, shown: bool = True) -> list[str]:
    """What a unit rests on, in words; `shown` puts beside each value what it stands for."""
    known = values.mapping(brief)
    facts = {f.id: f.text for f in (*brief.facts, *fact_parts.parts(brief))}
    traits = trait_ids(request)
    products = {p.id: p for p in request.products}
    lines = []
    for source in unit.sources:
        if source in facts:
            lines.append(fact_line(facts[source], known, shown=shown))
        elif source in traits:
            lines.append(f"the reader {_as_deed(one_line(traits[source], LONGEST_TRAIT))}")
        elif source in products:
            product = products[source]
            said = one_line(f"{product.name}: {product.description}" if product.description else product.name)
            lines.append(f"we suggest {_without_digits(said)}")
        elif source == "goal":
            lines.append(one_line(brief.goal))
        elif source == "brand":
            lines.append(one_line(f"{brief.brand.name}, {brief.brand.about}"))
        elif source == "cta":
            lines.append(one_line(brief.cta))
    return lines


_VERBS = re.compile(
    r"^(?:is|was|has|had|used|can(?:'|no)t|could|does|did|will|\w+(?:ed|s)|bought|left|got|gave|made|took|came|went|"
    r"saw|met|read|ran|wrote|chose|kept|sent|told|won|lost|found|began|built|paid|held|grew|drove|rode|wore|ate|"
    r"never|always|often|usually|still|once|recently|mostly|rarely|sometimes|first|just|only)\b",
    re.IGNORECASE,
)


def _as_deed(trait: str) -> str:
    """So that "the reader" can stand before it: "new here" becomes "is new here", "two dogs" "has two dogs"."""
    if _VERBS.match(trait):
        return trait
    if re.match(
        r"^(?:an?|the|new|fond|interested|keen|curious|busy|not|in|on|at|from|over|under|a)\b", trait, re.I
    ):
        return f"is {trait}"
    return f": {trait}"


def _without_digits(text: str) -> str:
    """Catalogue names hold numbers ("Moka 3 cups"), copy may not: words that hold a digit are left out."""
    return " ".join(w for w in text.split() if not any(c.isnumeric() for c in w)) or "this"


def plainly(brief: Brief, request: Request, unit: PlanUnit) -> str:
    """The unit said in the plainest way, to "you"; "" where no plain way is certain to be good English."""
    title = unit.label in channels.TITLE_LABELS
    parts = _spoken_parts(brief, request, unit, title)
    if not all(parts):
        return ""
    if title:
        parts = parts[-1:]
    if channels.MOST_SENTENCES.get(unit.label, 1) >= len(parts) > 1:
        return " ".join(f"{_capital(part.rstrip('.'))}." for part in parts)
    text = _capital(", and ".join(parts).rstrip("."))
    return text if title or not text else text + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def spoken(brief: Brief, request: Request, unit: PlanUnit) -> str:
    """All that the unit has to say, as it would be said to the reader: what a text is compared with."""
    parts = []
    for source in unit.sources:
        one = PlanUnit("1", (source,))
        said = _spoken_parts(brief, request, one, False)
        parts += [p for p in said if p] or [
            line.removeprefix("the reader ") for line in source_lines(brief, request, one, shown=False)
        ]
    return ", and ".join(parts)


def _spoken_parts(brief: Brief, request: Request, unit: PlanUnit, title: bool) -> list[str]:
    known = values.mapping(brief)
    facts = {f.id: fact_line(f.text, known, shown=False) for f in (*brief.facts, *fact_parts.parts(brief))}
    traits = {k: one_line(v, LONGEST_TRAIT) for k, v in trait_ids(request).items()}
    products = {p.id: f"how about {_without_digits(one_line(p.name))}" for p in request.products}
    parts = []
    for source in unit.sources:
        if source in traits:
            parts.append(telling.title(traits[source]) if title else telling.to_you(traits[source]))
        elif source in facts or source in products:
            parts.append(facts[source] if source in facts else products[source])
    return parts
