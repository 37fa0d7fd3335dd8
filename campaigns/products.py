"""The catalogue comes in. Each product gets words in which a sentence can speak of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit

from django.db import connection, transaction
from django.utils import timezone

from campaigns import cleaning
from campaigns.cleaning import Problem, Unusable
from campaigns.models import Product
from campaigns.sensitive import word_set
from personalize.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class ProductInput:
    """None: not given, so what is stored stays. `noun_phrase` is derived from the name when nobody
    wrote one; "" says that this product is never to be spoken of (postage, a fee)."""

    sku: str
    name: str | None = None
    noun_phrase: str | None = None
    category: str | None = None
    description: str | None = None
    price: Decimal | str | float | None = None
    currency: str | None = None
    url: str | None = None
    is_available: bool | None = None


@dataclass(frozen=True, slots=True)
class UpsertResult:
    created: int
    updated: int
    unchanged: int = 0
    left_out: list[tuple[int, Problem]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)


# -- words -------------------------------------------------------------------------------------------
_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]|\s[-–|/]\s.*$|,.*$|;.*$")
_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SIZES = word_set(
    """xs s m l xl xxl xxxl w x cm mm kg g ml cl oz lb ft inch inches pc pcs pk asstd asst ass assorted"""
)
_NO_GOODS = word_set(
    "postage carriage commission charge charges fee fees discount manual debt delivery refund adjustment"
)
_DESCRIBES = word_set(
    """black white red blue green yellow pink purple orange brown grey gray ivory cream gold golden silver
    turquoise small large medium mini big"""
)
_A_BEFORE_VOWEL = ("uni", "use", "usual", "uti", "eu", "one", "once", "ukulele")
_AN_BEFORE_CONSONANT = ("hour", "honest", "heir")
_JOINS = word_set("of in with for from and or the by on at to")
_SINGULAR_S = ("ss", "us", "is", "os")
_SINGULAR = word_set("canvas atlas gas lens christmas compass series")
_ALWAYS_PLURAL = word_set("scissors trousers jeans shorts glasses sunglasses tongs pliers tweezers pyjamas")


def words_of(name: str) -> str:
    """A name as it can stand inside a sentence: lower case, no digits, sizes, codes or asides."""
    text = _ASIDE.sub("", cleaning.plain(name))
    kept: list[str] = []
    for token in re.split(r"[^\w'’-]+", text):
        if any(character.isdigit() for character in token):
            continue
        kept += [word for word in _TOKEN.findall(token) if word.lower() not in _SIZES]
    kept = [word.lower().replace("’", "'") for word in kept]
    while kept and kept[-1] in _JOINS:
        kept.pop()
    while kept and kept[0] in {"a", "an", "the", "of", "and", "or"}:
        kept.pop(0)
    if len(kept) > 1 and kept[0] in {"set", "pack", "box"} and kept[1] not in _JOINS:
        kept.insert(1, "of")  # SET/9, PACK 12: the number is gone, the sense is not
    elif len(kept) > 1 and kept[-1] in _DESCRIBES and kept[-2] not in _JOINS:
        kept.insert(0, kept.pop())  # MILK JUG PINK
    return " ".join(kept)


def noun_phrase(name: str) -> str:
    """'HAND GRINDER 250ML' -> 'a hand grinder', 'Egg Cups, set of 4' -> 'egg cups'; "" when no words are left
    or it is no goods but postage, a fee or the like."""
    words = words_of(name).split()
    while len(" ".join(words)) > 60:
        words.pop()
    while words and words[-1] in _JOINS:
        words.pop()
    if not words or not _NO_GOODS.isdisjoint(words):
        return ""
    phrase = " ".join(words)
    # The noun is the last word, or the one before the first 'of', 'with', 'for' …
    stop = next((index for index, word in enumerate(words) if index and word in _JOINS), len(words))
    noun = words[stop - 1]
    if noun in _ALWAYS_PLURAL or (
        noun.endswith("s") and len(noun) > 3 and not noun.endswith(_SINGULAR_S) and noun not in _SINGULAR
    ):
        return phrase
    first = words[0]
    vowel = (first[0] in "aeiou" and not first.startswith(_A_BEFORE_VOWEL)) or first.startswith(
        _AN_BEFORE_CONSONANT
    )
    return f"{'an' if vowel else 'a'} {phrase}"


def spoken(phrase: str) -> str:
    """A noun phrase that somebody wrote, checked: words only, 80 characters."""
    phrase = cleaning.plain(phrase)
    if len(phrase) > 80:
        raise Unusable("is longer than 80 characters")
    if re.search(r"[\d{}<>%£$€@#*_|\\]|https?:|www\.", phrase):
        raise Unusable("holds digits or signs: write it in words, such as 'a moka pot'")
    return phrase


# -- coming in ---------------------------------------------------------------------------------------


def check(item: ProductInput) -> list[Problem]:
    """Everything wrong with an item. Those that `refuses` keep it out; the others cost one value."""
    return clean(item)[1]


def clean(item: ProductInput) -> tuple[ProductInput, list[Problem]]:
    problems: list[Problem] = []
    changes: dict[str, object] = {}

    def tidy(name: str, value: object, reader: object, *, refuses: bool) -> None:
        if value is None:
            return
        try:
            changes[name] = reader(value)  # type: ignore[operator]
        except Unusable as error:
            changes[name] = None
            problems.append(Problem(name, str(error), refuses))

    tidy("sku", str(item.sku), _sku, refuses=True)
    tidy("name", item.name, lambda text: _text(text, 200), refuses=True)
    tidy("noun_phrase", item.noun_phrase, spoken, refuses=False)
    tidy("category", item.category, lambda text: _text(text.replace("-", " "), 80).lower(), refuses=False)
    tidy("description", item.description, lambda text: _text(text, 2_000), refuses=False)
    tidy("price", item.price, _price, refuses=True)
    tidy("currency", item.currency, _currency, refuses=True)
    tidy("url", item.url, _url, refuses=True)
    return replace(item, **changes), problems  # type: ignore[arg-type]


def _sku(text: str) -> str:
    text = cleaning.identifier(text)
    if len(text) > 64:
        raise Unusable("is longer than 64 characters")
    return text


def _text(text: str, limit: int) -> str:
    text = cleaning.plain(text)
    if len(text) > limit:
        raise Unusable(f"is longer than {limit} characters")
    return text


def _price(value: object) -> Decimal | None:
    if str(value).strip() == "":
        return None
    price = round(cleaning.number(str(value)), 2)
    if price < 0:
        raise Unusable("is below zero")
    return price


def _currency(text: str) -> str:
    text = text.strip().upper()
    if text and not re.fullmatch(r"[A-Z]{3}", text):
        raise Unusable("is not a currency code such as GBP")
    return text


def _url(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        raise Unusable("is not a web address") from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or len(text) > 500
        or re.search(r"[\s<>\"]", text)
    ):
        raise Unusable("is not a web address that starts with https://")
    return text


def upsert(*, items: Sequence[ProductInput], now: datetime | None = None) -> UpsertResult:
    """Create and update products by sku, all or (at the first item that must be refused) none. Safe to repeat."""
    cleaned = [clean(item) for item in items]
    for index, (_, problems) in enumerate(cleaned):
        for problem in problems:
            if problem.refuses:
                raise InvalidInput(
                    f"Item {index}: {problem.field} {problem.message}.", field=problem.field, row=index
                )
    result = store(items=[item for item, _ in cleaned], now=now)
    result.left_out.extend((index, problem) for index, (_, found) in enumerate(cleaned) for problem in found)
    return result


_FIELDS = (
    "name", "noun_phrase", "category", "description", "price", "currency", "url", "is_available",
)  # fmt: skip


@transaction.atomic
def store(*, items: Sequence[ProductInput], now: datetime | None = None) -> UpsertResult:
    """Store items that `clean` returned without a refusal."""
    now = now or timezone.now()
    merged: dict[str, dict[str, object]] = {}
    for item in items:
        given = {name: value for name in _FIELDS if (value := getattr(item, name)) is not None}
        merged[item.sku] = {**merged.get(item.sku, {}), **given}
    known = {
        product.sku: product
        for product in Product.objects.select_for_update().filter(sku__in=list(merged)).order_by("sku")
    }
    rows = []
    created = 0
    for sku in sorted(merged):
        given = merged[sku]
        product = known.get(sku) or Product(sku=sku)
        before = {name: getattr(product, name) for name in _FIELDS}
        # A phrase that was derived follows the name; one that a person wrote stays.
        was_derived = product.noun_phrase == noun_phrase(product.name)
        for name, value in given.items():
            setattr(product, name, value)
        product.name = product.name or sku
        if "noun_phrase" not in given and was_derived:
            product.noun_phrase = noun_phrase(product.name) if product.name != sku else ""
        if product.pk is None or before != {name: getattr(product, name) for name in _FIELDS}:
            created += product.pk is None
            rows.append(product)
    ids = {sku: product.pk for sku, product in known.items()}
    ids.update(_write(rows, now=now))
    updated = len(rows) - created
    return UpsertResult(created=created, updated=updated, unchanged=len(items) - len(rows), ids=ids)


def _write(rows: Sequence[Product], *, now: datetime) -> dict[str, int]:
    if not rows:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO campaigns_product (sku, name, noun_phrase, category, description, price, currency, url,
                is_available, created_at, updated_at)
            SELECT given.*, %s::timestamptz, %s::timestamptz
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::numeric[], %s::text[],
                %s::text[], %s::boolean[]) AS given
            ON CONFLICT (sku) DO UPDATE SET name = EXCLUDED.name, noun_phrase = EXCLUDED.noun_phrase,
                category = EXCLUDED.category, description = EXCLUDED.description, price = EXCLUDED.price,
                currency = EXCLUDED.currency, url = EXCLUDED.url, is_available = EXCLUDED.is_available,
                updated_at = EXCLUDED.updated_at
            RETURNING sku, id
            """,
            [
                now,
                now,
                [row.sku for row in rows],
                *([getattr(row, name) for row in rows] for name in _FIELDS),
            ],
        )
        return dict(cursor.fetchall())
