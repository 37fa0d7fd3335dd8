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
        # no rule is certain
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


def test_topic() -> None:
    assert telling.topic("bought a moka pot in spring") == "a moka pot in spring"
    assert telling.topic("works nights") == ""


def test_most_traits_of_the_corpus_can_be_told() -> None:
    traits = {t for p in [*read_plain(), *read_pieces()] if p.channel == "email" for t in p.reader.traits}
    told = [telling.to_you(t) for t in traits]
    assert sum(map(bool, told)) / len(told) > 0.75
    assert all(t == "" or t.split()[0] in ("you", "your") for t in told)
    third = {"is", "has", "was", "does"}
    assert not any(third & set(t.split()[:3]) for t in told if not t.startswith("your "))
