"""Saved choices of people: a checked syntax tree to SQL, to a count, and to plain English.

What a filter may say is in `conditions.py`.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import QuerySet
from pgvector.django import CosineDistance

from campaigns.models import Profile, ProfileEmbedding, Segment
from campaigns.segments.conditions import FIELDS, OPERATORS, check, fields, to_query
from campaigns.segments.wording import describe
from personalize.core.errors import DomainError

__all__ = [
    "FIELDS",
    "OPERATORS",
    "SegmentNotReady",
    "audience",
    "check",
    "count",
    "describe",
    "fields",
    "sample",
    "to_query",
]

EXACT_BELOW = 50_000  # embeddings; above, a sample is found by the index


class SegmentNotReady(DomainError):
    """The words of 'people like …' are not an embedding yet."""

    code = "segment_not_ready"


def audience(segment: Segment) -> QuerySet[Profile]:
    """Those the segment means. With 'people like …': the `like_count` nearest that pass the filter, nearest first.

    Exact also for 'people like …': the index finds most of the nearest, an audience must be all of them, and a
    full scan of a hundred thousand embeddings takes a fraction of a second. May be filtered further.
    """
    passing = _people(segment)
    if not _is_like(segment):
        return passing
    distance = CosineDistance("embedding__vector", segment.like_vector)
    # `+ 0` keeps the planner from the approximate index, which would return its first few dozen and stop.
    nearest = (
        passing.filter(embedding__isnull=False)
        .annotate(exactly=distance + 0.0)
        .order_by("exactly", "pk")
        .values("pk")[: segment.like_count]
    )
    return Profile.objects.filter(pk__in=nearest).annotate(distance=distance + 0.0).order_by("distance", "pk")


def count(segment: Segment) -> int:
    passing = _people(segment)
    if not _is_like(segment):
        return passing.count()
    return min(segment.like_count, passing.filter(embedding__isnull=False).count())


def sample(segment: Segment, n: int = 10) -> list[Profile]:
    """Some of the audience to look at: the nearest for 'people like …', else the newest."""
    if not _is_like(segment):
        return list(_people(segment).order_by("-pk")[:n])
    n = min(n, segment.like_count)
    if _many_embeddings():
        with transaction.atomic(), connection.cursor() as cursor:
            # The index goes on until enough of what it finds passes the filter.
            cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
            passing = _people(segment).filter(embedding__isnull=False)
            distance = CosineDistance("embedding__vector", segment.like_vector)
            return list(passing.annotate(distance=distance).order_by("distance")[:n])
    return list(audience(segment)[:n])


def _people(segment: Segment) -> QuerySet[Profile]:
    """Those that pass the filter; an id that became another's is no person of its own."""
    return Profile.objects.filter(to_query(segment.filter), merged_into=None)


def _is_like(segment: Segment) -> bool:
    if segment.like_vector is not None:
        return True
    if segment.like_text:
        raise SegmentNotReady(
            f"The words 'people like …' of the segment '{segment.name}' are not read yet. Wait for the next round "
            "of embedding (it runs every few minutes) or run `manage.py embed`."
        )
    return False


def _many_embeddings() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [ProfileEmbedding._meta.db_table]
        )
        return float(cursor.fetchone()[0]) > EXACT_BELOW
