"""Pages by an opaque, signed cursor: stable while rows are added, and the same cost on page one and one thousand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db.models import Model, QuerySet

from personalize.core.errors import InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_SALT = "api cursor"

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """`next` is the cursor of the following page, or None on the last."""

    items: list[Row]
    next: str | None


def page(
    rows: QuerySet[Row],
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str = "",
    about: str = "",
    newest_first: bool = True,
) -> Page[Row]:
    """One page of `rows` by id. `about` says what was asked for: a cursor of another list is refused."""
    order, beyond = ("-pk", "pk__lt") if newest_first else ("pk", "pk__gt")
    rows = rows.order_by(order)
    if cursor:
        rows = rows.filter(**{beyond: _open(cursor, about)})
    found = list(rows[: limit + 1])
    items = found[:limit]
    more = len(found) > limit
    return Page(items, signing.dumps([about, items[-1].pk], salt=_SALT) if more else None)


def _open(cursor: str, about: str) -> int:
    try:
        content: Any = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature as error:
        raise InvalidInput(
            "The cursor is not one of ours. Start again without it.", field="cursor"
        ) from error
    was_about, last = content
    if was_about != about:
        raise InvalidInput(
            "The cursor belongs to a list with other filters. Keep the filters while you page.",
            field="cursor",
        )
    return int(last)
