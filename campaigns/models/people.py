"""People from the CRM: who they are, what they did, what they agreed to, and what may be said about them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from pgvector.django import HalfVectorField, HnswIndex

from campaigns.models.channels import Channel

EMBEDDING_DIMENSION = 384  # all-MiniLM-L6-v2; a system check compares it with the embedder in use


class AttributeKind(models.TextChoices):
    TEXT = "text", "Text"
    NUMBER = "number", "Number"
    BOOLEAN = "boolean", "Yes or no"
    DATE = "date", "Date"


class AttributeDefinition(models.Model):
    """The allow-list of what may be kept about a person. What is not defined here is dropped on arrival."""

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*$", "Lower-case words joined by _")],
    )
    label = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=AttributeKind.choices, default=AttributeKind.TEXT)
    in_segments = models.BooleanField(default=True, help_text="May be used to filter people")
    # Health, religion, money trouble, …: kept for the CRM's sake, never in a trait, a prompt, an ad or a segment.
    is_protected = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.label


class Profile(models.Model):
    """One person. Names and addresses stay here and enter a text only at rendering."""

    external_id = models.CharField(max_length=128, unique=True, help_text="The CRM's own id")
    email = models.EmailField(max_length=254, blank=True)
    phone = models.CharField(max_length=20, blank=True, help_text="E.164, such as +441632960001")
    first_name = models.CharField(max_length=80, blank=True)
    last_name = models.CharField(max_length=80, blank=True)
    locale = models.CharField(max_length=16, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    # keyed_hash(purpose="address") of each channel's address, kept by `campaigns.people`: the suppression list is
    # matched in SQL by these. Empty where there is no address.
    email_hash = models.CharField(max_length=64, blank=True, editable=False)
    phone_hash = models.CharField(max_length=64, blank=True, editable=False)
    id_hash = models.CharField(max_length=64, blank=True, editable=False)  # push is addressed by the CRM's id
    attributes = models.JSONField(default=dict, blank=True)  # only names in AttributeDefinition
    lifecycle = models.CharField(
        max_length=40, blank=True, editable=False
    )  # derived: new, active, loyal, lapsed, …
    traits = ArrayField(models.CharField(max_length=120), default=list, blank=True, editable=False)
    traits_hash = models.CharField(
        max_length=64, blank=True, editable=False
    )  # sha256 of lifecycle and traits
    traits_at = models.DateTimeField(null=True, blank=True, editable=False)  # null: to be derived again
    # Another id of the same person: all that was known went there, and nothing may be sent to this row any more.
    merged_into = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, editable=False, related_name="merged"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(Lower("email"), name="profile_email_lower"),
            models.Index(fields=["lifecycle"], name="profile_lifecycle"),
            GinIndex(fields=["attributes"], name="profile_attributes", opclasses=["jsonb_path_ops"]),
            models.Index(fields=["id"], name="profile_traits_due", condition=Q(traits_at__isnull=True)),
            models.Index(fields=["traits_at"], name="profile_traits_at"),
            models.Index(fields=["email_hash"], name="profile_email_hash", condition=~Q(email_hash="")),
            models.Index(fields=["phone_hash"], name="profile_phone_hash", condition=~Q(phone_hash="")),
            models.Index(fields=["id_hash"], name="profile_id_hash", condition=~Q(id_hash="")),
        ]

    def __str__(self) -> str:
        return self.external_id


class Event(models.Model):
    """Something a person did. `message_id` makes a repeated delivery harmless."""

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="events")
    message_id = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=64, help_text="purchased, cart_left, viewed, signed_up, …")
    occurred_at = models.DateTimeField()
    product = models.ForeignKey("campaigns.Product", on_delete=models.SET_NULL, null=True, blank=True)
    quantity = models.IntegerField(null=True, blank=True)  # negative: returned
    amount = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)  # of the whole line
    properties = models.JSONField(default=dict, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["profile", "name", "occurred_at"], name="event_profile_name_time"),
            models.Index(fields=["name", "occurred_at"], name="event_name_time"),
            # Rows come in order, so a few pages of summary find what arrived of late among millions.
            BrinIndex(fields=["received_at"], name="event_received", autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.message_id}"


class ConsentStatus(models.TextChoices):
    GIVEN = "given", "Given"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Consent(models.Model):
    """What a person agreed to on one channel for one purpose. No row: never asked, so nothing may be sent.

    The present state; each statement that led to it stands in ConsentEntry.
    """

    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="consents")
    channel = models.CharField(max_length=20, choices=Channel.choices)
    purpose = models.CharField(max_length=40, default="marketing", db_default="marketing")
    status = models.CharField(max_length=10, choices=ConsentStatus.choices)
    source = models.CharField(
        max_length=100, help_text="Where it was said: 'import contacts.csv', 'sign-up form', …"
    )
    recorded_at = models.DateTimeField(help_text="When it was said")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["profile", "channel", "purpose"], name="consent_once_per_purpose")
        ]
        indexes = [
            models.Index(fields=["channel", "purpose", "status", "profile"], name="consent_channel_purpose")
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.status}"


class SuppressionReason(models.TextChoices):
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
    BOUNCED = "bounced", "Bounced"
    COMPLAINED = "complained", "Complained"
    MANUAL = "manual", "Put here by hand"
    ERASED = "erased", "Erased on request"


class Suppression(models.Model):
    """An address nothing may be sent to. Only its keyed hash is kept, so it outlives erasure."""

    address_hash = models.CharField(max_length=64)  # keyed_hash(purpose="address", text=normalised address)
    channel = models.CharField(max_length=20, choices=Channel.choices)
    reason = models.CharField(max_length=20, choices=SuppressionReason.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["address_hash", "channel"], name="suppression_once")]

    def __str__(self) -> str:
        return f"{self.channel} {self.reason}"


class TraitKind(models.TextChoices):
    ATTRIBUTE = "attribute", "An attribute, in words"
    PURCHASE = "purchase", "Bought something, and when"
    CATEGORY = "category", "Buys from a category again and again"
    RHYTHM = "rhythm", "How often they order"
    RECENCY = "recency", "How long they have been away"
    BASKET = "basket", "Left something in the basket"
    INTEREST = "interest", "Looked at or asked about something"
    TENURE = "tenure", "New here, or with us for long"


class TraitRule(models.Model):
    """One rule that turns attributes or events into a short phrase. Only active rules speak: the allow-list.

    `settings` by kind, checked by `campaigns.traits`: attribute {"attribute": "lives_near", "phrases": {"coast":
    "lives near the coast"}} or {"attribute": …, "phrase": "likes {value}"}; the other kinds take
    {"phrase": "bought {product} {season}", "event": "purchased", …}. `{…}` holes are from a fixed list.
    """

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=12, choices=TraitKind.choices)
    settings = models.JSONField(default=dict, blank=True)
    position = models.PositiveSmallIntegerField(
        default=100, help_text="Lower comes first; a reader gets at most six"
    )
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class TraitRuleVersion(models.Model):
    """How a trait rule stood after a change: its history, and what undoing goes back to."""

    rule = models.ForeignKey(
        TraitRule, on_delete=models.SET_NULL, null=True, blank=True, related_name="versions"
    )
    rule_name = models.CharField(max_length=80)
    kind = models.CharField(max_length=12)
    settings = models.JSONField(default=dict, blank=True)
    position = models.PositiveSmallIntegerField()
    is_active = models.BooleanField()
    change = models.CharField(max_length=60)  # "made", "changed", "switched off", …
    changed_by = models.ForeignKey("auth.User", on_delete=models.SET_NULL, null=True, blank=True)
    changed_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["rule", "-changed_at"], name="rule_version_newest")]

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.change}"


class ProfileEmbedding(models.Model):
    """A profile's traits as a unit vector. `content_hash` decides whether to embed again."""

    profile = models.OneToOneField(
        Profile, on_delete=models.CASCADE, primary_key=True, related_name="embedding"
    )
    model = models.CharField(max_length=120)
    content_hash = models.CharField(max_length=64)
    vector = HalfVectorField(dimensions=EMBEDDING_DIMENSION)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            HnswIndex(
                name="profile_vector_hnsw",
                fields=["vector"],
                m=16,
                ef_construction=64,
                opclasses=["halfvec_cosine_ops"],
            )
        ]

    def __str__(self) -> str:
        return f"{self.profile_id} {self.model}"
