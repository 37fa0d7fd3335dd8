"""What left, what is uncertain, and how a piece looks to its reader."""

from delivery.admin import deliveries, previews, reports, webhooks

__all__ = ["deliveries", "previews", "reports", "webhooks"]
