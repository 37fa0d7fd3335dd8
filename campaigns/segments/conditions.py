"""A segment's filter, a checked syntax tree, to SQL.

    {}                                                                   everybody
    {"all": [...]}  {"any": [...]}  {"not": {...}}
    {"field": "lifecycle", "op": "is", "value": "lapsed"}                fields and operators: FIELDS, OPERATORS
    {"field": "attributes.city", "op": "one_of", "value": ["Leeds", "York"]}
    {"field": "consent.email", "op": "is", "value": "given"}
    {"did": "purchased", "at_least": 2, "days": 90, "category": "coffee"}    {"did_not": "purchased", "days": 180}
    {"did": "viewed", "at_least": 1, "at_most": 3, "since": "2024-01-01", "until": "2024-03-31"}
    {"bucket": "spring test", "from": 0, "to": 10}                       a tenth of all people, always the same ones

Only what stands in the tables below reaches a query; everything else is refused with its path in the tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Count, Exists, F, Func, OuterRef, Q
from django.db.models.lookups import GreaterThanOrEqual, LessThan
from django.utils import timezone

from campaigns.models import AttributeDefinition, Consent, ConsentStatus, Event, Product, Profile
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.models.privacy import MARKETING
from campaigns.segments.buckets import BUCKETS, bucket_sql
from campaigns.sensitive import is_secret_name
from personalize.core.errors import InvalidInput

MAX_DEPTH = 10
MAX_NODES = 100
MAX_VALUES = 200

# field -> kind of its value. Attributes join by their definitions, consents by their channel.
FIELDS: Mapping[str, str] = {
    "lifecycle": "text",
    "locale": "text",
    "time_zone": "text",
    "external_id": "text",
    "created_at": "date",
    "has_email": "boolean",
    "has_phone": "boolean",
    **{f"consent.{channel}": "consent" for channel in PERSONAL_CHANNELS},
}
# kind -> operators: what each says in English.
OPERATORS: Mapping[str, Mapping[str, str]] = {
    "text": {
        "is": "is {}",
        "is_not": "is not {}",
        "one_of": "is one of {}",
        "none_of": "is none of {}",
        "starts_with": "starts with {}",
        "is_set": "is known",
        "is_not_set": "is not known",
    },
    "number": {
        "is": "is {}",
        "is_not": "is not {}",
        "at_least": "is at least {}",
        "at_most": "is at most {}",
        "more_than": "is more than {}",
        "less_than": "is less than {}",
        "is_set": "is known",
        "is_not_set": "is not known",
    },
    "boolean": {"is": "is {}", "is_set": "is known", "is_not_set": "is not known"},
    "date": {
        "before": "is before {}",
        "after": "is after {}",
        "in_last_days": "is in the last {} days",
        "not_in_last_days": "is not in the last {} days",
        "is_set": "is known",
        "is_not_set": "is not known",
    },
    "consent": {"is": "is {}", "is_not": "is not {}"},
}
_CONSENTS = (*ConsentStatus.values, "never asked")
_NO_VALUE = ("is_set", "is_not_set")
_EVENT_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_EVENT_KEYS = {"did", "did_not", "at_least", "at_most", "days", "since", "until", "category", "sku"}


@dataclass(frozen=True, slots=True)
class _Reading:
    """What checking a tree needs to know, and how many nodes it met."""

    attributes: Mapping[str, str]  # name -> kind, those that may be used
    now: datetime
    nodes: list[str]


def check(filter: object) -> None:
    """Raise InvalidInput, its `field` the path in the tree ("all[1].op"), for anything that is not allowed."""
    to_query(filter)


def to_query(filter: object, *, now: datetime | None = None) -> Q:
    """The filter as a condition on profiles. Checked on the way: nothing unknown gets through."""
    reading = _Reading(attributes=_attributes(), now=now or timezone.now(), nodes=[])
    return Q() if filter == {} else _node(filter, "", 1, reading)


def fields() -> dict[str, str]:
    """Everything that may be filtered by, with its kind: for a form or an API document."""
    return {**FIELDS, **{f"attributes.{name}": kind for name, kind in _attributes().items()}}


def _attributes() -> dict[str, str]:
    allowed = AttributeDefinition.objects.filter(in_segments=True, is_protected=False)
    return {name: kind for name, kind in allowed.values_list("name", "kind") if not is_secret_name(name)}


def _bad(path: str, message: str) -> InvalidInput:
    return InvalidInput(f"{path or 'The filter'}: {message}.", field=path)


def _node(node: object, path: str, depth: int, reading: _Reading) -> Q:
    reading.nodes.append(path)
    if depth > MAX_DEPTH:
        raise _bad(path, f"is nested deeper than {MAX_DEPTH} levels")
    if len(reading.nodes) > MAX_NODES:
        raise _bad(path, f"has more than {MAX_NODES} conditions")
    if not isinstance(node, dict) or not all(isinstance(key, str) for key in node):
        raise _bad(path, "must be an object")
    dot = f"{path}." if path else ""
    if "did" in node or "did_not" in node:
        return _event(node, path, reading)
    if "field" in node:
        return _condition(node, path, reading)
    if "bucket" in node:
        return _bucket(node, path)
    if len(node) != 1 or not {"all", "any", "not"} & node.keys():
        raise _bad(path, "must be one of all, any, not, a field condition, did, did_not or bucket")
    key, inner = next(iter(node.items()))
    if key == "not":
        return _none_of(_node(inner, f"{dot}not", depth + 1, reading), inner)
    if not isinstance(inner, list) or not inner:
        raise _bad(f"{dot}{key}", "must be a list with at least one condition")
    parts = [_node(part, f"{dot}{key}[{place}]", depth + 1, reading) for place, part in enumerate(inner)]
    if key == "any" and len(parts) > 1 and _looks_at_events(inner):
        each = [Profile.objects.filter(part).order_by().values("pk") for part in parts]
        return Q(pk__in=each[0].union(*each[1:]))
    combined = parts[0]
    for part in parts[1:]:
        combined = combined & part if key == "all" else combined | part
    return combined


# What people did is told by joins, which go through the events once. Below OR and NOT Postgres cannot join and would
# look each person up, fifty times slower over a million: so there a part with events is a query of its own.


def _looks_at_events(tree: object) -> bool:
    """Whether an event stands anywhere below; the tree was checked, so it is not deep."""
    if isinstance(tree, dict):
        return bool({"did", "did_not"} & tree.keys()) or any(_looks_at_events(part) for part in tree.values())
    return isinstance(tree, list) and any(_looks_at_events(part) for part in tree)


def _none_of(condition: Q, tree: object) -> Q:
    if not _looks_at_events(tree):
        return ~condition
    return ~Q(Exists(Profile.objects.filter(condition, pk=OuterRef("pk"))))


# -- conditions on fields ----------------------------------------------------------------------------


def _condition(node: dict[str, Any], path: str, reading: _Reading) -> Q:
    dot = f"{path}." if path else ""
    extra = (
        node.keys()
        - {"field", "op", "value"}
        - ({"purpose"} if FIELDS.get(str(node["field"])) == "consent" else set())
    )
    if extra:
        raise _bad(path, f"has an unknown key '{sorted(extra)[0]}'")
    name = node["field"]
    kind = FIELDS.get(name) if isinstance(name, str) else None
    attribute = ""
    if kind is None and isinstance(name, str) and name.startswith("attributes."):
        attribute = name.removeprefix("attributes.")
        kind = reading.attributes.get(attribute)
    if kind is None:
        raise _bad(f"{dot}field", "is not a field that people may be chosen by")
    operator = node.get("op")
    if not isinstance(operator, str) or operator not in OPERATORS[kind]:
        raise _bad(f"{dot}op", f"must be one of {', '.join(OPERATORS[kind])}")
    if operator in _NO_VALUE:
        if "value" in node:
            raise _bad(f"{dot}value", f"is not wanted with {operator}")
        known = _is_known(name, attribute)
        return known if operator == "is_set" else ~known
    if "value" not in node:
        raise _bad(f"{dot}value", "is missing")
    value = _value(node["value"], kind, operator, f"{dot}value")
    if kind == "consent":
        purpose = _value(node.get("purpose", MARKETING), "text", "is", f"{dot}purpose")
        return _consent(name.removeprefix("consent."), operator, str(value), purpose)
    if attribute:
        return _on_attribute(attribute, kind, operator, value, reading.now)
    return _on_column(name, operator, value, reading.now)


def _value(value: object, kind: str, operator: str, path: str) -> Any:
    if operator in ("one_of", "none_of"):
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
            raise _bad(path, f"must be a list of 1 to {MAX_VALUES} texts")
        return [_value(each, kind, "is", f"{path}[{place}]") for place, each in enumerate(value)]
    if operator in ("in_last_days", "not_in_last_days"):
        return _whole(value, path, most=36_500)
    if kind == "text":
        if not isinstance(value, str) or not value or len(value) > 200 or "\x00" in value:
            raise _bad(path, "must be a text of 1 to 200 characters")
        return value
    if kind == "boolean":
        if not isinstance(value, bool):
            raise _bad(path, "must be true or false")
        return value
    if kind == "number":
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
            raise _bad(path, "must be a number")
        return value
    if kind == "consent":
        if value not in _CONSENTS:
            raise _bad(path, f"must be one of {', '.join(_CONSENTS)}")
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else _never()
    except ValueError:
        raise _bad(path, "must be a date such as 2024-04-03") from None


def _never() -> date:
    raise ValueError


def _whole(value: object, path: str, *, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise _bad(path, f"must be a whole number from 1 to {most}")
    return value


def _is_known(name: str, attribute: str) -> Q:
    if attribute:
        return Q(attributes__has_key=attribute)
    if FIELDS[name] in ("boolean", "date"):
        return Q(pk__isnull=False)  # always known
    return ~Q(**{name: ""})


def _on_column(name: str, operator: str, value: Any, now: datetime) -> Q:
    if name in ("has_email", "has_phone"):
        reachable = ~Q(**{name.removeprefix("has_"): ""})
        return reachable if value else ~reachable
    if name == "created_at":
        if operator in ("in_last_days", "not_in_last_days"):
            recent = Q(created_at__gte=now - timedelta(days=value))
            return recent if operator == "in_last_days" else ~recent
        return Q(**{f"created_at__date__{'lt' if operator == 'before' else 'gt'}": value})
    if operator in ("one_of", "none_of"):
        chosen = Q(**{f"{name}__in": value})
        return chosen if operator == "one_of" else ~chosen
    if operator == "starts_with":
        return Q(**{f"{name}__startswith": value})
    same = Q(**{name: value})
    return same if operator == "is" else ~same


def _on_attribute(name: str, kind: str, operator: str, value: Any, now: datetime) -> Q:
    # `is` and `one_of` by containment, which the GIN index serves; a missing attribute is none of them.
    if operator in ("is", "is_not"):
        same = Q(attributes__contains={name: value})
        return same if operator == "is" else ~same
    if operator in ("one_of", "none_of"):
        chosen = Q()
        for each in value:
            chosen |= Q(attributes__contains={name: each})
        return chosen if operator == "one_of" else ~chosen
    if operator == "starts_with":
        return Q(**{f"attributes__{name}__startswith": value})
    if kind == "date":
        # Stored as ISO text, whose order is that of time.
        if operator in ("in_last_days", "not_in_last_days"):
            day = (now - timedelta(days=value)).date().isoformat()
            recent = Q(
                **{f"attributes__{name}__gte": day, f"attributes__{name}__lte": now.date().isoformat()}
            )
            return recent if operator == "in_last_days" else Q(attributes__has_key=name) & ~recent
        return Q(**{f"attributes__{name}__{'lt' if operator == 'before' else 'gt'}": value.isoformat()})
    compare = {"at_least": "gte", "at_most": "lte", "more_than": "gt", "less_than": "lt"}[operator]
    return Q(**{f"attributes__{name}__{compare}": value})


def _consent(channel: str, operator: str, value: str, purpose: str) -> Q:
    rows = Consent.objects.filter(profile=OuterRef("pk"), channel=channel, purpose=purpose)
    condition = ~Q(Exists(rows)) if value == "never asked" else Q(Exists(rows.filter(status=value)))
    return condition if operator == "is" else ~condition


# -- conditions on what people did -------------------------------------------------------------------


def _event(node: dict[str, Any], path: str, reading: _Reading) -> Q:
    dot = f"{path}." if path else ""
    extra = node.keys() - _EVENT_KEYS
    if extra:
        raise _bad(path, f"has an unknown key '{sorted(extra)[0]}'")
    if "did" in node and "did_not" in node:
        raise _bad(path, "takes did or did_not, not both")
    verb = "did" if "did" in node else "did_not"
    if not isinstance(node[verb], str) or not _EVENT_NAME.fullmatch(node[verb]):
        raise _bad(f"{dot}{verb}", "must be the name of an event, such as purchased")
    events = Event.objects.filter(name=node[verb])
    if "days" in node and "since" in node:
        raise _bad(path, "takes days or since, not both")
    if "days" in node:
        days = _whole(node["days"], f"{dot}days", most=36_500)
        events = events.filter(occurred_at__gte=reading.now - timedelta(days=days))
    if "since" in node:
        events = events.filter(
            occurred_at__gte=_begin_of(_value(node["since"], "date", "before", f"{dot}since"))
        )
    if "until" in node:
        last = _value(node["until"], "date", "before", f"{dot}until")
        if last == date.max:
            raise _bad(f"{dot}until", "must be a date such as 2024-04-03")
        events = events.filter(occurred_at__lt=_begin_of(last + timedelta(days=1)))
    for key in ("category", "sku"):
        if key in node:
            items = Product.objects.filter(**{key: _value(node[key], "text", "is", f"{dot}{key}")})
            # As an array it is found once, not joined for each person.
            is_one = Func(
                F("product_id"),
                ArraySubquery(items.values("pk")),
                template="(%(expressions)s))",
                arg_joiner=" = ANY(",
                output_field=BooleanField(),
            )
            events = events.filter(is_one)
    times = _whole(node.get("at_least", 1), f"{dot}at_least", most=1_000)
    most = _whole(node["at_most"], f"{dot}at_most", most=1_000) if "at_most" in node else 0
    if most and most < times:
        raise _bad(f"{dot}at_most", "must not be less than at_least")
    if times == 1 and not most:
        happened = Q(Exists(events.filter(profile=OuterRef("pk"))))
    else:
        # Times, not lines: an order of five products happened once.
        counted = events.order_by().values("profile").annotate(times=Count("occurred_at", distinct=True))
        counted = counted.filter(times__gte=times, **({"times__lte": most} if most else {}))
        happened = Q(pk__in=counted.values("profile"))
    return happened if verb == "did" else _none_of(happened, node)


def _begin_of(day: date) -> datetime:
    return timezone.make_aware(datetime(day.year, day.month, day.day))


# -- stable parts of the people ----------------------------------------------------------------------


def _bucket(node: dict[str, Any], path: str) -> Q:
    dot = f"{path}." if path else ""
    extra = node.keys() - {"bucket", "from", "to"}
    if extra:
        raise _bad(path, f"has an unknown key '{sorted(extra)[0]}'")
    split = _value(node["bucket"], "text", "is", f"{dot}bucket")
    ends = [node.get("from", 0), node.get("to")]
    for end, key in zip(ends, ("from", "to"), strict=True):
        if isinstance(end, bool) or not isinstance(end, int) or not 0 <= end <= BUCKETS:
            raise _bad(f"{dot}{key}", f"must be a whole number of percent from 0 to {BUCKETS}")
    if ends[0] >= ends[1]:
        raise _bad(f"{dot}to", "must be more than from")
    number = bucket_sql(split)
    return Q(GreaterThanOrEqual(number, ends[0])) & Q(LessThan(number, ends[1]))
