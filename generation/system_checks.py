"""What is wrong with the settings of the writer and the index, found without loading a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from campaigns.models.people import EMBEDDING_DIMENSION


@register(Tags.compatibility)
def embedding_dimension(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A model in a folder says its size in its configuration; one by id is checked when it is first used."""
    size = _dimension_of(settings.EMBEDDING_MODEL)
    if size is None or size == EMBEDDING_DIMENSION:
        return []
    return [
        Error(
            f"EMBEDDING_MODEL makes vectors of {size} numbers; the index holds {EMBEDDING_DIMENSION}.",
            hint=f"Choose a model of {EMBEDDING_DIMENSION}, or change EMBEDDING_DIMENSION with a migration.",
            id="generation.E001",
        )
    ]


@register(Tags.compatibility)
def writer_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name, least, most in (
        ("WRITER_CHUNK", 1, 1_024),
        ("WRITER_TRIES", 1, 10),
        ("WRITER_LEASE_SECONDS", 30, 86_400),
        ("EMBEDDING_BATCH", 1, 4_096),
        ("WRITER_TEMPERATURE", 0, 2),
        ("WRITER_TIMEOUT", 1, 600),
        ("WRITER_PARALLEL", 1, 256),
    ):
        value = getattr(settings, name)
        if not least <= value <= most:
            found.append(
                Error(
                    f"{name} is {value}.",
                    hint=f"Set a number from {least} to {most}.",
                    id="generation.E002",
                )
            )
    adapter = settings.WRITER_ADAPTER
    if adapter and not (Path(adapter) / "manifest.json").is_file():
        found.append(
            Error(
                f"WRITER_ADAPTER names {adapter}, where there is no manifest.json.",
                hint="Name the folder of a trained adapter, or leave it empty to write with the base model.",
                id="generation.E003",
            )
        )
    return found


@register(Tags.compatibility)
def writer_server(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The address is not repeated: a password may be part of it."""
    if not settings.WRITER_URL:
        return []
    found: list[CheckMessage] = []
    parts = _parts(settings.WRITER_URL)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        found.append(
            Error(
                "WRITER_URL is not an http or https address.",
                hint="Write the base of the server's API, such as http://gpu:8000/v1, or leave it empty.",
                id="generation.E004",
            )
        )
    elif parts.username or parts.password or parts.query or parts.fragment:
        found.append(
            Error(
                "WRITER_URL holds more than the address of the server.",
                hint="End it with the path, such as /v1, and put the key into WRITER_API_KEY.",
                id="generation.E004",
            )
        )
    if settings.WRITER_MODEL == "builtin":
        found.append(
            Error(
                "WRITER_URL names a server, but WRITER_MODEL none of its models.",
                hint="Set WRITER_MODEL to the name the server has for its model (its /models lists them).",
                id="generation.E005",
            )
        )
    return found


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # looked at only now
    except ValueError:
        return None
    return parts


def _dimension_of(model: str) -> int | None:
    if model == "builtin":
        return 384  # all-MiniLM-L6-v2
    for name, key in (("1_Pooling/config.json", "word_embedding_dimension"), ("config.json", "hidden_size")):
        try:
            value = json.loads((Path(model) / name).read_text(encoding="utf-8")).get(key)
        except (OSError, ValueError):
            continue
        if isinstance(value, int):
            return value
    return None
