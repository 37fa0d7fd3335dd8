"""Everything about a person as one archive, forgetting a person, and how long things are kept."""

from campaigns.privacy.archive import ArchiveGone, ask, everything, stream
from campaigns.privacy.erasing import certificate_of, erase, erase_many, verify

__all__ = [
    "ArchiveGone",
    "ask",
    "certificate_of",
    "erase",
    "erase_many",
    "everything",
    "stream",
    "verify",
]
