"""The marketer's pages: campaigns, brands, people, segments, catalogue, imports and what may be said."""

from campaigns.admin import (
    brands,
    campaigns,
    catalogue,
    imports,
    people,
    privacy,
    segments,
    sending_rules,
    suppressions,
    tracking,
    traits,
)  # fmt: skip

__all__ = [
    "brands", "campaigns", "catalogue", "imports", "people", "privacy", "segments", "sending_rules",
    "suppressions", "tracking", "traits",
]  # fmt: skip
