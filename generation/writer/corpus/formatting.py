"""Writes pieces in the format of the plain layer, which reading.py reads."""

from __future__ import annotations

from collections.abc import Sequence

from generation.writer.corpus.reading import AD_CHANNELS, CorpusPiece
from generation.writer.types import Brief, Channel

_ADS = {channel: name for name, channel in AD_CHANNELS.items()}


def plain_text(pieces: Sequence[CorpusPiece]) -> str:
    """Pieces in the format of the plain layer; `read_plain` gives the same pieces back.

    Raises ValueError for what the format cannot hold: a bar or a line break in a name, a semicolon in a value.
    """
    blocks: list[str] = []
    last: Brief | None = None
    for piece in pieces:
        if piece.brief is not last:
            blocks += ["", *_head(piece.brief)]
            last = piece.brief
        blocks += _body(piece)
    return "\n".join(blocks).lstrip("\n") + "\n"


def _head(brief: Brief) -> list[str]:
    brand = brief.brand
    lines = [
        f"@brand {' | '.join(map(_plain, (brand.name, brand.about, brand.voice)))}",
        f"@goal {brief.goal}",
    ]
    if brand.avoid:
        lines.append("@avoid " + "; ".join(map(_plain, brand.avoid)))
    if brief.values:
        lines.append("@values " + "; ".join(f"{v.name}={_plain(v.text)}" for v in brief.values))
    return lines + [f"{fact.id} {fact.text}" for fact in brief.facts]


def _body(piece: CorpusPiece) -> list[str]:
    traits = [_plain(t) for t in piece.reader.traits]
    if piece.channel is Channel.EMAIL:
        lines = [f"@reader {' | '.join([piece.reader.lifecycle, *traits])}"]
    else:
        lines = [f"@ad {' | '.join([_ADS[piece.channel], *traits])}"]
    for product in piece.products:
        lines.append(
            f"{product.id} {product.name}" + (f": {product.description}" if product.description else "")
        )
    if piece.steer:
        lines.append(f"@hint {piece.steer}")
    for unit in piece.units:
        sources = f" [{' '.join(unit.sources)}]" if unit.sources else ""
        lines.append(f"{unit.label}{sources} {unit.text}")
    return lines


def _plain(text: str) -> str:
    if any(c in text for c in "|;\n\r"):
        raise ValueError(f"the format has no place for a bar, a semicolon or a line break: {text[:60]!r}")
    return text.strip()
