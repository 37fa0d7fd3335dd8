"""Keyed hashes: they find an address again without keeping it, and need the key to be tried out."""

from __future__ import annotations

import hashlib
import hmac

from django.conf import settings


def keyed_hash(*, purpose: str, text: str) -> str:
    """HMAC-SHA256 (RFC 2104) under HASH_KEY, 64 hex digits. `purpose` keeps the uses apart."""
    return hmac.new(settings.HASH_KEY.encode(), f"{purpose}\x00{text}".encode(), hashlib.sha256).hexdigest()
