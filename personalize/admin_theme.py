"""The look of the admin: unfold's settings, kept apart from what the system does."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Personalize",
    "SITE_HEADER": "Personalize",
}
