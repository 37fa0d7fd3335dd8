"""Which arm of an experiment a person is in: a stable hash of the campaign and the CRM's own id, in SQL.

Ten thousand buckets. The hold-out takes them from the bottom, generic copy from the top; so with other percentages
nobody changes sides but those in the buckets between, and anybody can check an arm from the id alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F, Func, IntegerField, QuerySet, Value
from django.db.models.functions import Concat

from campaigns.models import Campaign, Profile, Run
from generation import experiments
from generation.models import Arm, HeldOut

BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Split:
    """How a campaign's people are shared out, in buckets of ten thousand. None of either: everybody is personal."""

    campaign_id: int
    holdout: int = 0
    generic: int = 0

    @property
    def compares(self) -> bool:
        return bool(self.holdout or self.generic)


def split_of(campaign: Campaign) -> Split:
    found, each = experiments.of(campaign), BUCKETS // 100
    return Split(campaign.pk, found.holdout_percent * each, found.generic_percent * each)


def bucket_sql(text: str) -> str:
    """The bucket of an SQL expression of a text: the first 32 bits of its MD5, of ten thousand."""
    return f"mod(('x' || left(md5({text}), 8))::bit(32)::bigint, {BUCKETS})"


class Bucket(Func):
    """The bucket of a text, as a number of the database's."""

    template = bucket_sql("%(expressions)s")
    output_field = IntegerField()


def bucket_expression(campaign_id: int) -> Bucket:
    """The bucket of each row of a query over profiles: that of `arm:{campaign}:{id}`."""
    return Bucket(Concat(Value(f"arm:{campaign_id}:"), F("external_id")))


def held_out(people: QuerySet[Profile], split: Split) -> QuerySet[Profile]:
    if not split.holdout:
        return people.none()
    return people.alias(arm_bucket=bucket_expression(split.campaign_id)).filter(arm_bucket__lt=split.holdout)


def to_be_written(people: QuerySet[Profile], split: Split) -> QuerySet[Profile]:
    """Those who get a message: all but the hold-out."""
    if not split.holdout:
        return people
    return people.alias(arm_bucket=bucket_expression(split.campaign_id)).filter(arm_bucket__gte=split.holdout)


def arm_sql(split: Split, external_id: str) -> tuple[str, tuple[object, ...]]:
    """The arm of one who is written to, as SQL over the SQL expression of their id, with its parameters."""
    if not split.generic:
        return "%s::varchar", (str(Arm.PERSONAL),)
    hashed = bucket_sql(f"%s || {external_id}")
    return (
        f"CASE WHEN {hashed} >= %s THEN %s::varchar ELSE %s::varchar END",
        (f"arm:{split.campaign_id}:", BUCKETS - split.generic, str(Arm.GENERIC), str(Arm.PERSONAL)),
    )


def note_held_out(run: Run, people: QuerySet[Profile]) -> int:
    """Write down who of a run's audience gets nothing; how many were new. Repeated, it changes nothing."""
    try:
        source, params = people.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # a campaign without a hold-out
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {HeldOut._meta.db_table} (run_id, profile_id, made_at) "
            f"SELECT %s, id, now() FROM ({source}) AS held(id) ORDER BY id ON CONFLICT DO NOTHING",
            [run.pk, *params],
        )
        return int(cursor.rowcount)
