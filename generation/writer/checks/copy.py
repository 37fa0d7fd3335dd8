"""A piece as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from generation.writer import channels, claims
from generation.writer.types import Brief, Channel, Fields, Finding, Product, Reader, Severity, WrittenUnit

Place = tuple[str, int, str]  # field, index in a list field, text


@dataclass(frozen=True, slots=True)
class Copy:
    """`texts` leaves the button out: its words are the campaign's."""

    brief: Brief
    channel: Channel
    fields: Fields
    reader: Reader
    units: tuple[WrittenUnit, ...] = ()
    products: tuple[Product, ...] = ()
    texts: tuple[Place, ...] = field(init=False)
    sources: claims.Sources = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = [
            (name, index, text)
            for name, value in self.fields.items()
            if name != "cta"
            for index, text in enumerate(channels.items(value))
        ]
        object.__setattr__(self, "texts", tuple(found))
        object.__setattr__(self, "sources", claims.Sources.of(self.brief, self.reader, self.products))


Rule = Callable[[Copy], Iterator[Finding]]


def finding(
    rule: str,
    severity: Severity,
    message: str,
    place: Place,
    span: tuple[int, int] | None = None,
) -> Finding:
    name, index, text = place
    start, end = span or (0, len(text))
    return Finding(rule, severity, message, name, index, start, end)
