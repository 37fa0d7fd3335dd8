"""Traits told to the reader: right, or not at all."""

from __future__ import annotations

import pytest

from generation.writer import telling
from generation.writer.corpus import read_pieces, read_plain


@pytest.mark.parametrize(
    ("trait", "told"),
    [
        ("buys tea", "you buy tea"),
        ("bought a moka pot in spring", "you bought a moka pot in spring"),
        ("has not been back since summer", "you have not been back since summer"),
        ("studies law", "you study law"),
        ("watches birds", "you watch birds"),
        ("does not drive", "you do not drive"),
        ("always asks for a lower berth", "you always ask for a lower berth"),
        ("climbs with her daughter", "you climb with your daughter"),
        ("daughter plays ukulele", "your daughter plays ukulele"),
        ("not interested in wine", "you are not interested in wine"),
        ("cannot visit easily", "you cannot visit easily"),
        ("a keen gardener", "you are a keen gardener"),
        ("sits near the back and asks questions", "you sit near the back and ask questions"),
        ("likes runs and walks along the canal", "you like runs and walks along the canal"),
        ("daughter sings and has lessons", "your daughter sings and has lessons"),
        ("a bunch for a friend left in the basket", "you left a bunch for a friend in the basket"),
        ("has a bike and rides it daily", "you have a bike and ride it daily"),
        # no rule is certain
        ("asked support about it", ""),
        ("an elder son finished school last summer", ""),
        ("a younger sister is now in her exam year", ""),
        ("self-employed electrician", ""),
        ("letting agent", ""),
        ("first garden", ""),
        ("the group is short of basses", ""),
        ("lessons after school", ""),
        ("new street is now on the network", ""),
        ("", ""),
    ],
)
def test_to_you(trait: str, told: str) -> None:
    assert telling.to_you(trait) == told


@pytest.mark.parametrize(
    ("trait", "title"),
    [
        ("owns a diving watch", "your diving watch"),
        ("bought a bed some years ago", "your bed"),
        ("left a merino vest in the basket", "the merino vest in your basket"),
        ("likes his evenings quiet", "If you like your evenings quiet"),
        ("looking for a birthday outing", "Looking for a birthday outing?"),
        ("works nights", "you work nights"),
        # no title is sure, or none that one would like to read
        ("owns our phono stage", ""),
        ("bought in spring", ""),
        ("has not ordered since spring", ""),
        ("the group is short of basses", ""),
    ],
)
def test_title(trait: str, title: str) -> None:
    assert telling.title(trait) == title


def test_most_traits_of_the_corpus_can_be_told() -> None:
    traits = {t for p in [*read_plain(), *read_pieces()] if p.channel == "email" for t in p.reader.traits}
    told = [telling.to_you(t) for t in traits]
    assert sum(map(bool, told)) / len(told) > 0.75
    assert all(t == "" or t.split()[0] in ("you", "your") for t in told)
    third = {"is", "has", "was", "does"}
    assert not any(third & set(t.split()[:3]) for t in told if not t.startswith("your "))
