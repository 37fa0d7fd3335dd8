"""Stable hundredths of all people, for hold-outs: the same person is always in the same one."""

from __future__ import annotations

from django.db.models import F, Func, IntegerField, TextField, Value

BUCKETS = 100  # a bucket is one percent of the people


def bucket_sql(split: str) -> Func:
    """Which of the hundred buckets of a split a person is in: by the CRM's id, so the same for ever and everywhere.

    The first 32 bits of md5("{split}:{external_id}") modulo 100: even, and independent from split to split.
    """
    return Func(
        Value(f"{split}:", output_field=TextField()),
        F("external_id"),
        template="mod(('x' || left(md5(%(expressions)s), 8))::bit(32)::bigint, 100)",
        arg_joiner=" || ",
        output_field=IntegerField(),
    )
