"""From hand-written pieces to tokens and labels, put together exactly as the prompts of writing are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from generation.writer import facts, prompts
from generation.writer.corpus import CorpusPiece
from generation.writer.types import Brief, PlanUnit, Request

IGNORED = -100  # label of a token that is context, by PyTorch's convention


Piece = tuple[
    list[int], list[int]
]  # (tokens, labels); labels hold the token where it is learned, IGNORED elsewhere


@dataclass(frozen=True, slots=True)
class Row:
    """One brief and its pieces as tokens."""

    prefix: list[int]
    pieces: list[Piece]  # longest first


def rows(pieces: Sequence[CorpusPiece], tokenizer: Any) -> list[Row]:
    """Group pieces by brief and encode each with the functions that also build the prompts of writing."""
    by_brief: dict[int, tuple[Brief, list[CorpusPiece]]] = {}
    for piece in pieces:
        by_brief.setdefault(id(piece.brief), (piece.brief, []))[1].append(piece)
    encoded = []
    for brief, group in by_brief.values():
        coded = [encode(piece, tokenizer) for piece in group]
        coded = [(tokens, labels) for tokens, labels in coded if any(label != IGNORED for label in labels)]
        coded.sort(key=lambda pair: -len(pair[0]))
        if coded:
            encoded.append(Row(_ids(tokenizer, prefix(brief)), coded))
    return encoded


def prefix(brief: Brief) -> str:
    """The shared prefix without the worked examples: a tuned writer has learned what they show."""
    return prompts.prefix(brief, examples=False)


def encode(piece: CorpusPiece, tokenizer: Any) -> tuple[list[int], list[int]]:
    """(tokens, labels) of one piece, part by part as the writer puts them together.

    Learned are the lines and the line break that ends each. A greeting is fixed text and no part of it.
    """
    request = Request(
        key="",
        channel=piece.channel,
        reader=piece.reader,
        seed=0,
        products=piece.products,
        steer=piece.steer,
    )
    tokens = _ids(tokenizer, prompts.opening(request))
    labels = [IGNORED] * len(tokens)
    end = _ids(tokenizer, "\n")
    for unit in piece.units:
        if unit.label == "G":
            continue
        said = facts.parts_said(piece.brief, unit.sources, unit.text)
        note = _ids(tokenizer, prompts.plan_line(piece.brief, request, PlanUnit(unit.label, said)))
        line = _ids(tokenizer, unit.text) + end
        tokens += note + line
        labels += [IGNORED] * len(note) + line
    return tokens, labels


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return found


def row_hash(row: Row) -> str:
    return hashlib.sha256(json.dumps([row.prefix, row.pieces]).encode()).hexdigest()[:32]


def data_hash(encoded: Sequence[Row]) -> str:
    """sha256 of all tokens and labels: what the manifest calls the data."""
    return hashlib.sha256("".join(map(row_hash, encoded)).encode()).hexdigest()


def batches(pieces: Sequence[Piece], most: int) -> Iterator[Sequence[Piece]]:
    """Pieces of like length together, `most` at a time: what is shorter than three quarters of the longest waits."""
    start = 0
    for at in range(1, len(pieces) + 1):
        if at == len(pieces) or at - start == most or len(pieces[at][0]) < 0.75 * len(pieces[start][0]):
            yield pieces[start:at]
            start = at
