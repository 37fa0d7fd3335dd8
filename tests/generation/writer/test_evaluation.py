"""What the evaluation measures, on writers whose measures are known."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from generation.writer import evaluation
from generation.writer.corpus import CorpusPiece, read_pieces, read_plain, split_brands, validation_pieces
from generation.writer.corpus.alignment import align
from generation.writer.types import Brief, Channel, Draft, Plan, Reader, Request, Sampling, WrittenUnit
from tests.fakes import FakeWriter, HashEmbedder
from tests.generation.writer import small

TRAITS = (
    ("keeps bees", "sells honey"),
    ("rides a tandem", "camps by rivers"),
    ("collects clocks", "repairs radios"),
)
PIECES = [
    CorpusPiece(small.brief(must_mention=()), Channel.EMAIL, Reader("new", traits)) for traits in TRAITS
]
PIECES = [replace(p, brief=PIECES[0].brief) for p in PIECES]


class Scripted(FakeWriter):
    """Writes what a function says for each request."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body

    def write(
        self, brief: Brief, requests: list[Request], plans: list[Plan], sampling: Sampling
    ) -> list[Draft]:
        drafts = super().write(brief, requests, plans, sampling)
        found = []
        for number, (request, draft) in enumerate(zip(requests, drafts, strict=True)):
            text = self.body(number, request)  # type: ignore[operator]
            units = (WrittenUnit("1", ("r1",), text, -1.0, faith=0.9 if "!" not in text else 0.1),)
            fields = dict(draft.fields) | {"subject": "A word", "preheader": "A line of text.", "body": text}
            found.append(replace(draft, fields=fields, units=units))
        return found


def run(body: object) -> evaluation.Report:
    return evaluation.evaluate(Scripted(body), HashEmbedder(), PIECES, sampling=Sampling())


def test_a_writer_that_tells_the_traits_is_told_apart_from_one_that_mixes_them_up() -> None:
    own = run(lambda n, request: " and ".join(request.reader.traits) + ".")
    other = run(lambda n, request: " and ".join(TRAITS[(n + 1) % 3]) + ".")
    assert (own.reader_identified, own.readers_in_question) == (1.0, 3)
    assert other.reader_identified == 0.0


def test_invented_numbers_and_clean_pieces_are_counted() -> None:
    report = run(
        lambda n, _: "Only 7 boats are left." if n == 0 else f"The lake is calm today, {'very ' * n}calm."
    )
    assert report.invented_numbers == 1
    assert report.clean_rate <= 2 / 3 and report.findings_by_rule["numbers.outside_values"] == 1
    assert report.clean_rate_by_channel == {"email": report.clean_rate}


def test_faith_openings_and_overlap() -> None:
    same = run(lambda *_: "The lake is calm and you are on the water in minutes.")
    assert (same.distinct_openings, same.self_overlap) == (pytest.approx(1 / 3), 1.0)
    mixed = run(lambda n, _: ("Bees hum! ", "Clocks tick by the river. ", "Radios play. ")[n])
    assert mixed.faithful_rate == pytest.approx(2 / 3)
    assert (mixed.distinct_openings, mixed.self_overlap) == (1.0, 0.0)


def test_the_report_is_json_with_pieces_from_every_brand() -> None:
    report = run(lambda *_: "The lake is calm.")
    found = json.loads(json.dumps(report.as_json(2)))
    assert len(found["pieces"]) == 2 and found["pieces"][0]["traits"] == list(TRAITS[0])
    assert found["briefs"] == run(lambda *_: "Another text.").briefs  # the briefs alone name it
    assert "written" not in found


def test_no_pieces_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pieces"):
        evaluation.evaluate(FakeWriter(), HashEmbedder(), [], sampling=Sampling())


def test_the_brands_of_validation_are_in_no_training() -> None:
    held = {p.brief.brand.name for p in validation_pieces()}
    learned = {p.brief.brand.name for p in split_brands(read_plain())[0]}
    assert len(held) == 12 and not held & learned


def test_the_corpus_is_whole() -> None:
    plain = read_plain()
    assert sum(len(p.units) for p in plain) >= 30_000
    counts = Counter(p.channel for p in plain)
    assert all(counts[channel] >= 200 for channel in Channel)
    for piece in plain:
        known = {f.id for f in piece.brief.facts} | {f"r{n}" for n in range(1, len(piece.reader.traits) + 1)}
        known |= {p.id for p in piece.products}
        assert all(set(u.sources) <= known for u in piece.units), piece.brief.brand.name
    texts = Counter((p.brief.brand.name, u.text) for p in plain for u in p.units if u.label in "12")
    assert sum(n - 1 for n in texts.values()) / len(texts) < 0.01


def test_sentences_are_aligned_by_values_and_words() -> None:
    piece = next(
        p for p in read_pieces() if p.channel is Channel.EMAIL and any("{{" in u for u in [str(p.fields)])
    )
    units = align(piece, HashEmbedder())
    holds = {f.id: f.text for f in piece.brief.facts}
    spoken = [u for u in units if any(f"{{{{{v.name}}}}}" in u.text for v in piece.brief.values)]
    assert spoken
    for unit in spoken:
        names = [v.name for v in piece.brief.values if f"{{{{{v.name}}}}}" in unit.text]
        assert all(any(f"{{{{{n}}}}}" in holds.get(s, "") for s in unit.sources) for n in names)
    assert [u.label for u in units][:2] == ["S", "P"] and {u.label for u in units[2:]} <= {"1", "2"}
