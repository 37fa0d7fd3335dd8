"""A filter chooses whom it says, refuses what it does not know, and 'people like' leaves nobody out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from campaigns import segments
from campaigns.models import Consent, Profile
from personalize.core.errors import InvalidInput
from tests.factories import (
    AttributeDefinitionFactory,
    ConsentFactory,
    EventFactory,
    ProductFactory,
    ProfileEmbeddingFactory,
    ProfileFactory,
    SegmentFactory,
    unit_vector,
)

pytestmark = pytest.mark.django_db


def chosen(filter: object) -> set[str]:
    return set(Profile.objects.filter(segments.to_query(filter)).values_list("external_id", flat=True))


@pytest.fixture
def people() -> None:
    for name, kind in (("city", "text"), ("spend", "number"), ("club", "boolean"), ("since", "date")):
        AttributeDefinitionFactory(name=name, kind=kind)
    AttributeDefinitionFactory(name="health", is_protected=True)
    AttributeDefinitionFactory(name="note", in_segments=False)
    ada = {"city": "Leeds", "spend": 120, "club": True, "since": "2020-05-01"}
    ProfileFactory(external_id="ada", lifecycle="loyal", attributes=ada, locale="en-GB")
    bram = {"city": "York", "spend": 9.5, "club": False, "since": "2023-05-01"}
    ProfileFactory(external_id="bram", lifecycle="lapsed", attributes=bram, locale="nl-NL", phone="")
    ProfileFactory(external_id="cleo", lifecycle="lapsed", attributes={}, locale="", email="")


@pytest.mark.parametrize(
    ("condition", "who"),
    [
        ({}, "ada bram cleo"),
        ({"field": "lifecycle", "op": "is", "value": "lapsed"}, "bram cleo"),
        ({"field": "lifecycle", "op": "one_of", "value": ["loyal", "vip"]}, "ada"),
        ({"field": "lifecycle", "op": "none_of", "value": ["loyal", "vip"]}, "bram cleo"),
        ({"field": "locale", "op": "starts_with", "value": "en"}, "ada"),
        ({"field": "locale", "op": "is_set"}, "ada bram"),
        ({"field": "locale", "op": "is_not_set"}, "cleo"),
        ({"field": "has_email", "op": "is", "value": True}, "ada bram"),
        ({"field": "has_phone", "op": "is", "value": False}, "bram"),
        ({"field": "created_at", "op": "in_last_days", "value": 1}, "ada bram cleo"),
        ({"field": "created_at", "op": "before", "value": "2020-01-01"}, ""),
        ({"field": "attributes.city", "op": "is", "value": "Leeds"}, "ada"),
        ({"field": "attributes.city", "op": "is_not", "value": "Leeds"}, "bram cleo"),
        ({"field": "attributes.city", "op": "one_of", "value": ["Leeds", "York"]}, "ada bram"),
        ({"field": "attributes.city", "op": "none_of", "value": ["Leeds"]}, "bram cleo"),
        ({"field": "attributes.city", "op": "starts_with", "value": "Y"}, "bram"),
        ({"field": "attributes.city", "op": "is_set"}, "ada bram"),
        ({"field": "attributes.city", "op": "is_not_set"}, "cleo"),
        ({"field": "attributes.spend", "op": "at_least", "value": 120}, "ada"),
        ({"field": "attributes.spend", "op": "less_than", "value": 100}, "bram"),
        ({"field": "attributes.spend", "op": "is", "value": 9.5}, "bram"),
        ({"field": "attributes.club", "op": "is", "value": True}, "ada"),
        ({"field": "attributes.club", "op": "is", "value": False}, "bram"),
        ({"field": "attributes.since", "op": "before", "value": "2021-01-01"}, "ada"),
        ({"field": "attributes.since", "op": "after", "value": "2021-01-01"}, "bram"),
        ({"field": "attributes.since", "op": "not_in_last_days", "value": 30}, "ada bram"),
        ({"not": {"field": "lifecycle", "op": "is", "value": "lapsed"}}, "ada"),
        (
            {
                "any": [
                    {"field": "attributes.city", "op": "is", "value": "York"},
                    {
                        "all": [
                            {"field": "lifecycle", "op": "is", "value": "lapsed"},
                            {"field": "has_email", "op": "is", "value": False},
                        ]
                    },
                ]
            },
            "bram cleo",
        ),
    ],
)
def test_conditions_choose_whom_they_say(people: None, condition: object, who: str) -> None:
    assert chosen(condition) == set(who.split())
    assert segments.describe(condition)


def test_consent_has_three_answers(people: None) -> None:
    ConsentFactory(profile=Profile.objects.get(external_id="ada"))
    ConsentFactory(profile=Profile.objects.get(external_id="bram"), status="withdrawn")
    for answer, who in (("given", {"ada"}), ("withdrawn", {"bram"}), ("never asked", {"cleo"})):
        assert chosen({"field": "consent.email", "op": "is", "value": answer}) == who
        others = {"ada", "bram", "cleo"} - who
        assert chosen({"field": "consent.email", "op": "is_not", "value": answer}) == others
    assert not Consent.objects.filter(channel="sms").exists()
    assert chosen({"field": "consent.sms", "op": "is", "value": "given"}) == set()


def test_what_people_did(people: None) -> None:
    ada, bram = Profile.objects.get(external_id="ada"), Profile.objects.get(external_id="bram")
    pot = ProductFactory(sku="pot", category="coffee")
    pan = ProductFactory(sku="pan", category="cast iron")
    now = timezone.now()
    same_order = now - timedelta(days=5)
    EventFactory(profile=ada, product=pot, occurred_at=same_order)
    EventFactory(profile=ada, product=pan, occurred_at=same_order)
    EventFactory(profile=bram, product=pot, occurred_at=now - timedelta(days=5))
    EventFactory(profile=bram, product=pot, occurred_at=now - timedelta(days=100))
    assert chosen({"did": "purchased"}) == {"ada", "bram"}
    assert chosen({"did_not": "purchased"}) == {"cleo"}
    assert chosen({"did": "purchased", "at_least": 2}) == {"bram"}  # two lines of one order are one time
    assert chosen({"did": "purchased", "at_least": 2, "days": 30}) == set()
    assert chosen({"did_not": "purchased", "at_least": 2}) == {"ada", "cleo"}
    assert chosen({"did": "purchased", "category": "cast iron"}) == {"ada"}
    assert chosen({"did": "purchased", "sku": "pot", "days": 30}) == {"ada", "bram"}
    assert chosen({"did": "viewed"}) == set()


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ([], ""),
        ("lifecycle", ""),
        ({"all": []}, "all"),
        ({"all": {"field": "lifecycle"}}, "all"),
        ({"all": [{}]}, "all[0]"),
        ({"nor": [{}]}, ""),
        ({"all": [{"field": "lifecycle", "op": "is", "value": "x"}], "any": []}, ""),
        ({"field": "password", "op": "is", "value": "x"}, "field"),
        ({"field": "email", "op": "is", "value": "x"}, "field"),
        ({"field": "pieces__run__id", "op": "is", "value": "x"}, "field"),
        ({"field": ["lifecycle"], "op": "is", "value": "x"}, "field"),
        ({"field": "attributes.health", "op": "is", "value": "x"}, "field"),
        ({"field": "attributes.note", "op": "is", "value": "x"}, "field"),
        ({"field": "attributes.city__contains", "op": "is", "value": "x"}, "field"),
        ({"field": "lifecycle", "op": "regex", "value": "x"}, "op"),
        ({"field": "lifecycle", "op": {}, "value": "x"}, "op"),
        ({"field": "attributes.spend", "op": "at_least", "value": "many"}, "value"),
        ({"field": "attributes.spend", "op": "at_least", "value": float("nan")}, "value"),
        ({"field": "attributes.club", "op": "is", "value": 1}, "value"),
        ({"field": "attributes.since", "op": "before", "value": "soon"}, "value"),
        ({"field": "lifecycle", "op": "is"}, "value"),
        ({"field": "lifecycle", "op": "is", "value": "a\x00b"}, "value"),
        ({"field": "lifecycle", "op": "is_set", "value": "x"}, "value"),
        ({"field": "lifecycle", "op": "is", "value": "x", "sql": "1"}, ""),
        ({"field": "lifecycle", "op": "one_of", "value": ["x", 3]}, "value[1]"),
        ({"field": "consent.meta_ad", "op": "is", "value": "given"}, "field"),
        ({"field": "consent.email", "op": "is", "value": "maybe"}, "value"),
        (
            {"any": [{"field": "lifecycle", "op": "is", "value": "x"}, {"not": {"field": "lifecycle"}}]},
            "any[1].not.op",
        ),
        ({"did": "drop table"}, "did"),
        ({"did": "purchased", "days": 0}, "days"),
        ({"did": "purchased", "days": True}, "days"),
        ({"did": "purchased", "at_least": 2.5}, "at_least"),
        ({"did": "purchased", "did_not": "viewed"}, ""),
        ({"did": "purchased", "profile__email": "x"}, ""),
        ({"all": [{"did": "purchased", "category": ""}]}, "all[0].category"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_path(people: None, bad: object, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        segments.check(bad)
    assert caught.value.field == path


def test_deep_and_long_trees_are_refused() -> None:
    leaf: dict[str, Any] = {"field": "lifecycle", "op": "is", "value": "x"}
    deep = leaf
    for _ in range(segments.conditions.MAX_DEPTH):
        deep = {"not": deep}
    for tree in (deep, {"any": [leaf] * (segments.conditions.MAX_NODES + 1)}):
        with pytest.raises(InvalidInput):
            segments.check(tree)


class AnyTree(TestCase):
    """Whatever is sent in: a query, or InvalidInput. Never another error."""

    @settings(max_examples=150, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
            | st.sampled_from(["lifecycle", "is", "one_of", "created_at", "consent.email", "given", "purchased"]),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["all", "any", "not", "field", "op", "value", "did", "days", "at_least", "sku"]),
                inner,
                max_size=3,
            ),
            max_leaves=12,
        )
    )  # fmt: skip
    def test_a_query_or_a_refusal(self, tree: object) -> None:
        try:
            query = segments.to_query(tree)
        except InvalidInput:
            return
        assert Profile.objects.filter(query).count() == 0


def test_it_reads_like_english(people: None) -> None:
    tree = {
        "all": [
            {"field": "lifecycle", "op": "is", "value": "lapsed"},
            {
                "any": [
                    {"did": "cart_left", "days": 30},
                    {"did_not": "purchased", "at_least": 2, "category": "coffee"},
                ]
            },
            {"field": "attributes.spend", "op": "at_least", "value": 100},
            {"field": "has_email", "op": "is", "value": True},
            {"field": "consent.email", "op": "is", "value": "given"},
        ]
    }
    assert segments.describe(tree) == (
        "people whose lifecycle is lapsed and (who did 'cart left' in the last 30 days or who did not do 'purchased' "
        "in coffee at least twice) and whose spend is at least 100 and who have an e-mail address and whose consent "
        "to E-mail is given"
    )
    assert segments.describe({}) == "everybody"


# -- people like … -----------------------------------------------------------------------------------


def like(seed: int, **more: Any) -> Any:
    return SegmentFactory(like_text="people like this", like_vector=unit_vector(seed), **more)


def test_the_nearest_that_pass_come_nearest_first() -> None:
    rows = [
        ProfileEmbeddingFactory(profile__lifecycle="vip" if n % 2 else "new", vector=unit_vector(n))
        for n in range(9)
    ]
    ProfileFactory(lifecycle="vip")  # nothing is known of them yet
    segment = like(3, like_count=2, filter={"field": "lifecycle", "op": "is", "value": "vip"})
    found = list(segments.audience(segment))
    assert found[0] == rows[3].profile
    assert len(found) == 2
    assert {profile.lifecycle for profile in found} == {"vip"}
    assert [profile.pk for profile in segments.sample(segment, 1)] == [rows[3].profile.pk]
    assert segments.count(segment) == 2
    assert segments.audience(segment).filter(pk=rows[3].profile.pk).exists()


def test_an_audience_is_whole_where_the_index_would_stop_short() -> None:
    """The HNSW index gives at most ef_search (40) rows; a campaign to 60 must reach 60."""
    from django.db import connection

    for n in range(70):
        ProfileEmbeddingFactory(vector=unit_vector(n))
    with connection.cursor() as cursor:
        for way in ("seqscan", "sort", "hashjoin", "mergejoin", "bitmapscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")  # whatever the planner can, by the index
        cursor.execute("ANALYZE campaigns_profileembedding")
    assert segments.audience(like(1, like_count=60)).count() == 60


def test_a_sample_by_the_index_passes_the_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "EXACT_BELOW", -2)
    for n in range(60):
        ProfileEmbeddingFactory(profile__lifecycle="vip" if n % 10 == 0 else "new", vector=unit_vector(n))
    segment = like(1, filter={"field": "lifecycle", "op": "is", "value": "vip"})
    assert len(segments.sample(segment, 6)) == 6


def test_words_that_are_not_embedded_yet_say_so() -> None:
    segment = SegmentFactory(like_text="people who cook outdoors")
    for ask in (segments.audience, segments.count, segments.sample):
        with pytest.raises(segments.SegmentNotReady):
            ask(segment)


def test_now_is_the_callers() -> None:
    EventFactory(profile__external_id="a", occurred_at=datetime(2020, 1, 1, tzinfo=UTC))
    recent = {"did": "purchased", "days": 10}
    assert chosen(recent) == set()
    query = segments.to_query(recent, now=datetime(2020, 1, 5, tzinfo=UTC))
    assert Profile.objects.filter(query).count() == 1
