"""What left, what is uncertain, and how a piece looks to its reader."""

from delivery.admin import deliveries, previews

__all__ = ["deliveries", "previews"]
