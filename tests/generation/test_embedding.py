"""The embedding index: what is embedded, when again, and what is near to what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils import timezone

from campaigns.models import Product, ProductEmbedding, Profile, ProfileEmbedding, Segment
from generation import embedding, engines
from tests.factories import (
    EventFactory,
    ProductEmbeddingFactory,
    ProductFactory,
    ProfileEmbeddingFactory,
    ProfileFactory,
    SegmentFactory,
    canonical_hash,
    unit_vector,
)
from tests.fakes import HashEmbedder

pytestmark = pytest.mark.django_db


class CountingEmbedder(HashEmbedder):
    """Remembers every text it was asked for."""

    def __init__(self, name: str = "counting", dimension: int = 384) -> None:
        super().__init__(dimension)
        self.name = name
        self.texts: list[str] = []

    def embed(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        return super().embed(texts)


@pytest.fixture
def embedder() -> Any:
    counting = CountingEmbedder()
    with engines.use(embedder=counting):
        yield counting


def with_traits(*traits: str, lifecycle: str = "active") -> Profile:
    digest = canonical_hash({"lifecycle": lifecycle, "traits": list(traits)})
    return ProfileFactory(lifecycle=lifecycle, traits=list(traits), traits_hash=digest)


def test_each_distinct_text_is_embedded_once(embedder: CountingEmbedder) -> None:
    with_traits("bought a tent")
    with_traits("bought a tent")
    with_traits("bought a stove")

    assert embedding.embed_profiles() == 3

    assert sorted(embedder.texts) == ["active; bought a stove", "active; bought a tent"]
    assert ProfileEmbedding.objects.values("vector").distinct().count() == 2
    assert set(ProfileEmbedding.objects.values_list("model", flat=True)) == {"counting"}


def test_what_is_unchanged_is_not_embedded_again(embedder: CountingEmbedder) -> None:
    profile = with_traits("bought a tent")
    embedding.embed_profiles()
    embedder.texts.clear()

    assert embedding.embed_profiles() == 0
    assert embedder.texts == []

    Profile.objects.filter(pk=profile.pk).update(traits=["bought a lamp"], traits_hash="f" * 64)
    assert embedding.embed_profiles() == 1
    assert embedder.texts == ["active; bought a lamp"]


def test_another_model_embeds_everything_anew(embedder: CountingEmbedder) -> None:
    with_traits("bought a tent")
    embedding.embed_profiles()

    with engines.use(embedder=CountingEmbedder("another")):
        assert embedding.embed_profiles() == 1
    assert ProfileEmbedding.objects.get().model == "another"


def test_nothing_but_allow_listed_words_is_embedded(embedder: CountingEmbedder) -> None:
    profile = with_traits("bought a tent")
    ProfileFactory(lifecycle="", traits=[], traits_hash=canonical_hash({}))
    ProfileFactory(traits_hash="")  # its traits are not derived yet

    assert embedding.embed_profiles() == 1

    assert embedder.texts == ["active; bought a tent"]
    assert ProfileEmbedding.objects.get().profile == profile


def test_pages_and_limits_and_progress(embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PAGE", 2)
    for number in "abcde":
        with_traits(f"likes {number}")
    told: list[tuple[int, int]] = []

    assert embedding.embed_profiles(limit=3, progress=lambda done, total: told.append((done, total))) == 3
    assert embedding.embed_profiles() == 2

    assert told[-1] == (3, 3)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert ProfileEmbedding.objects.count() == 5


def test_products_are_embedded_when_their_words_change(embedder: CountingEmbedder) -> None:
    product = ProductFactory(
        name="Ferry Moka Pot", noun_phrase="a moka pot", category="coffee", description="Made to last."
    )
    assert embedding.embed_products() == 1

    Product.objects.filter(pk=product.pk).update(price="1.00", is_available=False)
    assert embedding.embed_products() == 0
    Product.objects.filter(pk=product.pk).update(description="Made to be repaired.")
    assert embedding.embed_products() == 1

    assert embedder.texts[-1] == "Ferry Moka Pot. a moka pot. coffee. Made to be repaired."
    assert ProductEmbedding.objects.count() == 1


def test_segments_get_the_vector_of_their_words(embedder: CountingEmbedder) -> None:
    segment = SegmentFactory(like_text="people who cook outdoors")
    SegmentFactory()

    assert embedding.embed_segments() == 1
    assert embedding.embed_segments() == 0

    segment.refresh_from_db()
    wanted = embedder.embed(["people who cook outdoors"])[0]
    assert list(segment.like_vector) == pytest.approx(wanted, abs=0.001)
    Segment.objects.filter(pk=segment.pk).update(like_text="people who bake")
    assert embedding.embed_segments() == 1


def test_an_embedder_of_another_size_is_refused() -> None:
    with engines.use(embedder=HashEmbedder(16)), pytest.raises(ImproperlyConfigured, match="16 numbers"):
        embedding.embed_profiles()


def has_index() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('profile_vector_hnsw') IS NOT NULL")
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_a_large_load_builds_the_index_at_the_end(
    embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "BULK", 2)
    for number in "abc":
        with_traits(f"likes {number}")
    during: list[bool] = []
    embed = embedder.embed
    monkeypatch.setattr(embedder, "embed", lambda texts: during.append(has_index()) or embed(texts))

    assert embedding.embed_profiles() == 3
    with_traits("likes d")
    assert embedding.embed_profiles() == 1

    assert during == [False, True]
    assert has_index()


@pytest.mark.django_db(transaction=True)
def test_an_index_lost_with_a_killed_load_is_built_again(embedder: CountingEmbedder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX profile_vector_hnsw")

    embedding.embed_profiles()

    assert has_index()


# -- what is near ------------------------------------------------------------------------------------


def near(vector: list[float], other: list[float], share: float) -> list[float]:
    """Between two vectors, `share` of the way from the first."""
    mixed = [a * (1 - share) + b * share for a, b in zip(vector, other, strict=True)]
    length = sum(x * x for x in mixed) ** 0.5
    return [x / length for x in mixed]


def test_products_come_nearest_first_and_only_those_that_can_be_offered() -> None:
    reader = ProfileEmbeddingFactory(vector=unit_vector(1)).profile
    at = [near(unit_vector(1), unit_vector(2), share) for share in (0.0, 0.1, 0.2, 0.3, 0.4)]
    products = [ProductEmbeddingFactory(vector=vector).product for vector in at]
    ProductEmbeddingFactory(vector=unit_vector(1), product__is_available=False)
    ProductEmbeddingFactory(vector=unit_vector(1), model="another")
    ProductEmbeddingFactory(vector=[-x for x in unit_vector(1)])
    EventFactory(profile=reader, product=products[0])
    EventFactory(profile=reader, product=products[1], name="viewed")
    EventFactory(profile=reader, product=products[2], occurred_at=timezone.now() - timedelta(days=200))
    EventFactory(product=products[3])

    found = embedding.similar_products(profile_id=reader.pk, count=3)

    assert found == [products[1], products[2], products[3]]
    assert len(embedding.similar_products(profile_id=reader.pk, count=10)) == 4


def test_a_reader_without_a_vector_gets_no_products() -> None:
    ProductEmbeddingFactory()

    assert embedding.similar_products(profile_id=ProfileFactory().pk) == []
    assert embedding.similar_profiles(profile_id=ProfileFactory().pk) == []


def test_similar_profiles_leave_the_reader_out() -> None:
    reader = ProfileEmbeddingFactory(vector=unit_vector(1)).profile
    close = ProfileEmbeddingFactory(vector=near(unit_vector(1), unit_vector(2), 0.1)).profile
    far = ProfileEmbeddingFactory(vector=unit_vector(2)).profile

    assert embedding.similar_profiles(profile_id=reader.pk, count=2) == [close, far]


def test_refresh_derives_before_it_embeds(
    embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from generation import indexing

    profile = ProfileFactory(traits_at=None, traits=[], traits_hash="", lifecycle="")

    def derive(*, now: Any, limit: int) -> int:
        return Profile.objects.filter(pk=profile.pk).update(
            lifecycle="new", traits=["joined in spring"], traits_hash="e" * 64, traits_at=now
        )

    monkeypatch.setattr("campaigns.traits.refresh_due", derive)

    assert indexing.refresh(now=timezone.now(), limit=10) == 1
    assert embedder.texts == ["new; joined in spring"]


@pytest.mark.django_db(transaction=True)
def test_two_processes_do_not_embed_the_same_twice(
    embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch, race: Any
) -> None:
    from generation import indexing

    with_traits("bought a tent")
    inside: list[list[int]] = []

    def look(*, now: Any, limit: int) -> int:
        if not inside:
            inside.append([])
            inside[0] = race(lambda: indexing.refresh(now=timezone.now(), limit=10), 2)
        return 0

    monkeypatch.setattr("campaigns.traits.refresh_due", look)

    assert indexing.refresh(now=timezone.now(), limit=10) == 1
    assert inside == [[0, 0]]
    assert indexing.refresh(now=timezone.now(), limit=10) == 0
