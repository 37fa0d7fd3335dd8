"""Which writer wrote it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class ModelVersion(models.Model):
    """One writer: base weights, adapter and prompt format, by hash. Exactly one is active, by constraint."""

    name = models.CharField(max_length=120, unique=True)  # WriterInfo.name
    base = models.CharField(max_length=200)
    adapter = models.CharField(max_length=300, blank=True)
    is_tuned = models.BooleanField(default=False)
    prompt_version = models.CharField(max_length=40)
    model_hash = models.CharField(max_length=64)
    settings = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_active"], condition=Q(is_active=True), name="model_version_one_active"
            )
        ]

    def __str__(self) -> str:
        return self.name if self.is_tuned else f"{self.name} (untuned)"
