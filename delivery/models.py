"""Handing over, and what came back."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from campaigns.models import Channel, Run
from generation.models import Piece


class DeliveryStatus(models.TextChoices):
    CLAIMED = "claimed", "Being handed over"
    HANDED_OVER = "handed_over", "Handed over"
    RETRY = "retry", "Waiting to try again"
    FAILED = "failed", "Refused for good"
    UNKNOWN = "unknown", "Uncertain"


class Transport(models.TextChoices):
    MAIL = "mail", "Mail"
    FILE = "file", "Export file"


class Delivery(models.Model):
    """One row per piece, made by the claim. `message_id` is ours, minted with the row and kept over retries.

    A row left in `claimed` past its lease is uncertain: it becomes `unknown` and is never sent again by itself.
    """

    piece = models.OneToOneField(Piece, on_delete=models.CASCADE, related_name="delivery")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    transport = models.CharField(max_length=10, choices=Transport.choices)
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices, default=DeliveryStatus.CLAIMED)
    message_id = models.CharField(max_length=200, unique=True)
    rendered_hash = models.CharField(max_length=64, blank=True)  # sha256 of what left
    attempts = models.PositiveSmallIntegerField(default=1)
    lease_until = models.DateTimeField(null=True, blank=True)
    retry_after = models.DateTimeField(null=True, blank=True)
    response = models.CharField(max_length=300, blank=True)  # the server's words, without addresses
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="claimed") | Q(lease_until__isnull=False),
                name="delivery_claim_has_lease",
            )
        ]
        indexes = [
            models.Index(fields=["lease_until"], name="delivery_leased", condition=Q(status="claimed")),
            models.Index(fields=["status", "-created_at"], name="delivery_status"),
        ]

    def __str__(self) -> str:
        return self.message_id


class OutcomeKind(models.TextChoices):
    DELIVERED = "delivered", "Delivered"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    PURCHASED = "purchased", "Purchased"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Complained"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"


class Outcome(models.Model):
    """What came back for one delivery. The provider's event id makes a repeated report harmless."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="outcomes")
    kind = models.CharField(max_length=14, choices=OutcomeKind.choices)
    event_id = models.CharField(max_length=200, unique=True)
    occurred_at = models.DateTimeField()
    amount = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["delivery", "kind"], name="outcome_delivery_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class ExportFile(models.Model):
    """A file of ads or mails made for one run and channel."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="export_files")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    path = models.CharField(max_length=300)  # below OUTPUT_DIR
    rows = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.path
