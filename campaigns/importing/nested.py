"""The cells of a JSON record: its nested values by their dotted paths. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Dotted(Mapping[str, object]):
    """A record whose nested values are found as `address.city`. What nobody asks for is never touched."""

    def __init__(self, record: Mapping[str, object]) -> None:
        self._record = record

    def __getitem__(self, path: str) -> object:
        return path_in(self._record, path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths())

    def __len__(self) -> int:
        return len(self._paths())

    def _paths(self) -> list[str]:
        return paths(self._record)


class Nested(Dotted):
    """One item of a record's nested list: `products.id` is the item's, other paths the record's."""

    def __init__(self, record: Mapping[str, object], each: str, item: object) -> None:
        super().__init__(record)
        self._prefix, self._item = f"{each}.", item

    def __getitem__(self, path: str) -> object:
        if path.startswith(self._prefix) and isinstance(self._item, Mapping):
            return path_in(self._item, path[len(self._prefix) :])
        return super().__getitem__(path)

    def _paths(self) -> list[str]:
        own = paths(self._item, self._prefix) if isinstance(self._item, Mapping) else []
        return [*super()._paths(), *own]


def path_in(record: Mapping[str, object], path: str) -> object:
    """The value at a dotted path, None where there is none."""
    if path in record:
        return record[path]
    value: object = record
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def paths(record: Mapping[str, object], prefix: str = "") -> list[str]:
    """The dotted paths of a record's single values."""
    found: list[str] = []
    for key, value in record.items():
        if isinstance(value, Mapping):
            found += paths(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            found.append(f"{prefix}{key}")
    return found
