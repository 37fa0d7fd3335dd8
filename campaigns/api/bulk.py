"""Many items in one call: each is checked by itself, the good ones are stored, the bad ones reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from rest_framework import serializers

from campaigns.cleaning import Problem
from personalize.core import problems
from personalize.core.api import Input, Output
from personalize.core.operations import NamedChoice

MOST_ITEMS = 1_000
Item = TypeVar("Item")


class Items(Input):
    """The envelope. Items are checked one by one, so that a bad one does not cost the others."""

    items = serializers.ListField(child=serializers.JSONField(), min_length=1, max_length=MOST_ITEMS)


def envelope(item: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """How the API's description shows an envelope: with the fields of its items."""
    items = item(many=True, min_length=1, max_length=MOST_ITEMS)  # type: ignore[call-arg]
    return type(f"{item.__name__}s", (Input,), {"items": items, "__module__": item.__module__})


class ItemError(Output):
    field = serializers.CharField()
    message = serializers.CharField()


class ItemResult(Output):
    index = serializers.IntegerField(help_text="Place in `items`, from 0")
    id = serializers.CharField(allow_null=True, help_text="The id it was sent with")
    result = NamedChoice([("stored", "Stored"), ("refused", "Not stored")], schema="ItemOutcome")
    errors = ItemError(  # type: ignore[assignment]
        many=True, help_text="Why it was refused, or which of its values were left out"
    )


class Checked(Generic[Item]):
    """The items that can be stored, and a result for each of which there is something to say."""

    def __init__(self) -> None:
        self.good: list[Item] = []
        self.places: list[int] = []  # of the good ones in `items`
        self.results: list[dict[str, Any]] = []
        self.refused = 0


def check(
    raw_items: Sequence[Any],
    *,
    serializer: type[serializers.Serializer[Any]],
    clean: Callable[[dict[str, Any]], tuple[Item, Sequence[Problem]]],
    id_field: str,
) -> Checked[Item]:
    checked: Checked[Item] = Checked()
    for index, raw in enumerate(raw_items):
        shape = serializer(data=raw)
        refused = not shape.is_valid()
        if refused:
            errors = [{"field": e["field"], "message": e["message"]} for e in problems.entries(shape.errors)]
        else:
            item, found = clean(dict(shape.validated_data))
            errors = [{"field": problem.field, "message": _sentence(problem)} for problem in found]
            refused = any(problem.refuses for problem in found)
            if not refused:
                checked.good.append(item)
                checked.places.append(index)
        checked.refused += refused
        if errors:
            sent_id = raw.get(id_field) if isinstance(raw, dict) else None
            checked.results.append(
                {
                    "index": index,
                    "id": sent_id[:128] if isinstance(sent_id, str) else None,
                    "result": "refused" if refused else "stored",
                    "errors": errors,
                }
            )
    return checked


def tell_left_out(
    checked: Checked[Item], found: Sequence[tuple[int, Problem]], *, raw_items: Sequence[Any], id_field: str
) -> None:
    """Add to the results what only storing found, by place among the good items."""
    known = {result["index"]: result for result in checked.results}
    for place, problem in found:
        index = checked.places[place]
        if index not in known:
            known[index] = {
                "index": index,
                "id": raw_items[index][id_field],
                "result": "stored",
                "errors": [],
            }
        known[index]["errors"].append({"field": problem.field, "message": _sentence(problem)})
    checked.results = [known[index] for index in sorted(known)]


def left_out(found: Sequence[tuple[int, Problem]]) -> list[dict[str, str]]:
    """What an upsert of one item could not keep."""
    return [{"field": problem.field, "message": _sentence(problem)} for _, problem in found]


def _sentence(problem: Problem) -> str:
    """The services' messages go on after the name of the field."""
    return f"{problem.field} {problem.message}."
