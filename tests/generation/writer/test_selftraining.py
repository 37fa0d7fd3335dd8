"""What a round of self-training keeps, and that its file reads back as it was written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from generation.writer import selftraining
from generation.writer.corpus import CorpusPiece, CorpusUnit, plain_text, read_plain, split_brands
from generation.writer.types import (
    Brief,
    Channel,
    Draft,
    Plan,
    Reader,
    Request,
    Sampling,
    Value,
    ValueKind,
    WrittenUnit,
)
from tests.fakes import FakeWriter, HashEmbedder
from tests.generation.writer import small

BRIEF = small.brief(must_mention=())
PIECES = [
    CorpusPiece(BRIEF, Channel.EMAIL, Reader("new", (trait,))) for trait in ("keeps bees", "sells honey")
]
DRAWN = {"near": 9.0}


class Judged(FakeWriter):
    """Gives every piece the same units."""

    def __init__(self, *units: WrittenUnit) -> None:
        super().__init__()
        self.units = units

    def write(
        self, brief: Brief, requests: list[Request], plans: list[Plan], sampling: Sampling
    ) -> list[Draft]:
        drafts = super().write(brief, requests, plans, sampling)
        return [replace(d, units=self.units) for d in drafts]


def unit(text: str, score: float = 1.0, faith: float = 0.95, *, scripted: bool = False) -> WrittenUnit:
    reasons = DRAWN | ({"scripted": -0.4} if scripted else {})
    return WrittenUnit("1", ("f1",), text, -1.0, score=score, faith=faith, reasons=reasons)


def texts(*units: WrittenUnit, share: float = 1.0) -> list[str]:
    found = selftraining.harvest(Judged(*units), HashEmbedder(), PIECES, sampling=Sampling(), share=share)
    assert found.kept == sum(len(p.units) for p in found.pieces)
    return [u.text for p in found.pieces for u in p.units]


def test_a_line_is_kept_once_and_only_if_it_was_drawn_and_can_be_trusted() -> None:
    assert texts(
        unit("The lake is quiet."),
        unit("The plainest wording.", scripted=True),
        unit("A wild claim.", faith=0.4),
    ) == ["The lake is quiet."]


def test_the_upper_share_of_a_kind_is_kept() -> None:
    lines = [unit(f"Line {name}.", score) for name, score in (("a", 4.0), ("b", 3.0), ("c", 2.0), ("d", 1.0))]
    assert texts(*lines, share=0.5) == ["Line a.", "Line b."]


def test_what_the_corpus_says_already_is_not_kept() -> None:
    own = replace(PIECES[0], units=(CorpusUnit("1", ("f1",), "The lake is quiet."),))
    found = selftraining.harvest(
        Judged(unit("The lake is quiet.")), HashEmbedder(), [own], sampling=Sampling(), share=1.0
    )
    assert (found.kept, found.pieces) == (0, ())


def test_held_out_brands_are_refused() -> None:
    held_out = split_brands(read_plain())[1][:1]
    with pytest.raises(ValueError, match="held out"):
        selftraining.harvest(Judged(), HashEmbedder(), held_out, sampling=Sampling())


def test_the_file_reads_back_as_the_same_pieces(tmp_path: Path) -> None:
    pieces = [p for p in read_plain() if all(";" not in a for a in p.brief.brand.avoid)][:400]
    file = tmp_path / "lines.txt"
    file.write_text(plain_text(pieces))
    again = read_plain([file])
    assert [(p.brief, p.channel, p.reader.traits, p.units, p.products, p.steer) for p in again] == [
        (p.brief, p.channel, p.reader.traits, p.units, p.products, p.steer) for p in pieces
    ]


def test_what_the_format_cannot_hold_is_refused() -> None:
    brief = small.brief(values=(Value("price", "one; two", ValueKind.OTHER),))
    with pytest.raises(ValueError, match="semicolon"):
        plain_text([CorpusPiece(brief, Channel.EMAIL, Reader("new", ()))])
