"""One execution of a campaign."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from campaigns.models.campaigns import Campaign


class RunStatus(models.TextChoices):
    OPEN = "open", "Open"  # its pieces are being written, reviewed and delivered
    PAUSED = "paused", "Paused"  # nothing more is written or delivered until it is resumed
    CANCELLED = "cancelled", "Cancelled"


class RunTrigger(models.TextChoices):
    MANUAL = "manual", "Launched by a person"
    SCHEDULE = "schedule", "Launched on schedule"
    API = "api", "Launched by the API"
    COMPOSE = "compose", "Single pieces asked for by the API"
    ENTRY = "entry", "People who entered an always-on campaign"


class Run(models.Model):
    """The frozen audience (its pieces), brief and model version; unique per scheduled time.

    `brief` is what the writer gets, `audience_note` what the ads are for. How far it has come is counted from
    its pieces. `released_at` is the decision to send what is approved.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="runs")
    scheduled_for = models.DateTimeField()
    trigger = models.CharField(max_length=10, choices=RunTrigger.choices)
    status = models.CharField(max_length=10, choices=RunStatus.choices, default=RunStatus.OPEN)
    brief = (
        models.JSONField()
    )  # {"brand": {…}, "goal", "facts": [{"id", "text"}], "values": […], "cta", "must_mention"}
    brief_hash = models.CharField(max_length=64)
    brand_version = models.PositiveIntegerField()
    model_version = models.CharField(max_length=120, blank=True)  # name of a generation.ModelVersion
    audience_size = models.PositiveIntegerField(default=0)
    excluded = models.JSONField(default=dict)  # reason -> how many people of the segment were left out
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="released_runs",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "scheduled_for"], name="run_once_per_time"),
            models.CheckConstraint(
                condition=Q(released_at__isnull=True, released_by__isnull=True)
                | Q(released_at__isnull=False, released_by__isnull=False),
                name="run_release_paired",
            ),
        ]
        indexes = [models.Index(fields=["-created_at"], name="run_newest")]

    def __str__(self) -> str:
        return f"{self.campaign_id} @ {self.scheduled_for:%Y-%m-%d %H:%M}"
