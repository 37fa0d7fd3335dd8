"""So many messages a minute, by all workers together: a token bucket in the database.

One conditional UPDATE refills and takes, by the database's clock, so that any number of workers share one speed. A
limit of 60 means: never more than 60 in any minute. For that the bucket holds a sixth of the limit and is refilled
with the other five, which is what a long run leaves with.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from campaigns.timing import Limit

_TAKE = """
UPDATE delivery_tokenbucket SET
    granted = least(%(wanted)s, floor({have}))::int,
    tokens = {have} - least(%(wanted)s, floor({have})),
    -- A clock that went back starts the counting anew; a statement that waited for the lock does not turn it back.
    refilled_at = CASE WHEN statement_timestamp() < refilled_at - interval '1 minute'
        THEN statement_timestamp() ELSE greatest(refilled_at, statement_timestamp()) END
WHERE name = %(name)s AND {have} >= 1
RETURNING granted
""".format(
    have="least(%(size)s, tokens + %(refill)s / 60.0"
    " * greatest(0, extract(epoch FROM statement_timestamp() - refilled_at)::float8))"
)


def bucket(per_minute: int) -> tuple[int, int]:
    """(how many it holds, how many come in a minute), whose sum is the limit but for the smallest."""
    size = max(1, per_minute // 6)
    return size, per_minute - size if size > 1 else per_minute


def take(limits: Sequence[Limit], wanted: int) -> int:
    """Take up to `wanted` tokens from every limit's bucket; how many may leave now. Outside any transaction."""
    granted = wanted
    taken: list[tuple[Limit, int]] = []
    for limit in limits:
        got = _take(limit, granted) if granted else 0
        taken.append((limit, got))
        granted = min(granted, got)
    for limit, got in taken:
        give_back([limit], got - granted)
    return granted


def give_back(limits: Sequence[Limit], count: int) -> None:
    """Return tokens that were taken and not used. What a crash keeps only makes the next minute slower."""
    if count <= 0 or not limits:
        return
    with connection.cursor() as cursor:
        for limit in limits:
            size, _ = bucket(limit.per_minute)
            cursor.execute(
                "UPDATE delivery_tokenbucket SET tokens = least(%s, tokens + %s) WHERE name = %s",
                [size, count, limit.name],
            )


def _take(limit: Limit, wanted: int) -> int:
    size, refill = bucket(limit.per_minute)
    values: dict[str, str | int] = {"name": limit.name, "wanted": wanted, "size": size, "refill": refill}
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        if row := cursor.fetchone():
            return int(row[0])
        cursor.execute(
            "INSERT INTO delivery_tokenbucket (name, tokens, refilled_at, granted) "
            "VALUES (%s, %s, statement_timestamp(), 0) ON CONFLICT DO NOTHING",
            [limit.name, size],
        )
        if cursor.rowcount:
            cursor.execute(_TAKE, values)
            row = cursor.fetchone()
    return int(row[0]) if row else 0
