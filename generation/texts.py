"""What a piece's text is made of: the fields of its channel, their shape and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from generation.writer import channels
from generation.writer.types import Channel, Fields, FieldValue
from personalize.core.errors import InvalidInput

MOST_CHARACTERS = 5_000  # far above any channel's limit: what keeps a form from storing a book
MOST_ITEMS = 30


def text_hash(fields: Mapping[str, object]) -> str:
    """sha256 of the canonical JSON of the fields: the same text gives the same hash on any machine."""
    canonical = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def shaped(*, channel: str, fields: Mapping[str, object]) -> Fields:
    """The fields as this channel has them, trimmed; list fields without their empty items.

    Raises InvalidInput, naming the field, for a field the channel lacks or misses, a value of the wrong shape and
    a text beyond all measure. Whether it keeps the channel's limits is for the checks to say.
    """
    spec = channels.SPECS[Channel(channel)]
    known = {field.name: field for field in spec.fields}
    for name in fields:
        if name not in known:
            raise InvalidInput(
                f"A piece for {channel} has no field '{name}'. Its fields are {', '.join(known)}.", field=name
            )
    found: Fields = {}
    for name, field in known.items():
        if name not in fields:
            raise InvalidInput(f"The field '{name}' is missing.", field=name)
        found[name] = _value(name, fields[name], is_list=field.items is not None)
    return found


def _value(name: str, value: object, *, is_list: bool) -> FieldValue:
    if not is_list:
        if not isinstance(value, str):
            raise InvalidInput(f"The field '{name}' must be one text.", field=name)
        return _text(name, value)
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InvalidInput(f"The field '{name}' must be a list of texts.", field=name)
    if len(value) > MOST_ITEMS:
        raise InvalidInput(
            f"The field '{name}' has {len(value)} items; {MOST_ITEMS} is the most.", field=name
        )
    return [text for item in value if (text := _text(name, item))]


def _text(name: str, text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput(
            f"The field '{name}' has {len(text)} characters; {MOST_CHARACTERS} is the most.", field=name
        )
    if "\x00" in text:
        raise InvalidInput(f"The field '{name}' holds a character that cannot be stored.", field=name)
    return text


def all_text(fields: Mapping[str, FieldValue]) -> str:
    """Every text of a piece, one a line."""
    return "\n".join(text for value in fields.values() for text in channels.items(value))
