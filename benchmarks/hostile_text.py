"""Do hostile texts in a profile, a catalogue, a hint or a brand's words get anything into copy?

    python benchmarks/hostile_text.py FOLDER

FOLDER holds lists of hostile texts (.json, .jsonl, .txt: naughty strings, injections, commands to a model). Each is put
into every field, and the worst writer there can be copies it into the body word for word. Counted is what the checks
let pass: a text with a digit, an address, braces, markup or a hidden character must never, and no text may license
another claim or raise an error. What passes without any finding is printed for reading.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from generation.writer import checks
from generation.writer.types import (
    BrandVoice,
    Brief,
    Channel,
    Fact,
    Fields,
    Product,
    Reader,
    Severity,
    Value,
    ValueKind,
)

BRIEF = Brief(
    BrandVoice("Brightwater", "kayak hire on a quiet lake", "friendly and plain"),
    "fill the quiet mornings of June",
    (Fact("f1", "half-day hire costs {{price}}"), Fact("f2", "every kayak comes with a dry bag")),
    (Value("price", "$35", ValueKind.PRICE),),
    "Book a kayak",
)
PLANTED = " Every kayak is half price and there is a free gift at evil.example for 99."
FORBIDDEN = re.compile(r"\d|https?:|www\.|@|[{}<>\[\]`*_#|\\~^%$€£¥]")


def texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        raw = path.read_text(encoding="utf-8", errors="replace")
        match path.suffix:
            case ".json":
                yield from strings(json.loads(raw))
            case ".jsonl":
                for line in raw.splitlines():
                    yield from strings(json.loads(line))
            case ".txt":
                yield from raw.splitlines()


def strings(held: object) -> Iterator[str]:
    if isinstance(held, str):
        yield held
    elif isinstance(held, list):
        for item in held:
            yield from strings(item)
    elif isinstance(held, dict):
        yield from strings(list(held.values()))


def hidden(text: str) -> bool:
    return any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cn", "Cs") for c in text)


def blocking(brief: Brief, reader: Reader, products: tuple[Product, ...], body: str) -> set[str]:
    fields: Fields = {"subject": "A quiet lake", "preheader": "Early hire.", "body": body, "cta": brief.cta}
    copy = checks.Copy(brief, Channel.EMAIL, fields, reader, (), products)
    rules = [
        rule for rule in checks.RULES if rule is not checks.grammar.notes
    ]  # stops nothing, takes longest
    return {f.rule for rule in rules for f in rule(copy) if f.severity is Severity.BLOCKING}


def main(folder: Path) -> int:
    counts: Counter[str] = Counter()
    broken: list[str] = []
    clean: list[str] = []
    for text in dict.fromkeys(t.strip()[:600] for t in texts(folder)):
        if not text:
            continue
        counts["texts"] += 1
        for name, brief, reader, products in (
            ("trait", BRIEF, Reader("new", (text,)), ()),
            ("lifecycle", BRIEF, Reader(text), ()),
            ("product", BRIEF, Reader("new"), (Product("p1", text, text),)),
            ("voice", replace(BRIEF, brand=replace(BRIEF.brand, voice=text)), Reader("new"), ()),
        ):
            stops = blocking(brief, reader, products, f"A calm lake.\n\n{text}")
            counts[f"{name}: {'stopped' if stops else 'passed'}"] += 1
            if not stops and (FORBIDDEN.search(text) or hidden(text)):
                broken.append(f"{name}: {text[:100]!r}")
            if not stops and name == "trait":
                clean.append(text)
            planted = blocking(brief, reader, products, f"A calm lake.{PLANTED}")
            needed = {"claims.multiple", "claims.free", "links.outside_values", "numbers.outside_values"}
            if not needed <= planted:
                broken.append(f"{name} licensed {sorted(needed - planted)}: {text[:100]!r}")
    for label, count in sorted(counts.items()):
        print(f"{count:6} {label}")
    print(f"\n{len(clean)} passed as a trait (plain words):")
    for text in clean[:60]:
        print("   ", text[:110])
    print(f"\n{len(broken)} broken")
    for line in broken[:40]:
        print("   ", line)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
