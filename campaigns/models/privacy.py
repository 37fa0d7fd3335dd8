"""What people agreed to and for which purpose, and what was done about their data."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from campaigns.models.channels import Channel
from campaigns.models.people import ConsentStatus, Profile

MARKETING = "marketing"  # the purpose of a consent that names none


class Purpose(models.Model):
    """What people are asked to agree to. `marketing` is always there, with or without a row."""

    slug = models.CharField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[a-z][a-z0-9_-]*$", "Lower-case words joined by _ or -")],
    )
    name = models.CharField(max_length=80)
    asks = models.CharField(max_length=300, blank=True, help_text="The words with which people are asked")

    def __str__(self) -> str:
        return self.name


class ConsentEntry(models.Model):
    """One statement of a person, kept for ever beside the present state in Consent. Never changed; erased with them.

    `counted`: it changed the state. A statement that changed nothing is kept only when it brings a proof or was
    explicit: a sync that repeats itself every night is no statement.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="consent_entries")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    purpose = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=ConsentStatus.choices)
    source = models.CharField(max_length=100)
    proof = models.CharField(
        max_length=500, blank=True
    )  # the form's address, the double opt-in's id, the wording
    explicit = models.BooleanField(default=False)
    counted = models.BooleanField(default=True)
    said_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    recorded_by = models.CharField(max_length=150, blank=True)  # a user's name; empty: a system or the person

    class Meta:
        verbose_name_plural = "consent entries"
        indexes = [models.Index(fields=["profile", "channel", "said_at"], name="consent_entry_profile")]

    def __str__(self) -> str:
        return f"{self.channel} {self.purpose} {self.status}"


class DataExport(models.Model):
    """That somebody asked for everything about a person. The archive is made when it is fetched: no file lies about."""

    number = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="data_exports")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    asked_by_name = models.CharField(max_length=150, blank=True)
    asked_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    downloads = models.PositiveSmallIntegerField(default=0)
    last_download_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("export_profile", "Can fetch everything about a person")]

    def __str__(self) -> str:
        return str(self.number)


class Erasure(models.Model):
    """The certificate of one erasure. It names no person; `subject` is a keyed hash of the CRM's id.

    With the id in hand one can find the certificate, without it nobody. `removed` says how many rows and files went,
    by kind. Signed under HASH_KEY: who has only the database cannot make one.
    """

    number = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    subject = models.CharField(max_length=64, db_index=True)  # keyed_hash(purpose="erased", text=external id)
    reason = models.CharField(
        max_length=12, choices=[("request", "On request"), ("retention", "By retention rule")]
    )
    asked_at = models.DateTimeField()
    done_at = models.DateTimeField()
    done_by_name = models.CharField(max_length=150, blank=True)
    removed = models.JSONField(default=dict)
    signature = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["-done_at"], name="erasure_newest")]

    def __str__(self) -> str:
        return str(self.number)


class RetentionRule(models.Model):
    """How long one kind of data is kept; the kinds are listed in `campaigns.privacy.retention`."""

    kind = models.CharField(max_length=40, unique=True)
    days = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(36_500)])
    is_active = models.BooleanField(default=False)
    last_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_removed = models.PositiveIntegerField(default=0, editable=False)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(days__gte=1), name="retention_at_least_a_day")]

    def __str__(self) -> str:
        return self.kind
