"""Which of their columns is which of our fields. Pure.

Written `our_field=their column`, or `our_field:=these words` for the same value in every row. `external_id:=row`
makes ids of file name and row number, `external_id:=contact` of the e-mail address or telephone (by keyed hash).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from campaigns.models import AttributeKind, ImportKind
from campaigns.models.channels import PERSONAL_CHANNELS
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
_ATTRIBUTE = re.compile(r"([a-z][a-z0-9_]{0,63})(?::(text|number|boolean|date))?")


@dataclass(frozen=True, slots=True)
class Take:
    """Where a field's value comes from: a column, or the same words for all rows."""

    column: str = ""
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class FieldMap:
    """`fields`, `attributes`, `consents` and `properties` by name; `kinds`: attribute kinds the mapping states."""

    fields: Mapping[str, Take]
    attributes: Mapping[str, Take]
    consents: Mapping[str, Take]
    properties: Mapping[str, Take]
    kinds: Mapping[str, str]

    def takes(self) -> Iterable[Take]:
        for group in (self.fields, self.attributes, self.consents, self.properties):
            yield from group.values()

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
    groups: dict[str, dict[str, Take]] = {name: {} for name in ("", "attribute", "consent", "property")}
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
    return FieldMap(groups[""], groups["attribute"], groups["consent"], groups["property"], kinds)


def _target(target: str, kind: str) -> tuple[str, str]:
    group, dot, name = target.partition(".")
    allowed = {ImportKind.PROFILES: ("attribute", "consent"), ImportKind.EVENTS: ("property",)}.get(
        ImportKind(kind), ()
    )
    if dot and group in allowed and name:
        if group == "consent" and name not in PERSONAL_CHANNELS:
            raise InvalidInput(
                f"'{target}': people agree to one of {', '.join(PERSONAL_CHANNELS)}.", field="mapping"
            )
        return group, name
    if target in TARGETS[kind]:
        return "", target
    known = [*TARGETS[kind], *(f"{each}.NAME" for each in allowed)]
    raise InvalidInput(f"There is no field '{target}'. There are: {', '.join(known)}.", field="mapping")


# -- a first guess -----------------------------------------------------------------------------------

_KNOWN_AS: Mapping[str, Mapping[str, str]] = {
    ImportKind.PROFILES: {
        "external_id": "external id, id, contact id, lead id, record id, customer id, customer no, user id, "
        "customer number, kundennummer, row",
        "email": "email, e mail, email address, mail, lead email, contact email, correo, correo electronico, "
        "courriel, e mail adresse, primary email, work email",
        "phone": "phone, phone number, mobile, mobile phone, mobile number, telephone, lead phone, tel, cell, "
        "telefono, telefon, contact number, handy",
        "first_name": "first name, firstname, given name, forename, vorname, prenom, fname",
        "last_name": "last name, lastname, surname, family name, nachname, nom, apellido, apellidos, lname",
        "full_name": "name, full name, contact name, customer name, client name, lead name, nombre, contact",
        "locale": "locale, language code, lang, preferred locale",
        "time_zone": "time zone, timezone, tz",
        "country": "country, country name, land, pais, pays, address country",
        "consent.email": "consent email, email consent, email opt in, opt in, optin, subscribed, newsletter, "
        "marketing consent, accepts marketing, email marketing consent, accepts email marketing",
        "consent.sms": "consent sms, sms consent, sms opt in, accepts sms marketing",
        "consent.push": "consent push, push consent, push opt in",
        "consent_source": "consent source, opt in source",
        "consent_at": "consent at, consent date, consent time, opt in date, opt in time, subscribed at",
    },
    ImportKind.EVENTS: {
        "message_id": "message id, event id, idempotency key",
        "external_id": "external id, customer id, customerid, user id, userid, contact id, profile id, customer",
        "event": "event, event name, event type, action",
        "occurred_at": "occurred at, timestamp, time, date, invoice date, order date, created at, event time",
        "sku": "sku, stock code, stockcode, product id, products id, item id, product sku, article",
        "quantity": "quantity, qty, products quantity, units",
        "amount": "amount, total, line total, products total, revenue",
        "unit_price": "unit price, unitprice, price, products price",
        "order_id": "order id, invoice no, invoiceno, invoice, order number, order",
        "product_name": "product name, description, title, products title, item name",
    },
    ImportKind.PRODUCTS: {
        "sku": "sku, stock code, stockcode, product id, id, item id, article number, handle",
        "name": "name, title, product name, product title",
        "noun_phrase": "noun phrase, spoken name",
        "category": "category, product type, type, department",
        "description": "description, body, product description, about",
        "price": "price, unit price, list price, median price gbp, variant price",
        "currency": "currency, currency code",
        "url": "url, link, product url",
        "is_available": "is available, available, in stock",
    },
}


def propose_mapping(
    headers: Sequence[str], *, kind: str = ImportKind.PROFILES, attributes: Iterable[str] = ()
) -> dict[str, str]:
    """A mapping guessed from the names of columns, for a person to look over: {"email": "Email Address", …}.

    Misspelt names are recognised. Columns like one of the defined `attributes` become that; secrets never do.
    A file without ids gets `external_id:=contact`.
    """
    words = {_words(header): header for header in reversed(headers) if not is_secret_name(header)}
    found: dict[str, str] = {}
    for target, aliases in _KNOWN_AS[kind].items():
        for alias in aliases.split(", "):
            if target not in found and alias in words and words[alias] not in found.values():
                found[target] = words[alias]
    # Then misspelt names of the fields that matter: single words only, for 'form name' is no first name.
    for target in ("email", "phone", "full_name"):
        known_as = _KNOWN_AS[kind].get(target, "").split(", ")
        single = [alias for alias in known_as if alias and " " not in alias]
        for bare, header in words.items():
            near = len(bare) > 3 and " " not in bare and difflib.get_close_matches(bare, single, cutoff=0.75)
            if near and target not in found and header not in found.values():
                found[target] = header
    known = set(attributes)
    for bare, header in words.items():
        name = bare.replace(" ", "_")
        if kind == ImportKind.PROFILES and name in known:
            found[f"attribute.{name}"] = header
    if "full_name" in found and "first_name" in found:
        del found["full_name"]
    if kind == ImportKind.PROFILES and "external_id" not in found:
        found["external_id"] = ":=contact" if {"email", "phone"} & found.keys() else ":=row"
    if kind == ImportKind.EVENTS and "event" not in found:
        found["event"] = ":=purchased"
    if kind == ImportKind.PRODUCTS and "name" not in found and "description" in found:
        found["name"] = found.pop("description")
    return found


def _words(header: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)
    return " ".join(re.sub(r"[^\w]+|_", " ", spaced).lower().split())
