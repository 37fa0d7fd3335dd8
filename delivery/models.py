"""Handing over, and what came back."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from campaigns.models import Channel, Run
from delivery.webhooks.models import MessageStatus, RunMilestone, WebhookEndpoint, WebhookMessage
from generation.models import Piece

__all__ = [
    "Delivery",
    "DeliveryStatus",
    "ExportFile",
    "MessageStatus",
    "Outcome",
    "OutcomeKind",
    "RunMilestone",
    "Transport",
    "WebhookEndpoint",
    "WebhookMessage",
]


class DeliveryStatus(models.TextChoices):
    CLAIMED = "claimed", "Being handed over"
    HANDED_OVER = "handed_over", "Handed over"
    RETRY = "retry", "Waiting to try again"
    FAILED = "failed", "Refused for good"
    UNKNOWN = "unknown", "Uncertain"


class Transport(models.TextChoices):
    MAIL = "mail", "Mail"
    FILE = "file", "Export file"
    WEBHOOK = "webhook", "Message service"


class Delivery(models.Model):
    """One row per piece, made by the claim. `message_id` is ours, minted with the row and kept over retries.

    `attempts` counts the claims and fences them: whoever settles must hold the current number. `begun_at` is
    written before a mail may leave, so a claim left behind is certain not to have left while it is null, and
    uncertain otherwise: then it becomes `unknown` and is never sent again by itself.
    """

    piece = models.OneToOneField(Piece, on_delete=models.CASCADE, related_name="delivery")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    transport = models.CharField(max_length=10, choices=Transport.choices)
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices, default=DeliveryStatus.CLAIMED)
    message_id = models.CharField(max_length=200, unique=True)
    rendered_hash = models.CharField(max_length=64, blank=True)  # sha256 of what left
    address_hash = models.CharField(
        max_length=64, blank=True
    )  # keyed, of where it went: a report is about that
    attempts = models.PositiveSmallIntegerField(default=1)
    lease_until = models.DateTimeField(null=True, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    retry_after = models.DateTimeField(null=True, blank=True)
    response = models.CharField(max_length=300, blank=True)  # the server's words, without addresses
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    export_file = models.ForeignKey(
        "ExportFile", on_delete=models.SET_NULL, null=True, blank=True, related_name="deliveries"
    )

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
            # After a hand-over `response` is the provider's own id of the mail: reports may name no other.
            models.Index(
                fields=["response"],
                name="delivery_provider_id",
                condition=Q(status="handed_over") & ~Q(response=""),
            ),
        ]

    def __str__(self) -> str:
        return self.message_id


class HoldReason(models.TextChoices):
    WINDOW = "window", "Outside the campaign's sending hours"
    QUIET = "quiet", "Quiet hours"
    BLACKOUT = "blackout", "A day on which nothing is sent"
    CAP = "cap", "The reader has had enough messages lately"


class Hold(models.Model):
    """That an approved piece waits, until when and why: its time has not come. The claim that takes it deletes it.

    Never a verdict: everything is looked at again at `until`, or as soon as the campaign or the sending rules
    changed after `made_at`, the moment at which they were read.
    """

    piece = models.OneToOneField(Piece, on_delete=models.CASCADE, primary_key=True, related_name="hold")
    until = models.DateTimeField(db_index=True)
    reason = models.CharField(max_length=10, choices=HoldReason.choices)
    made_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.piece_id} {self.reason}"


class TokenBucket(models.Model):
    """How many messages may leave now: one row for all campaigns, one for each campaign with a limit.

    Refilled and emptied by one conditional UPDATE of the database's clock; see `throttle`.
    """

    name = models.CharField(max_length=40, primary_key=True)
    tokens = models.FloatField()
    refilled_at = models.DateTimeField()
    granted = models.PositiveIntegerField(default=0)  # by the last UPDATE, so that it can return it

    def __str__(self) -> str:
        return self.name


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
    # False: a link scanner's click, a bounce that may pass. Kept, shown, and left out of every result.
    counted = models.BooleanField(default=True)
    detail = models.CharField(max_length=60, blank=True)  # why, in our words: "soft bounce", "link scanner"
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["delivery", "kind"], name="outcome_delivery_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class ReportVerdict(models.TextChoices):
    STORED = "stored", "Stored"
    REPEATED = "repeated", "Known already"
    UNKNOWN = "unknown", "About no mail of ours"
    IGNORED = "ignored", "Of no interest"


class ReportTally(models.Model):
    """How many reports of a kind a provider sent on a day, and what became of them. Holds nothing personal."""

    provider = models.CharField(max_length=40)
    day = models.DateField()
    event = models.CharField(max_length=20)  # django-anymail's name of the event
    verdict = models.CharField(max_length=12, choices=ReportVerdict.choices)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        verbose_name = "provider report"
        constraints = [
            models.UniqueConstraint(fields=["provider", "day", "event", "verdict"], name="tally_once_per_day")
        ]
        indexes = [models.Index(fields=["-day"], name="tally_day")]

    def __str__(self) -> str:
        return f"{self.provider} {self.day} {self.event} {self.verdict}"


class ExportFileQuerySet(models.QuerySet["ExportFile"]):
    def ready(self) -> ExportFileQuerySet:
        """Those whose file is in place and whole."""
        return self.filter(finished_at__isnull=False)


class ExportFile(models.Model):
    """A file of ads or messages made for one run and channel.

    The row is made with the claim of its pieces, before the file; `finished_at` says that the file is in place.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="export_files")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    path = models.CharField(max_length=300, unique=True)  # below OUTPUT_DIR
    rows = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ExportFileQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | ~Q(sha256=""), name="export_finished_has_hash"
            )
        ]

    def __str__(self) -> str:
        return self.path
