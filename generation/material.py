"""From stored rows to the writer's own plain words, and back to the JSON that a piece keeps of them.

Everything that reaches a prompt passes through here: a brief's frozen words, a lifecycle, traits and products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from campaigns import models as campaigns
from campaigns.models import Profile
from campaigns.models.channels import AD_CHANNELS
from generation.models import Piece
from generation.writer.types import (
    BrandVoice,
    Brief,
    Channel,
    Fact,
    Product,
    Reader,
    Request,
    Value,
    ValueKind,
    WrittenUnit,
)

AUDIENCE_LIFECYCLE = "prospect"  # what an ad's audience counts as: nobody we know
MOST_DESCRIPTION = 120  # characters of a product's description that the writer is told


def brief(frozen: Mapping[str, Any]) -> Brief:
    """The brief as a run keeps it, for the writer."""
    brand = frozen["brand"]
    return Brief(
        brand=BrandVoice(brand["name"], brand["about"], brand["voice"], tuple(brand["avoid"])),
        goal=frozen["goal"],
        facts=tuple(Fact(fact["id"], fact["text"]) for fact in frozen["facts"]),
        values=tuple(
            Value(value["name"], value["text"], ValueKind(value["kind"])) for value in frozen["values"]
        ),
        cta=frozen["cta"],
        must_mention=tuple(frozen["must_mention"]),
    )


def snapshot(
    *,
    profile: Profile | None,
    audience: str,
    products: Sequence[campaigns.Product] = (),
    generic: bool = False,
) -> dict[str, Any]:
    """What the writer is told about one reader, or about an ad's audience: the JSON of `Piece.reader`.

    `generic`: nothing about this reader, so that personal copy has something to be compared with.
    """
    if generic:
        return {"lifecycle": AUDIENCE_LIFECYCLE, "traits": [], "products": []}
    if profile is None:
        traits = [audience] if audience else []
        return {"lifecycle": AUDIENCE_LIFECYCLE, "traits": traits, "products": []}
    told = [_product(product) for product in products]
    return {
        "lifecycle": profile.lifecycle,
        "traits": list(profile.traits),
        "products": [
            {"id": f"p{number}", **product} for number, product in enumerate(filter(None, told), start=1)
        ],
    }


def reader(kept: Mapping[str, Any]) -> Reader:
    return Reader(kept.get("lifecycle", ""), tuple(kept.get("traits", ())))


def products(kept: Mapping[str, Any]) -> tuple[Product, ...]:
    return tuple(
        Product(product["id"], product["name"], product.get("description", ""))
        for product in kept.get("products", ())
    )


def request(piece: Piece) -> Request:
    """What to write for this piece, from its own columns. The key is its id."""
    return Request(
        key=str(piece.pk),
        channel=Channel(piece.channel),
        reader=reader(piece.reader),
        seed=piece.seed,
        products=products(piece.reader),
        steer=piece.steer or (piece.variant.steer if piece.variant else ""),
    )


def units(ledger: Sequence[Mapping[str, Any]]) -> tuple[WrittenUnit, ...]:
    """The claim ledger as the checks read it."""
    return tuple(
        WrittenUnit(
            row["label"],
            tuple(row["sources"]),
            row["text"],
            row.get("logprob", 0.0),
            row.get("score", 0.0),
            row.get("move", ""),
            row.get("faith", 1.0),
            row.get("reasons", {}),
        )
        for row in ledger
    )


def ledger(written: Sequence[WrittenUnit]) -> list[dict[str, Any]]:
    return [
        {
            "label": unit.label,
            "sources": list(unit.sources),
            "text": unit.text,
            "logprob": round(unit.logprob, 4),
            "score": round(unit.score, 4),
            "move": unit.move,
            "faith": round(unit.faith, 4),
            "reasons": unit.reasons,
        }
        for unit in written
    ]


def is_ad(channel: str) -> bool:
    return channel in AD_CHANNELS


def _product(product: campaigns.Product) -> dict[str, str] | None:
    """A product in words. One whose every name holds a digit cannot be told: the writer may say no numbers."""
    name = product.noun_phrase or product.name
    if _has_number(name):
        return None
    sentence = product.description.split(". ")[0].strip()
    if _has_number(sentence) or len(sentence) > MOST_DESCRIPTION:
        sentence = ""
    return {"sku": product.sku, "name": name, "description": sentence}


def _has_number(text: str) -> bool:
    return any(character.isnumeric() for character in text)
