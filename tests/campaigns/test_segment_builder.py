"""A filter becomes a form and comes back meaning the same; counting is quick, or says that it is an estimate."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q
from django.utils import timezone

from campaigns import segments
from campaigns.models import Profile
from campaigns.segments import builder, looking
from tests.factories import AttributeDefinitionFactory, EventFactory, ProfileFactory, SuppressionFactory

pytestmark = pytest.mark.django_db

TREES: list[dict[str, Any]] = [
    {},
    {"all": [{"field": "lifecycle", "op": "is", "value": "lapsed"}]},
    {
        "any": [
            {"field": "attributes.spend", "op": "at_least", "value": 12.5},
            {"did_not": "purchased", "days": 30},
        ]
    },
    {"not": {"any": [{"field": "has_email", "op": "is", "value": False}]}},
    {
        "all": [
            {"field": "attributes.city", "op": "one_of", "value": ["Leeds", "York"]},
            {"field": "created_at", "op": "after", "value": "2024-01-02"},
            {"field": "locale", "op": "is_set"},
            {"field": "consent.email", "op": "is_not", "value": "never asked"},
            {
                "any": [
                    {
                        "did": "viewed",
                        "at_least": 2,
                        "at_most": 5,
                        "since": "2024-01-01",
                        "until": "2024-02-01",
                    },
                    {"did": "purchased", "category": "coffee", "sku": "pot"},
                    {"not": {"any": [{"bucket": "spring", "from": 10, "to": 100}]}},
                ]
            },
        ]
    },
]


@pytest.fixture
def kinds() -> dict[str, str]:
    AttributeDefinitionFactory(name="city")
    AttributeDefinitionFactory(name="spend", kind="number")
    return segments.fields()


def posted(root: builder.Group) -> dict[str, str]:
    """What a browser sends of the form that shows this tree."""
    data = {}
    for part in builder.parts_of(root):
        if isinstance(part, builder.Group):
            data[f"n.{part.at}.mode"] = part.mode
        else:
            data[f"n.{part.at}.what"] = part.what
            data |= {f"n.{part.at}.{key}": text for key, text in part.values.items()}
    return data


@pytest.mark.parametrize("tree", TREES)
def test_a_filter_comes_back_as_it_was(kinds: dict[str, str], tree: dict[str, Any]) -> None:
    segments.check(tree)
    root = builder.from_form(posted(builder.from_filter(tree)))
    assert builder.problems(root, kinds) == {}
    assert builder.to_filter(root, kinds) == tree


@pytest.mark.parametrize(
    "tree",
    [
        {"field": "lifecycle", "op": "is", "value": "lapsed"},
        {"not": {"field": "lifecycle", "op": "is", "value": "lapsed"}},
        {"not": {"all": [{"did": "viewed"}, {"field": "lifecycle", "op": "is", "value": "lapsed"}]}},
        {"not": {"not": {"did": "viewed"}}},
    ],
)
def test_other_shapes_come_back_meaning_the_same(kinds: dict[str, str], tree: dict[str, Any]) -> None:
    for lifecycle in ("lapsed", "new"):
        for did in (True, False):
            profile = ProfileFactory(lifecycle=lifecycle)
            if did:
                EventFactory(profile=profile, name="viewed")
    back = builder.to_filter(builder.from_form(posted(builder.from_filter(tree))), kinds)

    def chosen(filter: object) -> set[int]:
        return set(Profile.objects.filter(segments.to_query(filter)).values_list("pk", flat=True))

    assert chosen(back) == chosen(tree)
    assert 0 < len(chosen(tree)) < 4


def test_buttons_add_and_take_out(kinds: dict[str, str]) -> None:
    root = builder.from_filter(TREES[1])
    assert builder.change(root, "group:r") == "r.1.0"
    assert builder.change(root, "add:r.1") == "r.1.1"
    assert set(builder.problems(root, kinds)) == {"r.1.0", "r.1.1"}
    assert builder.to_filter(root, kinds) == TREES[1]  # what was only begun does not count
    assert builder.change(root, "remove:r.1") == "r.0"
    assert builder.change(root, "remove:r.0") == "r"
    assert builder.to_filter(root, kinds) == {}
    builder.change(root, "remove:r")  # the root stays
    builder.change(root, "drop:r")
    assert root.parts == []


def test_hostile_forms_are_a_filter_or_an_error(kinds: dict[str, str]) -> None:
    data = {
        "n.r.mode": "drop table", "n.r.0.what": "email", "n.r.0.op": "is", "n.r.0.value": "a@b.example",
        "n.r.1.what": "attributes.city__contains", "n.r.1.value": "x", "n.r.2.what": "did", "n.r.2.event": "'; --",
        "n.r.3.what": "lifecycle", "n.r.3.op": "regex", "n.r.3.value": "a\x00b", "n.r.4.what": "bucket",
        "n.r.5.5.5.5.what": "lifecycle", "n.r.5.5.5.5.value": "new", "n.zz.what": "x", "n.r.6.what": "consent.email",
        "n.r.6.value": "maybe",
    }  # fmt: skip
    root = builder.from_form(data)
    wrong = builder.problems(root, kinds)
    assert root.mode == "all" and set(wrong) == {"r.0", "r.1", "r.2", "r.3", "r.4", "r.6"}
    usable = builder.to_filter(builder.without(root, wrong), kinds)
    assert usable == {"all": [{"field": "lifecycle", "op": "is", "value": "new"}]}


# -- stable parts ------------------------------------------------------------------------------------


def bucket_of(split: str, external_id: str) -> int:
    """As anybody can work it out from the id alone."""
    return int(hashlib.md5(f"{split}:{external_id}".encode()).hexdigest()[:8], 16) % 100


def test_a_bucket_is_the_same_in_the_database_and_here() -> None:
    people = [ProfileFactory(external_id=f"crm-é-{n}") for n in range(60)]
    for low, high in ((0, 10), (10, 55), (55, 100)):
        query = segments.to_query({"bucket": "spring test", "from": low, "to": high})
        found = set(Profile.objects.filter(query).values_list("external_id", flat=True))
        mine = {p.external_id for p in people if low <= bucket_of("spring test", p.external_id) < high}
        assert found == mine


def test_buckets_are_even_and_splits_independent() -> None:
    ids = [f"c-{n}" for n in range(20_000)]
    first = {i for i in ids if bucket_of("one", i) < 10}
    both = {i for i in first if bucket_of("two", i) < 10}
    assert 1_850 < len(first) < 2_150  # 2,000 ± 3.5 standard deviations
    assert 150 < len(both) < 250


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ({"bucket": "", "from": 0, "to": 5}, "bucket"),
        ({"bucket": "x", "from": 0}, "to"),
        ({"bucket": "x", "from": 5, "to": 5}, "to"),
        ({"bucket": "x", "from": -1, "to": 5}, "from"),
        ({"bucket": "x", "to": 101}, "to"),
        ({"bucket": "x", "to": True}, "to"),
        ({"bucket": "x", "to": 5, "sql": 1}, ""),
        ({"did": "viewed", "at_least": 3, "at_most": 2}, "at_most"),
        ({"did": "viewed", "days": 3, "since": "2024-01-01"}, ""),
        ({"did": "viewed", "since": "soon"}, "since"),
        ({"did": "viewed", "until": "9999-12-31"}, "until"),
    ],
)
def test_bad_parts_and_times_are_refused(bad: object, path: str) -> None:
    with pytest.raises(segments.conditions.InvalidInput) as caught:
        segments.check(bad)
    assert caught.value.field == path


def test_how_often_and_since_when() -> None:
    for name, days in (("once", [5]), ("thrice", [1, 5, 400]), ("never", [])):
        profile = ProfileFactory(external_id=name)
        for ago in days:
            EventFactory(profile=profile, occurred_at=timezone.now() - timedelta(days=ago))
    this_year = (timezone.now() - timedelta(days=30)).date().isoformat()

    def chosen(filter: object) -> set[str]:
        return set(Profile.objects.filter(segments.to_query(filter)).values_list("external_id", flat=True))

    for tree, who in (
        ({"did": "purchased", "at_least": 2}, {"thrice"}),
        ({"did": "purchased", "at_most": 1}, {"once"}),
        ({"did": "purchased", "at_least": 3, "since": this_year}, set()),
        ({"did": "purchased", "until": this_year}, {"thrice"}),
        ({"did_not": "purchased", "at_least": 2}, {"once", "never"}),
    ):
        # The two ways to count, by a join and person by person, agree.
        assert chosen(tree) == chosen({"any": [tree]}) == who
        assert chosen({"not": tree}) == {"once", "thrice", "never"} - who


# -- looking -----------------------------------------------------------------------------------------


def test_a_look_counts_who_may_be_written_to() -> None:
    ProfileFactory(consents=["email"])
    blocked = ProfileFactory(consents=["email"])
    SuppressionFactory(address_hash=blocked.email_hash)
    ProfileFactory()
    look = looking.look({})
    assert (look.count.people, look.count.exact, len(look.sample)) == (3, True, 3)
    assert {channel.value: count.people for channel, count in look.reachable} == {
        "email": 1,
        "sms": 0,
        "push": 0,
    }


def test_a_slow_count_becomes_an_estimate() -> None:
    ProfileFactory()
    slow = Profile.objects.filter(Q(pk__gt=0)).extra(where=["pg_sleep(2) IS NOT NULL"])
    found = looking.count_within(slow, seconds=0.1)
    assert not found.exact
    assert looking.count_within(Profile.objects.all()) == looking.Count(1)  # the time limit is gone again


def test_suggestions_name_nobody() -> None:
    AttributeDefinitionFactory(name="city")
    AttributeDefinitionFactory(name="illness", is_protected=True)
    for n in range(3):
        ProfileFactory(
            attributes={"city": "Leeds", "illness": "flu"}, locale="cy-GB", external_id=f"same-{n}"
        )
    ProfileFactory(attributes={"city": "Nowhere-on-Sea"})
    assert looking.values_of("attributes.city") == ["Leeds"]
    assert looking.values_of("locale") == ["cy-GB"]
    for name in ("attributes.illness", "external_id", "email", "attributes.nothing", "first_name"):
        assert looking.values_of(name) == []


def test_names_of_events_come_from_the_index() -> None:
    for name in ("viewed", "purchased", "viewed", "cart_left"):
        EventFactory(name=name)
    assert looking.event_names() == ["cart_left", "purchased", "viewed"]
