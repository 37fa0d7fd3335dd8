"""The rule of promotion, the decision, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from hypothesis import given
from hypothesis import strategies as st

from generation import adapters, promotion
from generation.models import ModelVersion, VersionEvent
from generation.promotion_rule import MEASURES, difference, judge, shown
from generation.writer.prompts import PROMPT_VERSION
from personalize.core.errors import InvalidInput, NotAllowed
from tests.factories import ModelVersionFactory, UserFactory
from tests.generation.test_versions import METRICS, adapter_in

BETTER = METRICS | {"clean_rate": 0.92}


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"clean_rate": 0.9001}, True),
        ({"faithful_rate": 0.95}, True),
        ({"reader_identified": 0.86}, True),
        ({"clean_rate": 0.89, "faithful_rate": 0.91}, True),  # a point lost, another won
        ({"clean_rate": 0.889, "faithful_rate": 0.95}, False),
        ({"clean_rate": 0.95, "faithful_rate": 0.88}, False),
        ({"clean_rate": 0.95, "reader_identified": 0.82}, True),
        ({"clean_rate": 0.95, "reader_identified": 0.81}, False),
        ({"clean_rate": 0.95, "grammar_ratio": 1.3}, True),
        ({"clean_rate": 0.95, "grammar_ratio": 1.31}, False),
        ({"clean_rate": 0.95, "invented_numbers": 1}, False),
        ({"clean_rate": 0.95, "briefs": "other"}, False),
        ({"clean_rate": 0.95, "briefs": ""}, False),
        ({"clean_rate": 0.95, "faithful_rate": None}, False),
        ({}, False),  # no better in anything
        ({"grammar_ratio": 0.5}, False),  # better grammar alone is no reason
    ],
)
def test_the_rule(change: dict[str, Any], allowed: bool) -> None:
    verdict = judge(METRICS | change, METRICS)
    assert verdict.allowed is allowed, verdict
    assert allowed is not bool(verdict.refusals)


def test_against_nothing_or_something_never_measured_an_evaluation_is_enough() -> None:
    for active in (None, {}, {"briefs": "x"}):
        assert judge(METRICS, active).allowed
        assert not judge(METRICS | {"invented_numbers": 2}, active).allowed
        assert not judge({}, active).allowed


def test_briefs_are_the_same_by_their_hash() -> None:
    one = METRICS | {"briefs": {"names": ["a"], "hash": "h"}}
    assert judge(BETTER | {"briefs": {"names": ["renamed"], "hash": "h"}}, one).allowed
    assert not judge(BETTER | {"briefs": {"names": ["a"], "hash": "i"}}, one).allowed


rates = st.floats(0, 1)
measured = st.builds(
    lambda c, f, r, g: METRICS
    | {"clean_rate": c, "faithful_rate": f, "reader_identified": r, "grammar_ratio": g},
    rates, rates, rates, st.floats(0, 5),
)  # fmt: skip


@given(measured, measured)
def test_two_versions_never_both_lose_nothing_to_each_other(one: Any, other: Any) -> None:
    """Whatever is measured: nothing replaces its equal, and what is promoted lost no more than the rule allows."""
    assert not judge(one, one).allowed
    if judge(one, other).allowed:
        assert one["clean_rate"] >= other["clean_rate"] - 0.01 - 1e-6
        assert one["faithful_rate"] >= other["faithful_rate"] - 0.01 - 1e-6
        assert one["reader_identified"] >= other["reader_identified"] - 0.03 - 1e-6
        assert one["grammar_ratio"] <= other["grammar_ratio"] + 0.1 + 1e-6


def test_numbers_as_people_read_them() -> None:
    by_key = {measure.key: measure for measure in MEASURES}
    assert shown(by_key["clean_rate"], 0.914) == "91.4 %"
    assert shown(by_key["invented_numbers"], 0) == "0"
    assert shown(by_key["grammar_ratio"], 1.5) == "1.5"
    assert shown(by_key["clean_rate"], None) == "—"
    assert difference(by_key["clean_rate"], 0.92, 0.9) == ("+2.0 pt", 1)
    assert difference(by_key["grammar_ratio"], 1.4, 1.2) == ("+0.20", -1)
    assert difference(by_key["self_overlap"], 0.1, 0.2) == ("−10.0 pt", 1)
    assert difference(by_key["clean_rate"], 0.9, 0.9) == ("±0", 0)
    assert difference(by_key["clean_rate"], 0.9, None) == ("", 0)


# -- deciding ----------------------------------------------------------------------------------------


@pytest.fixture
def lead(db: None) -> User:
    user: User = UserFactory(username="lead")
    user.user_permissions.add(Permission.objects.get(codename="promote_modelversion"))
    return user


def version(tmp_path: Path, name: str, state: str = "candidate", **metrics: Any) -> ModelVersion:
    folder = adapter_in(tmp_path / name, name)
    made: ModelVersion = ModelVersionFactory(
        name=name,
        kind="builtin",
        adapter=adapters.place_of(folder),
        adapter_hash=adapters.contents_hash(folder),
        prompt_version=PROMPT_VERSION,
        is_tuned=True,
        state=state,
        metrics=METRICS | metrics if metrics else {},
    )
    return made


def states() -> dict[str, str]:
    return dict(ModelVersion.objects.values_list("name", "state"))


def test_promotion_retires_the_one_before_and_says_so(lead: User, tmp_path: Path) -> None:
    old = version(tmp_path, "old", "active", clean_rate=0.9)
    new = version(tmp_path, "new", clean_rate=0.95)

    event = promotion.promote(version=new, by=lead)

    assert states() == {"old": "retired", "new": "active"}
    assert (event.version, event.replaced, event.action) == (new, old, "promoted")
    assert (event.actor_id, event.actor_name, event.forced, event.refusals) == (lead.pk, "lead", False, [])


def test_what_the_rule_refuses_stays_where_it_is(lead: User, tmp_path: Path) -> None:
    version(tmp_path, "old", "active", clean_rate=0.9)
    worse = version(tmp_path, "worse", clean_rate=0.8)

    with pytest.raises(promotion.NotPromoted, match=r"80\.0 % after 90\.0 %"):
        promotion.promote(version=worse, by=lead)

    assert states() == {"old": "active", "worse": "candidate"}
    assert not VersionEvent.objects.exists()


def test_against_the_rule_with_a_name_and_a_reason(lead: User, tmp_path: Path) -> None:
    version(tmp_path, "old", "active", clean_rate=0.9)
    worse = version(tmp_path, "worse", clean_rate=0.8)
    with pytest.raises(NotAllowed, match="name"):
        promotion.promote(version=worse, by=None, force=True, reason="because")
    with pytest.raises(InvalidInput, match="reason"):
        promotion.promote(version=worse, by=lead, force=True, reason="  ")
    with pytest.raises(NotAllowed, match="may not"):
        promotion.promote(version=worse, by=UserFactory(), force=True, reason="because")

    event = promotion.promote(version=worse, by=lead, force=True, reason="its  voice is better")

    assert states() == {"old": "retired", "worse": "active"}
    assert event.forced and event.reason == "its voice is better" and "80.0 %" in event.refusals[0]


def test_nothing_forces_what_cannot_be_loaded(lead: User, tmp_path: Path) -> None:
    gone = version(tmp_path, "gone", clean_rate=0.95)
    adapter_in(tmp_path / "gone", "other weights")
    unknown = version(tmp_path, "unknown", clean_rate=0.95)
    ModelVersion.objects.filter(pk=unknown.pk).update(model_hash="")
    for one in (gone, unknown):
        with pytest.raises(promotion.NotPromoted):
            promotion.promote(version=one, by=lead, force=True, reason="because")
    assert set(states().values()) == {"candidate"}


def test_the_way_back_leads_to_the_one_before_each_time(lead: User, tmp_path: Path) -> None:
    first = version(tmp_path, "first", clean_rate=0.90)
    promotion.promote(version=first, by=lead)
    second, third = version(tmp_path, "second", clean_rate=0.91), version(tmp_path, "third", clean_rate=0.92)
    promotion.promote(version=second, by=lead)
    promotion.promote(version=third, by=lead)

    promotion.roll_back(active=third, by=lead, reason="dull")
    assert states() == {"first": "retired", "second": "active", "third": "retired"}
    with pytest.raises(promotion.NotPromoted, match="not the active"):
        promotion.roll_back(active=third, by=lead)
    event = promotion.roll_back(active=second, by=None)
    assert (event.version, event.replaced, event.action) == (first, second, "rolled_back")
    with pytest.raises(promotion.NothingBefore):
        promotion.roll_back(active=first, by=lead)
    assert states() == {"first": "active", "second": "retired", "third": "retired"}


def test_the_way_back_needs_the_permission_and_the_weights(lead: User, tmp_path: Path) -> None:
    first = version(tmp_path, "first", "active", clean_rate=0.90)
    second = version(tmp_path, "second", clean_rate=0.91)
    promotion.promote(version=second, by=lead)
    with pytest.raises(NotAllowed):
        promotion.roll_back(active=second, by=UserFactory())
    (tmp_path / "first" / "manifest.json").unlink()
    with pytest.raises(promotion.NotPromoted, match="first cannot be used"):
        promotion.roll_back(active=second, by=lead)
    first.refresh_from_db()
    assert first.state == "retired"


@pytest.mark.django_db(transaction=True)
def test_two_who_promote_at_once_leave_one_active(race: Any, tmp_path: Path) -> None:
    version(tmp_path, "old", "active", clean_rate=0.8)
    waiting = [version(tmp_path, f"new{n}", clean_rate=0.9) for n in range(3)]
    from itertools import count

    turn = count()
    found = race(lambda: promotion.promote(version=waiting[next(turn)], by=None), 3)

    won = [one for one in found if isinstance(one, VersionEvent)]
    assert len(won) == 1, "the second is no better than the first, who is active by then"
    assert sum(isinstance(one, promotion.NotPromoted) for one in found) == 2
    assert list(states().values()).count("active") == 1
