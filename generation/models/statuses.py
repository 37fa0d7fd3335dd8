"""The states of a piece. What may follow what is in `transitions`."""

from __future__ import annotations

from django.db import models


class Status(models.TextChoices):
    DRAFT = "draft", "To be written"
    GENERATING = "generating", "Being written"
    IN_REVIEW = "in_review", "In review"
    APPROVED = "approved", "Approved"
    DELIVERING = "delivering", "Being delivered"
    DELIVERED = "delivered", "Delivered"
    REJECTED = "rejected", "Rejected"
    FAILED = "failed", "Failed"
    UNKNOWN = "unknown", "Delivery uncertain"
    WITHDRAWN = "withdrawn", "Withdrawn"
