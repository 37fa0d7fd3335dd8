"""Reads JSON bodies and refuses what would break further in: size, depth, NUL, half surrogates, infinities."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAX_DEPTH = 24
_MAX_INTEGER = 2**63 - 1


class StrictJSONParser(BaseParser):
    """One JSON document, UTF-8, at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes, each name once per object."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise RequestDataTooBig
        try:
            text = raw.decode("utf-8")
            data = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        except UnicodeDecodeError as error:
            raise ParseError(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
        except json.JSONDecodeError as error:
            raise ParseError(
                f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
            ) from error
        except RecursionError as error:
            raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.") from error
        except ValueError as error:  # a number of thousands of digits, NaN, a name twice
            raise ParseError(f"The body is not usable JSON: {_reason(error)}") from error
        _check(data, depth=0)
        return data


class _Refused(ValueError):
    """Our own sentence, safe to show."""


def _reason(error: ValueError) -> str:
    return str(error) if isinstance(error, _Refused) else "a number in it is too long."


def _refuse_constant(word: str) -> Any:
    raise _Refused(f"{word} is not JSON.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("an object has the same name twice.")
    return found


def _check(value: Any, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")
    match value:
        case str():
            check_text(value)
        case bool() | None:
            pass
        case int():
            if not -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER:
                raise ParseError("A whole number in the body does not fit into 64 bits.")
        case float():
            if not math.isfinite(value):
                raise ParseError("A number in the body is too large.")
        case dict():
            for key, inner in value.items():
                check_text(key)
                _check(inner, depth=depth + 1)
        case list():
            for inner in value:
                _check(inner, depth=depth + 1)


def check_text(text: str) -> None:
    """PostgreSQL stores neither U+0000 nor halves of surrogate pairs: say so before it does."""
    if "\x00" in text:
        raise ParseError("A text contains the character U+0000, which cannot be stored. Remove it.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ParseError("A text contains half of a surrogate pair, which is not valid Unicode. Remove it.")
