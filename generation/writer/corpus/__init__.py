"""The hand-written text the writer learns from, read into the writer's own words."""

from generation.writer.corpus.reading import CorpusPiece, read_pieces, read_plain, split_brands

__all__ = ["CorpusPiece", "read_pieces", "read_plain", "split_brands"]
