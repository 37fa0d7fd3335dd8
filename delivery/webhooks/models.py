"""Whom we tell, and what is told. The secrets of endpoints are in no table: see `signing`."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from campaigns.models import Run


class WebhookEndpoint(models.Model):
    """An address that is told. `secret_number` counts its secrets; until `old_secret_until` the one before signs too.

    `claimed_until` is the lease of the one worker that sends to it; `quiet_until` keeps all of them away from an
    address that answers nothing, for longer with each of `failed_rounds`.
    """

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, help_text="Which system listens, such as 'CRM production'")
    url = models.CharField(max_length=500)
    types = ArrayField(models.CharField(max_length=60), help_text="What it is told")
    in_order = models.BooleanField(
        default=False,
        help_text="Send one at a time: the next only when the one before arrived or was given up",
    )
    is_enabled = models.BooleanField(default=True)
    disabled_because = models.CharField(max_length=200, blank=True, editable=False)
    secret_number = models.PositiveIntegerField(default=1, editable=False)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_sequence = models.PositiveBigIntegerField(default=0, editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)
    quiet_until = models.DateTimeField(null=True, blank=True, editable=False)
    failed_rounds = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "delivery"
        permissions = [("replay_webhookendpoint", "Can send webhook messages again")]

    def __str__(self) -> str:
        return self.name


class MessageStatus(models.TextChoices):
    PENDING = "pending", "Waiting"
    DELIVERED = "delivered", "Delivered"
    DEAD = "dead", "Given up"


class WebhookMessage(models.Model):
    """One event for one endpoint. `sequence` counts from 1 for each endpoint, without a gap.

    `refs` holds ids of ours; what the CRM calls a person is looked up when it is sent, so that erasing a person
    leaves nothing here. `log` has the last attempts: when, what was answered, how long it took.
    """

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="messages")
    sequence = models.PositiveBigIntegerField()
    uid = models.UUIDField(default=uuid.uuid4)
    type = models.CharField(max_length=60)
    refs = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=MessageStatus.choices, default=MessageStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)
    log = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "delivery"
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "sequence"], name="webhook_sequence_once"),
            models.CheckConstraint(
                condition=Q(status="pending", next_at__isnull=False)
                | (~Q(status="pending") & Q(next_at=None)),
                name="webhook_pending_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["endpoint", "next_at"], name="webhook_due", condition=Q(status="pending")),
            models.Index(fields=["status", "-created_at"], name="webhook_status"),
            models.Index(fields=["finished_at"], name="webhook_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.type} #{self.sequence}"


class RunMilestone(models.Model):
    """What a run has reached, told once."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="milestones")
    type = models.CharField(max_length=60)
    at = models.DateTimeField()

    class Meta:
        app_label = "delivery"
        constraints = [models.UniqueConstraint(fields=["run", "type"], name="milestone_once")]

    def __str__(self) -> str:
        return f"{self.type} of run {self.run_id}"
