"""Decisions on texts: who may take them, on which text, and what they change.

The functions here are what the admin and the API call. Every one is a compare-and-set on the revision the person
saw, with its audit row in the same transaction; what cannot be done is a DomainError with a sentence for people.
"""

from __future__ import annotations

from generation.review.bulk import (
    BulkResult,
    approve_clean,
    clean_revisions,
    decide_many,
    together_obstacle,
)
from generation.review.editing import edit, reopen, retry, withdraw, write_again
from generation.review.rules import (
    Blocked,
    NotInReview,
    OwnEdit,
    RunCancelled,
    approval_obstacle,
    can_approve,
    can_edit,
)
from generation.review.single import approve, reject

__all__ = [
    "Blocked",
    "BulkResult",
    "NotInReview",
    "OwnEdit",
    "RunCancelled",
    "approval_obstacle",
    "approve",
    "approve_clean",
    "can_approve",
    "can_edit",
    "clean_revisions",
    "decide_many",
    "edit",
    "reject",
    "reopen",
    "retry",
    "together_obstacle",
    "withdraw",
    "write_again",
]
