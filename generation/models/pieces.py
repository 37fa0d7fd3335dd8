"""One channel's copy for one reader or audience, what the checks say of it, and what happened to it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from campaigns.models import Channel, Profile, Run
from generation.models.experiments import Arm, Variant
from generation.models.statuses import Status
from generation.models.versions import ModelVersion


class Severity(models.TextChoices):
    BLOCKING = "blocking", "Blocks approval"
    WARNING = "warning", "Look closely"
    NOTE = "note", "Note"


class RejectReason(models.TextChoices):
    UNTRUE = "untrue", "Says something that is not so"
    SENSELESS = "senseless", "Makes no sense"
    VOICE = "voice", "Not our voice"
    READER = "reader", "Does not fit this reader"
    DULL = "dull", "Dull"
    CREEPY = "creepy", "Too familiar"
    OTHER = "other", "Another reason"


class PieceQuerySet(models.QuerySet["Piece"]):
    def awaiting_review(self) -> PieceQuerySet:
        """In review, the riskiest first."""
        return self.filter(status=Status.IN_REVIEW).order_by("-blocking", "-warnings", "score", "id")

    def clean(self) -> PieceQuerySet:
        """Without a blocking finding or a warning."""
        return self.filter(blocking=0, warnings=0)


class RealPieces(models.Manager["Piece"]):
    """Every piece but the planted ones: what is counted, listed, sent and exported."""

    def get_queryset(self) -> PieceQuerySet:
        return PieceQuerySet(self.model, using=self._db).filter(planted=False)


class Piece(models.Model):
    """`fields` are in template form: values stand as `{{name}}`. Status is written by `transitions` alone.

    `revision` grows with every change of the text. `text_hash` is the sha256 of the canonical JSON of `fields`;
    `approved_hash` is the one a person decided on, and delivery refuses any other.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="pieces")
    profile = models.ForeignKey(
        Profile, on_delete=models.CASCADE, null=True, blank=True, related_name="pieces"
    )
    channel = models.CharField(max_length=20, choices=Channel.choices)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.DRAFT, editable=False)
    revision = models.PositiveIntegerField(default=0, editable=False)

    fields = models.JSONField(default=dict, blank=True)
    text_hash = models.CharField(max_length=64, blank=True, editable=False)
    # What the writer wrote, of a text that a person changed since (edited_by is set): edits are shown against it.
    written_fields = models.JSONField(default=dict, blank=True, db_default={}, editable=False)
    ledger = models.JSONField(
        default=list, blank=True
    )  # claim ledger: [{"label", "sources", "text", "logprob"}]
    candidates = models.JSONField(
        default=list, blank=True
    )  # what else was written: [{"fields", "score", "findings"}]
    reader = models.JSONField(
        default=dict, blank=True
    )  # what the writer was told: {"lifecycle", "traits", "products"}
    steer = models.CharField(max_length=200, blank=True)  # a reviewer's hint for writing again

    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, blank=True)
    prompt_version = models.CharField(max_length=40, blank=True)
    seed = models.BigIntegerField(default=0)
    # How the present text came about, enough to write it again to the letter; see rewriting.py. No copy in it.
    written_with = models.JSONField(default=dict, blank=True, editable=False)
    score = models.FloatField(null=True, blank=True)  # the writer's own, higher is better
    blocking = models.PositiveSmallIntegerField(default=0)  # findings of the current revision, by severity
    warnings = models.PositiveSmallIntegerField(default=0)

    attempts = models.PositiveSmallIntegerField(default=0)  # claims since a person last asked for a text
    claim = models.UUIDField(null=True, blank=True, editable=False)  # the claim of the worker at it
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    retry_after = models.DateTimeField(null=True, blank=True)
    error = models.CharField(
        max_length=300, blank=True
    )  # why it failed, for a person; no copy, no personal data

    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="edited_pieces",
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reviewed_pieces",
    )
    approved_hash = models.CharField(max_length=64, blank=True, editable=False)
    reject_reason = models.CharField(max_length=12, choices=RejectReason.choices, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # The experiment's: what its reader may be compared with. A hold-out has no piece; see HeldOut.
    arm = models.CharField(
        max_length=10, choices=Arm.choices, default=Arm.PERSONAL, db_default=Arm.PERSONAL, editable=False
    )
    variant = models.ForeignKey(
        Variant, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="pieces"
    )

    # A known-bad piece among the real ones, to see whether reviewers read; see planting.py. Never sent.
    planted = models.BooleanField(default=False, db_default=False, editable=False)

    objects = RealPieces.from_queryset(PieceQuerySet)()
    everything = PieceQuerySet.as_manager()  # with the planted ones: for the reviewers' own pages alone

    class Meta:
        permissions = [
            ("review_piece", "Can approve and reject pieces"),
            ("edit_piece", "Can edit the text of pieces in review"),
        ]
        constraints = [
            # One row per (run, profile, channel), and one ad per (run, channel): null counts as a value.
            models.UniqueConstraint(
                fields=["run", "profile", "channel"],
                condition=Q(planted=False),
                nulls_distinct=False,
                name="piece_once_per_run_profile_channel",
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="piece_status_known"),
            # Whatever else goes wrong, what is known to be bad can never become approved.
            models.CheckConstraint(
                condition=Q(planted=False) | Q(status__in=("in_review", "withdrawn")),
                name="piece_planted_never_approved",
            ),
            models.CheckConstraint(
                condition=Q(reviewed_at__isnull=True, reviewed_by__isnull=True)
                | Q(reviewed_at__isnull=False, reviewed_by__isnull=False),
                name="piece_review_paired",
            ),
            models.CheckConstraint(
                condition=Q(claim__isnull=True, lease_until__isnull=True)
                | Q(claim__isnull=False, lease_until__isnull=False),
                name="piece_claim_paired",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=("approved", "delivering", "delivered")) | ~Q(approved_hash=""),
                name="piece_approved_has_hash",
            ),
            models.CheckConstraint(
                condition=~Q(status="delivered") | Q(delivered_at__isnull=False),
                name="piece_delivered_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["run", "status"], include=["planted"], name="piece_run_status"),
            models.Index(
                fields=["-blocking", "-warnings", "score", "id"],
                name="piece_queue",
                condition=Q(status="in_review"),
            ),
            models.Index(fields=["status", "-id"], name="piece_by_status"),
            # In the order drafts are claimed: what failed before comes last, one channel at a time.
            models.Index(
                fields=["run", "attempts", "channel", "id"],
                name="piece_to_write",
                condition=Q(status="draft"),
            ),
            models.Index(fields=["lease_until"], name="piece_leased", condition=Q(lease_until__isnull=False)),
            models.Index(fields=["run", "id"], name="piece_to_deliver", condition=Q(status="approved")),
        ]

    def __str__(self) -> str:
        return f"piece {self.pk}"


class Finding(models.Model):
    """What a check says about one revision of a piece. Offsets are characters in `field`, item `index`."""

    piece = models.ForeignKey(Piece, on_delete=models.CASCADE, related_name="findings")
    revision = models.PositiveIntegerField()
    rule = models.CharField(max_length=40)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    field = models.CharField(max_length=20, blank=True)
    index = models.PositiveSmallIntegerField(default=0)
    start = models.PositiveIntegerField(default=0)
    end = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=300)

    class Meta:
        indexes = [
            models.Index(fields=["piece", "revision"], name="finding_piece_revision"),
            models.Index(fields=["rule", "severity"], name="finding_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} ({self.severity})"
