"""Two versions compared blind: nothing on the page tells which is which, and the votes are added up the right way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from generation import blind
from generation.blind import Tally
from generation.models import BlindVote, ModelVersion, Preference
from personalize.core.errors import InvalidInput, NotAllowed
from tests import factories

ClientOf = Callable[[str], Client]


def evaluated(name: str, words: str, count: int = 12) -> ModelVersion:
    pieces = [
        {
            "brand": "Wren & Ember", "channel": "email", "lifecycle": "active", "traits": [f"likes {'a' * (n + 1)}"],
            "fields": {"subject": f"{words} {'b' * n}", "body": "A body."},
        }
        for n in range(count)
    ]  # fmt: skip
    return factories.ModelVersionFactory(name=name, metrics={"pieces": pieces})


@pytest.fixture
def two(db: None) -> tuple[ModelVersion, ModelVersion]:
    return evaluated("writer-old", "Kettles"), evaluated("writer-new", "Lanterns")


def address(two: tuple[ModelVersion, ModelVersion]) -> str:
    return f"/admin/generation/modelversion/{two[1].pk}/blind/{two[0].pk}/"


def test_all_pairs_are_judged_and_then_it_is_told(client_of: ClientOf, two: Any) -> None:
    """Somebody who always likes the lanterns: whatever side they stand on, the second version gets the vote."""
    client, sides = client_of("Reviewers"), set()
    for _ in range(12):
        response = client.get(address(two))
        html = response.content.decode()
        assert "writer-old" not in html and "writer-new" not in html
        side = "left" if "Lanterns" in str(response.context["sides"][0][2]) else "right"
        sides.add(side)
        client.post(address(two), {"pair": response.context["pair"].key, "side": side})
    assert sides == {"left", "right"}
    response = client.get(address(two))
    result = response.context["result"]
    assert (result.first, result.second, result.people) == (0, 12, 1) and result.chance < 0.001
    assert "unlikely to be chance" in response.content.decode()
    assert BlindVote.objects.filter(preference=Preference.SECOND).count() == 12


def test_a_vote_counts_once_and_only_for_what_was_shown(two: Any, roles: dict[str, User]) -> None:
    by = roles["Reviewers"]
    pair = blind.pairs(*two)[0]
    blind.vote(one=two[1], other=two[0], pair=pair.key, side="neither", by=by)
    blind.vote(one=two[0], other=two[1], pair=pair.key, side="left", by=by)  # too late
    assert blind.tally(*two) == Tally(0, 0, 1, 1)
    assert len(blind.open_for(by, *two, blind.pairs(*two))) == 11
    for pair_key, side in ((pair.key, "middle"), ("0" * 64, "left")):
        with pytest.raises(InvalidInput):
            blind.vote(one=two[0], other=two[1], pair=pair_key, side=side, by=by)
    with pytest.raises(NotAllowed):
        blind.vote(one=two[0], other=two[1], pair=pair.key, side="left", by=roles["Writers"])
    two[0].metrics["pieces"][0]["fields"]["subject"] = "Written anew"
    two[0].save()
    assert len(blind.open_for(by, *two, blind.pairs(*two))) in (11, 12)


def test_versions_that_wrote_nothing_alike_say_what_to_do(client_of: ClientOf, two: Any) -> None:
    other = factories.ModelVersionFactory(name="never-evaluated")
    html = (
        client_of("Reviewers")
        .get(f"/admin/generation/modelversion/{two[0].pk}/blind/{other.pk}/")
        .content.decode()
    )
    assert "evaluate_writer --record" in html
    assert (
        client_of("Reviewers").get(f"/admin/generation/modelversion/{two[0].pk}/blind/999999/").status_code
        == 404
    )


def test_the_sign_test() -> None:
    assert Tally(5, 5, 9, 1).chance == 1.0 and Tally(0, 0, 3, 1).chance == 1.0
    assert Tally(0, 6, 0, 1).chance == pytest.approx(2 / 64)
    assert Tally(1, 9, 0, 1).chance == pytest.approx(2 * 11 / 1024)
