"""Pieces known to be bad, planted among the real ones to see whether reviewers read."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from campaigns.models import Campaign, Run

MOST_PERCENT = 20


class Fault(models.TextChoices):
    NEGATED = "negated", "A sentence says the opposite of what is so"
    PROMISE = "promise", "A sentence promises what no fact of the campaign says"
    CREEPY = "creepy", "A sentence tells the reader they are being watched"
    SENSELESS = "senseless", "A sentence has its words out of order"
    READER = "reader", "The text was written for another reader"


class Outcome(models.TextChoices):
    OPEN = "open", "Not decided yet"
    CAUGHT = "caught", "Caught"
    MISSED = "missed", "Let through"
    VOID = "void", "Not counted"  # its run was closed, it was withdrawn, or its reader was erased


class How(models.TextChoices):
    READ = "read", "Decided by itself"
    TOGETHER = "together", "Decided together with others"


class PlantingRate(models.Model):
    """How many planted pieces a campaign gets, of a hundred real ones. No row: none."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="planting")
    percent = models.PositiveSmallIntegerField(validators=[MaxValueValidator(MOST_PERCENT)])
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(percent__gte=0, percent__lte=MOST_PERCENT), name="planting_rate_small"
            )
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.percent} %"


class Plant(models.Model):
    """What is wrong with one planted piece, and who decided what on it. No copy: the fault is a place in the text.

    `piece_id` is no foreign key: how reviewers did outlives the piece.
    """

    piece_id = models.BigIntegerField(unique=True)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="plants")
    fault = models.CharField(max_length=10, choices=Fault.choices)
    field = models.CharField(max_length=20)
    index = models.PositiveSmallIntegerField(default=0)
    start = models.PositiveIntegerField(default=0)
    end = models.PositiveIntegerField(default=0)
    planted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    planted_at = models.DateTimeField(auto_now_add=True)
    outcome = models.CharField(max_length=6, choices=Outcome.choices, default=Outcome.OPEN)
    how = models.CharField(max_length=8, choices=How.choices, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "planted piece"
        permissions = [("plant_piece", "Can plant known-bad pieces among those to be reviewed")]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_at__isnull=True, decided_by__isnull=True)
                | Q(decided_at__isnull=False, decided_by__isnull=False),
                name="plant_decision_paired",
            ),
        ]
        indexes = [models.Index(fields=["run", "outcome"], name="plant_run_outcome")]

    def __str__(self) -> str:
        return f"planted piece {self.piece_id}"
