"""System checks of the settings: each names the variable that is wrong and what to write instead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

_MAKE_ONE = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,2})?")
_BROKERS = ("redis", "rediss", "sentinel", "amqp", "amqps")
_MAIL_THAT_STAYS = ("console", "filebased", "locmem", "dummy", "MaildirBackend")

Messages = Iterator[CheckMessage]


def secrets_check() -> Messages:
    if settings.DEBUG:
        return
    if len(settings.SECRET_KEY) < 32 or settings.SECRET_KEY.startswith(("django-insecure", "insecure-")):
        yield Error("SECRET_KEY is too short or a well-known one.", hint=_MAKE_ONE, id="personalize.E001")
    elif len(settings.SECRET_KEY) < 50 or len(set(settings.SECRET_KEY)) < 5:
        yield Warning("SECRET_KEY is weak: use 50 random characters.", hint=_MAKE_ONE, id="personalize.W001")
    if not settings.HASH_KEY or settings.HASH_KEY == settings.SECRET_KEY:
        yield Error(
            "HASH_KEY is missing or the same as SECRET_KEY.",
            hint=f"It must outlive a change of SECRET_KEY: suppressions depend on it. {_MAKE_ONE}",
            id="personalize.E002",
        )
    elif len(settings.HASH_KEY) < 32:
        yield Warning("HASH_KEY is short: use 50 random characters.", hint=_MAKE_ONE, id="personalize.W002")


def address_check() -> Messages:
    parts = urlsplit(settings.PUBLIC_URL)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        yield Error(
            "PUBLIC_URL is not an address of a web site.",
            hint="Write how readers reach this server: PUBLIC_URL=https://mail.example.com",
            id="personalize.E003",
        )
    elif settings.HTTPS_ONLY and parts.scheme != "https":
        yield Error(
            "PUBLIC_URL is not https although HTTPS_ONLY is True.",
            hint="One-click unsubscribe links need https: PUBLIC_URL=https://…",
            id="personalize.E004",
        )
    if not settings.DEBUG and "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS contains *: any name is answered.",
            hint="List the names this server is reached by: ALLOWED_HOSTS=mail.example.com",
            id="personalize.W003",
        )


def time_zone_check() -> Messages:
    try:
        ZoneInfo(settings.TIME_ZONE)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Error(
            f"TIME_ZONE is {settings.TIME_ZONE!r}, which is not a time zone.",
            hint="Write one such as Europe/London or UTC.",
            id="personalize.E005",
        )


def writer_check() -> Messages:
    here = [("EMBEDDING_MODEL", "E013")]
    if not settings.WRITER_URL:  # a server has names of its own for its models
        here.append(("WRITER_MODEL", "E006"))
    for variable, number in here:
        yield from _model_check(variable, getattr(settings, variable), number)
    if settings.WRITER_ADAPTER and _is_path(settings.WRITER_ADAPTER):
        yield from _model_check("WRITER_ADAPTER", settings.WRITER_ADAPTER, "E007")
    if settings.WRITER_DTYPE not in _DTYPES:
        yield Error(
            f"WRITER_DTYPE is {settings.WRITER_DTYPE!r}.",
            hint=f"Write one of: {', '.join(_DTYPES)}.",
            id="personalize.E008",
        )
    if not _DEVICE.fullmatch(settings.WRITER_DEVICE):
        yield Error(
            f"WRITER_DEVICE is {settings.WRITER_DEVICE!r}.",
            hint="Write one of: auto, cpu, cuda, cuda:0, mps.",
            id="personalize.E009",
        )


def number_check() -> Messages:
    """Each number of the writer and of delivery, with the range in which it makes sense."""
    for name, low, high, why in (
        ("WRITER_CHUNK", 1, 1024, "pieces written as one batch"),
        ("WRITER_TRIES", 1, 20, "tries for a piece without findings"),
        ("WRITER_THREADS", 0, 1024, "threads; 0 takes as many as the machine has"),
        ("REVIEW_WORDS_PER_SECOND", 0, 100, "words a reviewer can read in a second; 0 warns of nothing"),
        ("WRITER_TEMPERATURE", 0, 2, "how freely the writer chooses"),
        ("WRITER_CANDIDATES", 1, 64, "wordings drawn for each sentence"),
        ("EMBEDDING_BATCH", 1, 100_000, "texts embedded as one batch"),
        (
            "WRITER_LEASE_SECONDS",
            60,
            86_400,
            "longer than one chunk takes, or two workers write the same pieces",
        ),
        (
            "DELIVERY_LEASE_SECONDS",
            30,
            86_400,
            "longer than EMAIL_TIMEOUT, or a slow send counts as uncertain",
        ),
        ("API_REQUESTS_PER_MINUTE", 0, 10_000_000, "requests a key may make in a minute; 0 is no limit"),
        ("API_COMPOSES_PER_MINUTE", 0, 10_000_000, "composes a key may ask for in a minute; 0 is no limit"),
        ("API_COMPOSE_WAIT", 0, 20, "seconds compose waits for a writer at work; 0 never waits unasked"),
        ("WEBHOOK_TIMEOUT", 1, 30, "seconds that one attempt at a webhook may take in all"),
    ):
        value = getattr(settings, name)
        if not low <= value <= high:
            yield Error(
                f"{name} is {value}.",
                hint=f"Write a number from {low} to {high}: {why}.",
                id="personalize.E010",
            )
    if (settings.EMAIL_TIMEOUT or 0) >= settings.DELIVERY_LEASE_SECONDS:
        yield Error(
            "DELIVERY_LEASE_SECONDS is not longer than EMAIL_TIMEOUT.",
            hint="A send still waiting for the mail server would be counted as uncertain: raise it.",
            id="personalize.E014",
        )


def webhook_check() -> Messages:
    for text in settings.WEBHOOK_ALLOWED_NETWORKS:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield Error(
                f"WEBHOOK_ALLOWED_NETWORKS holds {text!r}, which is no network.",
                hint="Write networks, separated by commas: WEBHOOK_ALLOWED_NETWORKS=10.1.0.0/16,fd00:12::/32",
                id="personalize.E015",
            )


def services_check() -> Messages:
    scheme = urlsplit(settings.BROKER_URL).scheme
    if scheme not in _BROKERS:
        yield Error(
            f"BROKER_URL has the scheme {scheme or 'none'!r}, which is not supported.",
            hint=f"Use one of: {', '.join(_BROKERS)}. Valkey is reached with redis://host:6379/0.",
            id="personalize.E011",
        )
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        yield Error(
            "DATABASE_URL does not name a PostgreSQL database.",
            hint="Write DATABASE_URL=postgresql://user:password@host:5432/name; pgvector must be installed there.",
            id="personalize.E012",
        )
    backend = settings.EMAIL_BACKEND
    if settings.HTTPS_ONLY and set(backend.split(".")) & set(_MAIL_THAT_STAYS):
        yield Warning(
            f"EMAIL_BACKEND is {backend}: mails do not leave this machine.",
            hint="Set EMAIL_BACKEND=django.core.mail.backends.smtp.EmailBackend or one of django-anymail's.",
            id="personalize.W004",
        )


def messages_check() -> Messages:
    if not settings.MESSAGES_URL:
        return
    parts = urlsplit(settings.MESSAGES_URL)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        yield Error(
            "MESSAGES_URL is not the address of a service.",
            hint="Write MESSAGES_URL=https://messages.example.com/personalize, or nothing: then they leave as files.",
            id="personalize.E020",
        )
    if len(settings.MESSAGES_SECRET) < 32:
        yield Error(
            "MESSAGES_SECRET is missing or shorter than 32 characters.", hint=_MAKE_ONE, id="personalize.E021"
        )
    if settings.MESSAGES_TIMEOUT >= settings.DELIVERY_LEASE_SECONDS:
        yield Error(
            "DELIVERY_LEASE_SECONDS is not longer than MESSAGES_TIMEOUT.",
            hint="A message still waiting for its answer would be counted as uncertain: raise it.",
            id="personalize.E022",
        )


ALL: tuple[Callable[[], Messages], ...] = (
    secrets_check,
    address_check,
    time_zone_check,
    writer_check,
    number_check,
    webhook_check,
    services_check,
    messages_check,
)


@register(Tags.compatibility)
def check_settings(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    return [message for check in ALL for message in check()]


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~"))


def _model_check(variable: str, name: str, number: str) -> Messages:
    if name == "builtin":
        return
    if _is_path(name):
        if not Path(name).expanduser().is_dir():
            yield Error(
                f"{variable} names a folder that does not exist.",
                hint=f"Write {variable}=builtin, the folder of a model, or a Hugging Face id such as owner/model.",
                id=f"personalize.{number}",
            )
    elif not _HUB_ID.fullmatch(name) and not Path(name).is_dir():
        yield Error(
            f"{variable} is neither builtin, a folder nor a Hugging Face id.",
            hint=f"Write {variable}=builtin, the folder of a model, or owner/model.",
            id=f"personalize.{number}",
        )
