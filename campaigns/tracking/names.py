"""Event names of Segment's commerce vocabulary to ours, and an order to its lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from campaigns import cleaning, events
from campaigns.cleaning import Unusable
from campaigns.models import TrackedKind

# Names that rules and life cycles know under another word. Any other name is kept as snake_case.
OURS: Mapping[str, str] = {
    "order_completed": events.PURCHASED,
    "order_refunded": events.RETURNED,
    "product_viewed": "viewed",
    "cart_abandoned": "cart_left",
    "checkout_abandoned": "cart_left",
}
_CONSUMED = frozenset({"products", "sku", "product_id", "quantity", "price", "revenue", "total"})
_UNSEEN = frozenset({"search", "referrer"})  # of a page: what follows the ? may hold an address or a token


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    sku: str = ""
    quantity: int | None = None
    amount: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


def lines(event: str, properties: Mapping[str, Any]) -> list[Line]:
    """One line for each product of an order, else one. Raises Unusable for a name that cannot be one."""
    text = cleaning.plain(event)
    name = events.event_name(f"event {text}" if text[:1].isdigit() else text)
    name = OURS.get(name, name)
    rest = {key: value for key, value in properties.items() if key not in _CONSUMED}
    products = properties.get("products")
    if isinstance(products, list) and any(isinstance(product, dict) for product in products):
        given = [product for product in products if isinstance(product, dict)]
        return [_line(name, product, _order(rest)) for product in given]
    return [_line(name, properties, rest)]


def _order(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Of an order's own properties those that each of its lines bears."""
    return {key: properties[key] for key in ("order_id", "currency", "coupon") if key in properties}


def _line(name: str, product: Mapping[str, Any], properties: Mapping[str, Any]) -> Line:
    sku = next(
        (
            str(product[key])
            for key in ("sku", "product_id")
            if isinstance(product.get(key), (str, int))
            and not isinstance(product[key], bool)
            and product[key]
        ),
        "",
    )
    quantity = _number(product.get("quantity"))
    price = _number(product.get("price"))
    amount = None if price is None else price * abs(quantity if quantity is not None else 1)
    if amount is None:
        amount = next(
            (n for key in ("revenue", "total") if (n := _number(product.get(key))) is not None), None
        )
    if name == events.RETURNED:
        quantity = -abs(quantity if quantity is not None else 1) if sku else None
    whole = quantity is not None and float(quantity).is_integer()
    return Line(
        name,
        sku,
        int(quantity) if quantity is not None and whole else None,
        None if amount is None else f"{amount:.2f}",
        properties,
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or value == "":
        return None
    try:
        return float(cleaning.number(str(value)))
    except Unusable:
        return None


def view(kind: str, name: object, category: object, properties: Mapping[str, Any]) -> Line:
    """A page or screen that was looked at. Of an address, what follows the ? is dropped."""
    kept = {key: value for key, value in properties.items() if key not in _UNSEEN}
    if isinstance(url := kept.get("url"), str):
        kept["url"] = url.partition("?")[0].partition("#")[0]
    if isinstance(name, str) and name:
        kept["name"] = name
    if isinstance(category, str) and category:
        kept["category"] = category
    return Line("page_viewed" if kind == TrackedKind.PAGE else "screen_viewed", properties=kept)
