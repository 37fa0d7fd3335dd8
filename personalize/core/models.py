"""API keys and the memory of answers already given to a client's retries."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Scope(models.TextChoices):
    """What an API key may do. A key holds any set of them."""

    PROFILES_WRITE = "profiles:write", "Send in people, consent, events and products"
    PROFILES_READ = "profiles:read", "Read people"
    CAMPAIGNS_WRITE = "campaigns:write", "Create, launch and pause campaigns"
    CAMPAIGNS_READ = "campaigns:read", "Read campaigns and runs"
    PIECES_READ = "pieces:read", "Read pieces"
    PIECES_REVIEW = "pieces:review", "Approve and reject pieces"
    COMPOSE = "compose", "Write one piece now"
    OUTCOMES_WRITE = "outcomes:write", "Report what came back"
    AUDIT_READ = "audit:read", "Read the audit trail"
    TRACK = "track", "Send tracking calls: the key is a write key"
    WEBHOOKS_READ = "webhooks:read", "Read webhook endpoints and what was sent to them"
    WEBHOOKS_WRITE = "webhooks:write", "Manage webhook endpoints, send again"


class ApiKey(models.Model):
    """A client's key. Only its keyed hash is stored; the key itself is shown once, when it is made."""

    name = models.CharField(max_length=100, help_text="Which system uses it, such as 'CRM production'")
    lookup = models.CharField(
        max_length=12, unique=True, editable=False
    )  # plain first characters, finds the row
    digest = models.CharField(max_length=64, editable=False)  # HMAC-SHA256 of the whole key
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices))
    # Decisions made through the key are this person's: their permissions hold, their name is in the audit trail.
    acts_as = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty: the system's own limit; 0: none"
    )

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.lookup}…)"


class IdempotencyRecord(models.Model):
    """The answer given to one Idempotency-Key of one API key, replayed to the client's retries.

    Shape: draft-ietf-httpapi-idempotency-key-header. The row is made before the work (unique constraint),
    so that two retries at once cannot both do it; `status_code` is null while the first is at work.
    """

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    headers = models.JSONField(default=dict)  # those of the answer that a client needs again: Location, ETag
    claimed_at = models.DateTimeField(
        default=timezone.now
    )  # when the request now at work began; a stale one is taken over
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "key"], name="idempotency_once_per_key"),
            models.CheckConstraint(
                condition=Q(status_code__isnull=True, body__isnull=True) | Q(status_code__isnull=False),
                name="idempotency_answer_complete",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.api_key_id}:{self.pk}"


class RateBucket(models.Model):
    """How much of a policy an API key has used: it is full again at `full_at`. The table is unlogged."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE)
    policy = models.CharField(max_length=32)
    full_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["api_key", "policy"], name="rate_bucket_once")]

    def __str__(self) -> str:
        return f"{self.api_key_id}:{self.policy}"


class OutboxTopic(models.Model):
    """A type of event that somebody listens to. Events of other types are not written down."""

    type = models.CharField(max_length=60, primary_key=True)

    def __str__(self) -> str:
        return self.type


class OutboxEvent(models.Model):
    """Something that happened, written in the transaction in which it happened, and taken away by whoever tells it.

    `refs` holds ids of ours alone, never what a person is called or can be reached by.
    """

    type = models.CharField(max_length=60)
    at = models.DateTimeField()
    refs = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
