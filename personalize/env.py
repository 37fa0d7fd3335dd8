"""Typed reads of the environment. settings.py is the only caller, so .env.example can be compared with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

READ: dict[str, str] = {}  # every variable asked for, with its default: tests compare .env.example with it


def text(name: str, default: str = "") -> str:
    """The variable as text; `NAME_FILE` may point to a file that holds it (container secrets)."""
    READ[name] = default
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}: {error.strerror}") from error
    return os.environ.get(name, default)


def secret(name: str, *, debug: bool, debug_default: str) -> str:
    """A secret without a default outside DEBUG. An empty one is refused with the command that makes one."""
    value = text(name)
    if value:
        return value
    if debug:
        return debug_default
    raise ImproperlyConfigured(
        f"{name} is not set. Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    )


def boolean(name: str, default: bool) -> bool:
    """True or False; anything else is refused rather than guessed."""
    value = text(name, str(default))
    match value.strip().lower():
        case "true":
            return True
        case "false" | "":
            return False
    raise ImproperlyConfigured(f"{name} is {value!r}: write True or False")


def integer(name: str, default: int) -> int:
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}: write a whole number") from error


def decimal(name: str, default: float) -> float:
    value = text(name, str(default))
    try:
        return float(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}: write a number such as 0.7") from error


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list, blanks dropped."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def json_object(name: str) -> dict[str, Any]:
    """A JSON object; empty when the variable is not set."""
    try:
        value = json.loads(text(name, "{}") or "{}")
    except json.JSONDecodeError as error:
        raise ImproperlyConfigured(f"{name} is not JSON: {error.msg} at character {error.pos}") from error
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f'{name} must be a JSON object such as {{"KEY": "value"}}')
    return value
