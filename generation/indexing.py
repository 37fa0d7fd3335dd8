"""Keeping traits and vectors up to date, in the order in which one depends on the other."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from campaigns import traits
from generation import embedding

_LOCK = 0x656D6265  # "embe": one process at a time keeps the index


def refresh(*, now: datetime, limit: int) -> int:
    """Derive due traits, then embed what changed, at most `limit` rows of each kind; how many were embedded.

    While another process is at it, this one does nothing: the work would only be done twice.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
        if not cursor.fetchone()[0]:
            return 0
    try:
        traits.refresh_due(now=now, limit=limit)
        return (
            embedding.embed_products(limit=limit)
            + embedding.embed_profiles(limit=limit)
            + embedding.embed_segments()
        )
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
