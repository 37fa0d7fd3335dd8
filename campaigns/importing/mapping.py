"""Which of their columns is which of our fields. Pure.

Written `our_field=their column`, or `our_field:=these words` for the same value in every row. `external_id:=row`
makes ids of file name and row number, `external_id:=contact` of the e-mail address or telephone (by keyed hash).
`consent.email` is a column of yes and no or of a list's words (subscribed, unsubscribed, cleaned, …); `opt_out.email`,
`bounced.email` and `complained.email` are columns where a yes, a date or a reason stops the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from campaigns.models import AttributeKind, ImportKind
from campaigns.models.channels import PERSONAL_CHANNELS, Channel
from campaigns.sensitive import is_secret_name
from personalize.core.errors import InvalidInput

TARGETS: Mapping[str, tuple[str, ...]] = {
    ImportKind.PROFILES: (
        "external_id", "email", "phone", "first_name", "last_name", "full_name", "locale", "time_zone", "country",
        "consent_source", "consent_at",
    ),
    ImportKind.EVENTS: (
        "message_id", "external_id", "event", "occurred_at", "sku", "quantity", "amount", "unit_price", "order_id",
        "product_name",
    ),
    ImportKind.PRODUCTS: (
        "sku", "name", "noun_phrase", "category", "description", "price", "currency", "url", "is_available",
    ),
}  # fmt: skip
REQUIRED: Mapping[str, tuple[str, ...]] = {
    ImportKind.PROFILES: ("external_id",),
    ImportKind.EVENTS: ("external_id", "event", "occurred_at"),
    ImportKind.PRODUCTS: ("sku", "name"),
}
MINTED = ("row", "contact", "email", "phone")  # what external_id may be made of
STOPPING: Mapping[str, tuple[str, ...]] = {  # group -> channels
    "opt_out": tuple(str(channel) for channel in PERSONAL_CHANNELS),
    "bounced": (str(Channel.EMAIL), str(Channel.SMS)),
    "complained": (str(Channel.EMAIL),),
}
_ATTRIBUTE = re.compile(r"([a-z][a-z0-9_]{0,63})(?::(text|number|boolean|date))?")


@dataclass(frozen=True, slots=True)
class Take:
    """Where a field's value comes from: a column, or the same words for all rows."""

    column: str = ""
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class FieldMap:
    """`fields`, `attributes`, `consents` and `properties` by name; `kinds`: attribute kinds the mapping states;
    `stops`: columns that stop an address, by (group, channel)."""

    fields: Mapping[str, Take]
    attributes: Mapping[str, Take]
    consents: Mapping[str, Take]
    properties: Mapping[str, Take]
    kinds: Mapping[str, str]
    stops: Mapping[tuple[str, str], Take]

    def takes(self) -> Iterable[Take]:
        for group in (self.fields, self.attributes, self.consents, self.properties):
            yield from group.values()
        yield from self.stops.values()

    @property
    def columns(self) -> set[str]:
        return {take.column for take in self.takes() if take.column}


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """`a=b` and `a:=b` as given on a command line, to the form that is stored: {"a": "b"}, {"a": ":=b"}."""
    found: dict[str, str] = {}
    for pair in pairs:
        # An attribute's kind is written with a colon too: attribute.spend:number=Spend
        target, equals, column = pair.partition("=")
        if not equals or not target.strip():
            raise InvalidInput(f"'{pair}' is not a mapping: write our_field=their column.", field="mapping")
        constant = target.endswith(":")
        target = target.removesuffix(":").strip()
        if target in found:
            raise InvalidInput(f"'{target}' is mapped twice: keep one.", field="mapping")
        found[target] = f":={column}" if constant else column.strip()
    return found


def parse(mapping: Mapping[str, str], *, kind: str, headers: Sequence[str] | None) -> FieldMap:
    """Check a mapping against our fields and the file's columns (None: not known beforehand, as in JSON)."""
    groups: dict[str, dict[str, Take]] = {
        name: {} for name in ("", "attribute", "consent", "property", *STOPPING)
    }
    kinds: dict[str, str] = {}
    for target, column in mapping.items():
        take = Take(constant=column[2:]) if column.startswith(":=") else Take(column=column)
        group, name = _target(target, kind)
        if group == "attribute":
            found = _ATTRIBUTE.fullmatch(name)
            if not found:
                raise InvalidInput(
                    f"'{target}': an attribute's name is lower-case words joined by _, and its kind one of "
                    f"{', '.join(AttributeKind.values)}.",
                    field="mapping",
                )
            name = found[1]
            kinds[name] = found[2] or AttributeKind.TEXT
        if is_secret_name(name) or (take.column and is_secret_name(take.column)):
            raise InvalidInput(
                f"'{target}={take.column}' names a secret (a password, card, account or the like), which is "
                "never imported: leave it out.",
                field="mapping",
            )
        if take.column and headers is not None and take.column not in headers:
            raise InvalidInput(
                f"The file has no column '{take.column}'. Its columns are: {', '.join(headers)}.",
                field="mapping",
            )
        groups[group][name] = take
    for name in REQUIRED[kind]:
        if name not in groups[""]:
            more = (
                " If the file has none, write external_id:=contact or :=row." if name == "external_id" else ""
            )
            raise InvalidInput(f"Say which column holds {name}: {name}=their column.{more}", field="mapping")
    minted = groups[""].get("external_id")
    if (
        kind == ImportKind.PROFILES
        and minted
        and minted.constant is not None
        and minted.constant not in MINTED
    ):
        raise InvalidInput(
            f"external_id:= is made of one of: {', '.join(MINTED)}. One id for all rows would be one person.",
            field="mapping",
        )
    stops = {(group, channel): take for group in STOPPING for channel, take in groups[group].items()}
    return FieldMap(groups[""], groups["attribute"], groups["consent"], groups["property"], kinds, stops)


def _target(target: str, kind: str) -> tuple[str, str]:
    group, dot, name = target.partition(".")
    allowed = {
        ImportKind.PROFILES: ("attribute", "consent", *STOPPING),
        ImportKind.EVENTS: ("property",),
    }.get(ImportKind(kind), ())
    if dot and group in allowed and name:
        if group == "consent" and name not in PERSONAL_CHANNELS:
            raise InvalidInput(
                f"'{target}': people agree to one of {', '.join(PERSONAL_CHANNELS)}.", field="mapping"
            )
        if name not in STOPPING.get(group, (name,)):
            raise InvalidInput(f"'{target}': it is one of {', '.join(STOPPING[group])}.", field="mapping")
        return group, name
    if target in TARGETS[kind]:
        return "", target
    known = [*TARGETS[kind], *(f"{each}.NAME" for each in allowed)]
    raise InvalidInput(f"There is no field '{target}'. There are: {', '.join(known)}.", field="mapping")
