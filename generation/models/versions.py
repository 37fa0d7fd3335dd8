"""Which writer wrote it, which one is in use, and who decided that."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class VersionState(models.TextChoices):
    CANDIDATE = "candidate", "Candidate"
    ACTIVE = "active", "Active"
    RETIRED = "retired", "Retired"


class VersionAction(models.TextChoices):
    INSTALLED = "installed", "Installed"  # nothing was active, or the same place now holds other weights
    PROMOTED = "promoted", "Promoted"
    ROLLED_BACK = "rolled_back", "Rolled back"


class ModelVersion(models.Model):
    """One writer: base weights, adapter and prompt format, by hash. One of each kind is active, by constraint.

    `kind` is the base as the setting WRITER_MODEL names it: workers of that setting load the active version of it.
    `adapter` is where the adapter lies (see adapters.py); empty is the shipped one, or the base alone.
    """

    name = models.CharField(max_length=120, unique=True)  # versions.name_of
    kind = models.CharField(max_length=200)
    base = models.CharField(max_length=200)
    adapter = models.CharField(max_length=300, blank=True)
    adapter_hash = models.CharField(max_length=64, blank=True)  # of the adapter's files when they were loaded
    is_tuned = models.BooleanField(default=False)
    prompt_version = models.CharField(max_length=40)
    model_hash = models.CharField(max_length=64)
    settings = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, blank=True)  # what evaluate_writer measured; {} before it did
    evaluated_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=VersionState.choices, default=VersionState.CANDIDATE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions = [("promote_modelversion", "Can choose the version that writes")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(state="active"), name="model_version_one_active"
            ),
            models.CheckConstraint(
                condition=Q(state__in=VersionState.values), name="model_version_state_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name if self.is_tuned else f"{self.name} (untuned)"

    @property
    def is_active(self) -> bool:
        return self.state == VersionState.ACTIVE


class VersionEvent(models.Model):
    """The audit trail of which version writes: one row each time another one became active."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="events")
    replaced = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by"
    )
    action = models.CharField(max_length=12, choices=VersionAction.choices)
    forced = models.BooleanField(default=False)  # against the rule
    reason = models.CharField(max_length=500, blank=True)
    refusals = models.JSONField(default=list, blank=True)  # what the rule had against it when it was forced
    at = models.DateTimeField(auto_now_add=True)
    actor_id = models.BigIntegerField(null=True)  # null: the system
    actor_name = models.CharField(max_length=150, blank=True)

    class Meta:
        indexes = [models.Index(fields=["version", "-id"], name="version_event_latest")]

    def __str__(self) -> str:
        return f"{self.version_id}: {self.action}"
