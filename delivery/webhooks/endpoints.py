"""Endpoints come, change and go; what failed is sent again. Whoever calls has asked for the permission."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from delivery.webhooks import catalogue, network, signing
from delivery.webhooks.models import MessageStatus, WebhookEndpoint, WebhookMessage
from personalize.core import outbox
from personalize.core.errors import DomainError, InvalidInput

log = structlog.get_logger(__name__)

MOST_ENDPOINTS = 50


class EndpointDisabled(DomainError):
    """The webhook endpoint is disabled."""

    code = "endpoint_disabled"


class NothingToReplay(DomainError):
    """The webhook message has arrived, or still waits."""

    code = "nothing_to_replay"


class TooManyEndpoints(DomainError):
    """There are as many webhook endpoints as there may be."""

    code = "too_many_endpoints"


@transaction.atomic
def create(
    *, name: str, url: str, types: Iterable[str], in_order: bool = False, by: AbstractBaseUser | None
) -> WebhookEndpoint:
    """Make an endpoint; it is told what happens from now on. `signing.secret` is what its owner must be given."""
    if WebhookEndpoint.objects.count() >= MOST_ENDPOINTS:
        raise TooManyEndpoints(f"There are {MOST_ENDPOINTS} endpoints already. Delete one that is not used.")
    endpoint = WebhookEndpoint.objects.create(
        name=_name(name),
        url=_url(url),
        types=_types(types),
        in_order=in_order,
        created_by_id=by.pk if by else None,
    )
    _listen()
    log.info("webhook_endpoint_created", endpoint=endpoint.pk, by=by.pk if by else None)
    return endpoint


@transaction.atomic
def change(*, endpoint_id: int, **sent: Any) -> WebhookEndpoint:
    """Change name, url, types, in_order or is_enabled. Disabled, it is told nothing; what waits keeps waiting."""
    endpoint = WebhookEndpoint.objects.select_for_update().get(pk=endpoint_id)
    checks: dict[str, Callable[[Any], Any]] = {
        "name": _name,
        "url": _url,
        "types": _types,
        "in_order": bool,
        "is_enabled": bool,
    }
    for field, value in sent.items():
        setattr(endpoint, field, checks[field](value))
    if sent.get("is_enabled"):
        endpoint.disabled_because = ""
    if sent.keys() & {"is_enabled", "url"}:  # a new beginning: what waits goes at once
        endpoint.failing_since, endpoint.quiet_until, endpoint.failed_rounds = None, None, 0
    endpoint.save()
    _listen()
    return endpoint


@transaction.atomic
def delete(*, endpoint_id: int, by: AbstractBaseUser | None) -> None:
    """It is gone, with its messages."""
    WebhookEndpoint.objects.filter(pk=endpoint_id).delete()
    _listen()
    log.info("webhook_endpoint_deleted", endpoint=endpoint_id, by=by.pk if by else None)


@transaction.atomic
def disable(*, endpoint_id: int, because: str) -> bool:
    """Tell it nothing more until a person enables it again; False if it was disabled before."""
    changed = WebhookEndpoint.objects.filter(pk=endpoint_id, is_enabled=True).update(
        is_enabled=False, disabled_because=because[:200], updated_at=timezone.now()
    )
    if changed:
        _listen()
        log.warning("webhook_endpoint_disabled", endpoint=endpoint_id)
    return bool(changed)


@transaction.atomic
def rotate_secret(*, endpoint_id: int, now: datetime | None = None) -> WebhookEndpoint:
    """A new secret from now on. For a day messages are signed with the old one too, so that none is refused."""
    endpoint = WebhookEndpoint.objects.select_for_update().get(pk=endpoint_id)
    endpoint.secret_number += 1
    endpoint.old_secret_until = (now or timezone.now()) + signing.OLD_SECRET_FOR
    endpoint.save(update_fields=["secret_number", "old_secret_until", "updated_at"])
    log.info("webhook_secret_rotated", endpoint=endpoint_id)
    return endpoint


@transaction.atomic
def send_test(*, endpoint_id: int) -> WebhookMessage:
    """Queue a message of the type webhook.test for this endpoint alone."""
    endpoint = WebhookEndpoint.objects.select_for_update().get(pk=endpoint_id)
    if not endpoint.is_enabled:
        raise EndpointDisabled("The endpoint is disabled. Enable it, then send a test.")
    endpoint.last_sequence += 1
    endpoint.quiet_until = None
    endpoint.save(update_fields=["last_sequence", "quiet_until"])
    now = timezone.now()
    return WebhookMessage.objects.create(
        endpoint=endpoint,
        sequence=endpoint.last_sequence,
        type=catalogue.TEST,
        occurred_at=now,
        next_at=now,
    )


def replay(*, endpoint_id: int, message_ids: Iterable[int] | None = None) -> int:
    """Send again what was given up: those of `message_ids`, or all of the endpoint; how many.

    They keep id and sequence, so that a receiver that had one after all knows it.
    """
    dead = WebhookMessage.objects.filter(endpoint_id=endpoint_id, status=MessageStatus.DEAD)
    if message_ids is not None:
        dead = dead.filter(pk__in=list(message_ids))
    count = dead.update(
        status=MessageStatus.PENDING, next_at=timezone.now(), finished_at=None, attempts=0, error=""
    )
    if count:
        WebhookEndpoint.objects.filter(pk=endpoint_id).update(quiet_until=None)
        log.info("webhook_messages_replayed", endpoint=endpoint_id, count=count)
    elif message_ids is not None:
        raise NothingToReplay("Only a message that was given up can be sent again; this one was not.")
    return count


def _listen() -> None:
    """The outbox writes down what some enabled endpoint wants to hear."""
    wanted = WebhookEndpoint.objects.filter(is_enabled=True).values_list("types", flat=True)
    outbox.listen({name for names in wanted for name in names})


def _name(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= 100 or not text.isprintable():
        raise InvalidInput(
            "Name the system that listens, in one line of at most 100 characters.", field="name"
        )
    return text


def _types(types: Iterable[str]) -> list[str]:
    known = [name for name, _ in catalogue.CHOICES]
    wanted = set(types)
    if unknown := sorted(wanted - set(known)):
        raise InvalidInput(
            f"There is no event {', '.join(unknown)}. Choose from: {', '.join(known)}.", field="types"
        )
    if not wanted:
        raise InvalidInput("Choose at least one event.", field="types")
    return [name for name in known if name in wanted]


def _url(url: str) -> str:
    """The address as it will be used. Names are resolved when a message is sent; bare addresses are judged now."""
    url = url.strip()
    target = network.parse(url)
    try:
        socket.getaddrinfo(target.host, target.port, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        is_local = target.host.rstrip(".").endswith((".localhost", ".local", ".internal"))
        if (is_local or target.host.rstrip(".") == "localhost") and not network.allowed_networks():
            raise InvalidInput("The address names a host that is not public.", field="url") from None
        return url
    try:
        network.check(target)
    except network.NotSent as error:
        raise InvalidInput(str(error), field="url") from error
    return url
