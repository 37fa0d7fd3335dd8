"""Groups of like texts: each has what stands for it, and the odd one is found."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from generation.review import kinds

PANS = [
    f"Cast iron for {who}: every pan comes seasoned and ready to cook on."
    for who in ("you", "two", "all", "her")
] * 6
POTS = [
    f"Coffee at {when}: the moka pot is light, quick and easy to clean." for when in ("dawn", "noon", "night")
] * 6
ODD = "Nothing here speaks about pans."


def test_two_kinds_and_the_odd_one() -> None:
    texts = [*PANS, *POTS, ODD]
    found = kinds.kinds(texts, most=2)
    assert [len(kind.members) for kind in found] in ([25, 18], [24, 19])
    assert {kind.exemplar < 24 for kind in found} == {True, False}
    odd = next(kind for kind in found if 42 in kind.members)
    assert odd.outliers()[0] == 42


def test_texts_that_are_all_alike_are_one_kind_without_outliers() -> None:
    (kind,) = kinds.kinds(["The same words"] * 40)
    assert len(kind.members) == 40 and kind.outliers() == ()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=60))
def test_every_text_is_in_one_kind_and_it_is_always_the_same(texts: list[str]) -> None:
    found = kinds.kinds(texts)
    assert sorted(m for kind in found for m in kind.members) == list(range(len(texts)))
    assert found == kinds.kinds(texts)
    assert all(list(kind.likeness) == sorted(kind.likeness, reverse=True) for kind in found)
