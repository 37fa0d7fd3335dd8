"""Keys by which other systems call the API. Only a keyed hash is stored; the key is shown once."""

from __future__ import annotations

import hmac
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from personalize.core.errors import DomainError, InvalidInput
from personalize.core.keyed_hash import keyed_hash
from personalize.core.models import ApiKey, Scope

log = structlog.get_logger(__name__)

_LETTERS = string.ascii_letters + string.digits
_LOOKUP_LENGTH = 12  # of the plain text, with its "pk_"
_SECRET_LENGTH = 43  # behind them: 62**43 > 2**256
_LONGEST = 200
_USED_AT_MOST_EVERY = timedelta(minutes=1)

# What the person behind a key needs for the operations of a scope; a key can never do more than its person.
PERMISSIONS: dict[Scope, tuple[str, ...]] = {
    Scope.PROFILES_READ: (
        "campaigns.view_profile",
        "campaigns.view_product",
        "campaigns.export_profile",
        "campaigns.view_erasure",
    ),
    Scope.PROFILES_WRITE: (
        "campaigns.change_profile",
        "campaigns.delete_profile",
        "campaigns.change_product",
        "campaigns.add_suppression",
    ),
    Scope.CAMPAIGNS_READ: (
        "campaigns.view_campaign",
        "campaigns.view_run",
        "campaigns.view_brand",
        "campaigns.view_segment",
    ),
    Scope.CAMPAIGNS_WRITE: (
        "campaigns.add_campaign",
        "campaigns.change_campaign",
        "campaigns.launch_campaign",
        "campaigns.send_campaign",
    ),
    Scope.PIECES_READ: ("generation.view_piece", "delivery.view_delivery"),
    Scope.PIECES_REVIEW: ("generation.review_piece", "generation.edit_piece"),
    Scope.COMPOSE: ("campaigns.launch_campaign",),
    Scope.OUTCOMES_WRITE: ("delivery.add_outcome",),
    Scope.WEBHOOKS_READ: ("delivery.view_webhookendpoint",),
    Scope.WEBHOOKS_WRITE: (
        "delivery.add_webhookendpoint",
        "delivery.change_webhookendpoint",
        "delivery.delete_webhookendpoint",
        "delivery.replay_webhookendpoint",
    ),
    Scope.AUDIT_READ: ("generation.export_pieceevent",),
    Scope.TRACK: ("campaigns.change_profile", "campaigns.add_event"),
}


class KeyRefused(DomainError):
    """The API key is unknown, revoked or expired, or its person is no longer active."""

    status = 401
    code = "key_refused"


def create(
    *,
    name: str,
    scopes: Iterable[str],
    acts_as: User,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its plain text, which exists nowhere else and cannot be shown again."""
    wanted = list(dict.fromkeys(scopes))
    if unknown := [scope for scope in wanted if scope not in Scope.values]:
        raise InvalidInput(
            f"Unknown scope {', '.join(unknown)}. Choose from: {', '.join(Scope.values)}.", field="scopes"
        )
    if not wanted:
        raise InvalidInput(
            f"A key without scopes can do nothing. Choose from: {', '.join(Scope.values)}.", field="scopes"
        )
    if not name.strip():
        raise InvalidInput("Name the system that will use the key, such as 'CRM production'.", field="name")
    plain = "pk_" + _random(_LOOKUP_LENGTH - 3 + _SECRET_LENGTH)
    key = ApiKey.objects.create(
        name=name.strip(),
        lookup=plain[:_LOOKUP_LENGTH],
        digest=_digest(plain),
        scopes=wanted,
        acts_as=acts_as,
        expires_at=expires_at,
        requests_per_minute=requests_per_minute,
    )
    log.info("api_key_created", api_key=key.pk, scopes=wanted, acts_as=acts_as.pk)
    return key, plain


def verify(*, plain: str, now: datetime | None = None) -> ApiKey:
    """The usable key this text is, with its person loaded, or KeyRefused. The comparison takes constant time."""
    now = now or timezone.now()
    sane = len(plain) <= _LONGEST and plain.isascii() and plain.isprintable()
    lookup = plain[:_LOOKUP_LENGTH]
    key = ApiKey.objects.select_related("acts_as").filter(lookup=lookup).first() if sane else None
    # An unknown key costs the same hash and comparison as a known one.
    if not hmac.compare_digest(_digest(plain), key.digest if key else "0" * 64) or key is None:
        raise KeyRefused("The API key is not known. Send it as 'Authorization: Bearer pk_…'.")
    # Whoever holds the whole secret may be told why it no longer works.
    if key.revoked_at is not None:
        raise KeyRefused("The API key was revoked. Ask for a new one.")
    if key.expires_at is not None and key.expires_at <= now:
        raise KeyRefused("The API key has expired. Ask for a new one.")
    if not key.acts_as.is_active:
        raise KeyRefused("The person this API key acts as is no longer active.")
    _note_use(key, now)
    return key


def revoke(*, key: ApiKey, now: datetime | None = None) -> bool:
    """End the key for good; False if it was revoked before."""
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now or timezone.now())
    if changed:
        log.info("api_key_revoked", api_key=key.pk)
    return bool(changed)


def missing_permissions(*, key: ApiKey) -> dict[str, list[str]]:
    """Scope -> permissions its person lacks, for scopes that are therefore not fully usable."""
    missing = {}
    for scope in key.scopes:
        lacking = [name for name in PERMISSIONS[Scope(scope)] if not key.acts_as.has_perm(name)]
        if lacking:
            missing[scope] = lacking
    return missing


def _note_use(key: ApiKey, now: datetime) -> None:
    """At most one write a minute and key, whoever is first."""
    before = now - _USED_AT_MOST_EVERY
    if key.last_used_at is None or key.last_used_at < before:
        unused = Q(last_used_at=None) | Q(last_used_at__lt=before)
        ApiKey.objects.filter(unused, pk=key.pk).update(last_used_at=now)


def _digest(plain: str) -> str:
    return keyed_hash(purpose="api-key", text=plain)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
