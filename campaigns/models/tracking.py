"""Calls of the tracking API: each message once for good, and which ids mean one person."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class TrackedKind(models.TextChoices):
    IDENTIFY = "identify", "Identify"
    TRACK = "track", "Track"
    PAGE = "page", "Page"
    SCREEN = "screen", "Screen"
    GROUP = "group", "Group"
    ALIAS = "alias", "Alias"


class TrackedStatus(models.TextChoices):
    STORED = "stored", "Stored"
    WAITING = "waiting", "Waiting for a person"
    REFUSED = "refused", "Refused"
    FORGOTTEN = "forgotten", "Forgotten with its person"


class IdentityKind(models.TextChoices):
    USER = "user", "User id"
    ANONYMOUS = "anonymous", "Anonymous id"


class Identity(models.Model):
    """An id that clients send. Its row is locked while anything about it is decided: two calls cannot cross.

    `profile`: for an anonymous id, whose it is; for a user id, whose it became by alias (null: its own).
    An anonymous id used by several people `is_shared`: what it does from then on belongs to nobody.
    """

    kind = models.CharField(max_length=10, choices=IdentityKind.choices)
    value = models.CharField(max_length=128)
    profile = models.ForeignKey(
        "campaigns.Profile", on_delete=models.CASCADE, null=True, blank=True, related_name="identities"
    )
    is_shared = models.BooleanField(default=False)
    told_at = models.DateTimeField(
        null=True, blank=True
    )  # of the newest identify: an older one only fills gaps

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class TrackedMessage(models.Model):
    """One message. The unique `message_hash` is the de-duplication: it stays when the person is erased.

    `payload` holds what waits for an anonymous visitor to become known, in its cleaned form, and is emptied then.
    `message_id` and `person_hash` (as `Profile.id_hash`) are kept of refused messages only, to find them again.
    """

    message_hash = models.CharField(
        max_length=64, unique=True
    )  # keyed_hash(purpose="tracking", text=messageId)
    message_id = models.CharField(max_length=128, blank=True)
    person_hash = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=10, choices=TrackedKind.choices, blank=True)
    status = models.CharField(max_length=10, choices=TrackedStatus.choices)
    key = models.ForeignKey(
        "core.ApiKey",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="tracked",
    )
    profile = models.ForeignKey(
        "campaigns.Profile", on_delete=models.SET_NULL, null=True, blank=True, related_name="tracked"
    )
    identity = models.ForeignKey(
        Identity, on_delete=models.SET_NULL, null=True, blank=True, related_name="waiting"
    )
    occurred_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField()
    payload = models.JSONField(default=dict, blank=True)
    problems = models.JSONField(default=list, blank=True)  # [{"field", "message"}]; quotes no value

    class Meta:
        verbose_name = "tracked call"
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="waiting") | Q(identity__isnull=False),
                name="tracked_waits_for_an_identity",
            )
        ]
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="tracked_newest"),
            models.Index(
                fields=["status", "-received_at"], name="tracked_not_stored", condition=~Q(status="stored")
            ),
            models.Index(fields=["person_hash"], name="tracked_person_hash", condition=~Q(person_hash="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
