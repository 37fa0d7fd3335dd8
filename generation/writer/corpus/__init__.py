"""The hand-written text the writer learns from, read into the writer's own words."""

from generation.writer.corpus.formatting import plain_text
from generation.writer.corpus.reading import (
    CorpusError,
    CorpusPiece,
    CorpusUnit,
    read_pieces,
    read_plain,
    split_brands,
    validation_pieces,
)

__all__ = [
    "CorpusError",
    "CorpusPiece",
    "CorpusUnit",
    "plain_text",
    "read_pieces",
    "read_plain",
    "split_brands",
    "validation_pieces",
]
