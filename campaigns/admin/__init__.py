"""The marketer's pages: campaigns, brands, people, segments, catalogue, imports and what may be said."""

from campaigns.admin import (
    brands,
    campaigns,
    catalogue,
    imports,
    people,
    segments,
    sending_rules,
    tracking,
    traits,
)

__all__ = [
    "brands",
    "campaigns",
    "catalogue",
    "imports",
    "people",
    "segments",
    "sending_rules",
    "tracking",
    "traits",
]
