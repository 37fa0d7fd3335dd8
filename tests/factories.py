"""One factory for each model. A row made here is valid as it stands: whole, consistent, allowed by the constraints.

Addresses end in `.example`, telephone numbers lie in Ofcom's range for drama. A piece is made in any status by
`PieceFactory(status=…)`: the columns that the status asks for are filled.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone
from factory.django import DjangoModelFactory

from campaigns import models as campaigns
from campaigns.models.people import EMBEDDING_DIMENSION
from delivery import models as deliveries
from generation import models as generation
from personalize.core import models as core
from personalize.core.keyed_hash import keyed_hash


def canonical_hash(content: object) -> str:
    """sha256 of the canonical JSON, as pieces, briefs and traits use it."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def address_hash(address: str) -> str:
    """As the suppression list keeps it. The address must be in its normal form."""
    return keyed_hash(purpose="address", text=address) if address else ""


def unit_vector(seed: int) -> list[float]:
    """A vector of length one, the same for the same seed, unlike those of other seeds."""
    raw = [math.sin(seed * 12.9898 + index * 78.233) for index in range(EMBEDDING_DIMENSION)]
    length = math.sqrt(sum(number * number for number in raw))
    return [number / length for number in raw]


# -- people who use the product ----------------------------------------------------------------------


class UserFactory(DjangoModelFactory):
    """Staff without a right of their own; `permissions=["generation.review_piece"]` gives some."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user-{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@office.example")
    is_staff = True
    is_active = True
    password = factory.django.Password("correct horse battery")

    @factory.post_generation
    def permissions(self: Any, create: bool, extracted: list[str] | None, **_: object) -> None:
        for name in extracted or ():
            app, codename = name.split(".")
            found = Permission.objects.get(content_type__app_label=app, codename=codename)
            self.user_permissions.add(found)


class SuperuserFactory(UserFactory):
    username = factory.Sequence(lambda n: f"admin-{n}")
    is_superuser = True


class ApiKeyFactory(DjangoModelFactory):
    """`plain` is not stored: `ApiKeyFactory(plain="pk_…")` makes the row that answers to that key."""

    class Meta:
        model = core.ApiKey

    class Params:
        plain = factory.Sequence(lambda n: f"{n:04d}testkey1-{'s' * 32}")

    name = factory.Sequence(lambda n: f"CRM {n}")
    lookup = factory.LazyAttribute(lambda key: key.plain[:12])
    digest = factory.LazyAttribute(lambda key: keyed_hash(purpose="api-key", text=key.plain))
    scopes = factory.LazyFunction(lambda: list(core.Scope.values))
    acts_as = factory.SubFactory(UserFactory)


class IdempotencyRecordFactory(DjangoModelFactory):
    class Meta:
        model = core.IdempotencyRecord

    api_key = factory.SubFactory(ApiKeyFactory)
    key = factory.Sequence(lambda n: f"request-{n}")
    request_hash = factory.LazyAttribute(lambda record: canonical_hash(record.key))
    claimed_at = factory.LazyFunction(timezone.now)
    status_code = 200
    body = factory.LazyFunction(lambda: {"ok": True})


# -- who, what and when ------------------------------------------------------------------------------


class AttributeDefinitionFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.AttributeDefinition
        django_get_or_create = ("name",)

    name = factory.Sequence(lambda n: f"attribute_{n}")
    label = factory.LazyAttribute(lambda definition: definition.name.replace("_", " ").capitalize())


class ProfileFactory(DjangoModelFactory):
    """Derived traits included. `consents=["email"]` records consent given on those channels."""

    class Meta:
        model = campaigns.Profile
        skip_postgeneration_save = True

    external_id = factory.Sequence(lambda n: f"crm-{n:05d}")
    email = factory.LazyAttribute(lambda profile: f"{profile.external_id}@postbox.example")
    phone = factory.Sequence(lambda n: f"+447700900{n % 1000:03d}")
    first_name = factory.Iterator(["Ada", "Bram", "Cleo", "Dina", "Eoin", "Frida"])
    last_name = factory.Iterator(["Threlfall", "Yarrow", "Dawe", "Sato"])
    email_hash = factory.LazyAttribute(lambda profile: address_hash(profile.email.lower()))
    phone_hash = factory.LazyAttribute(lambda profile: address_hash(profile.phone))
    id_hash = factory.LazyAttribute(lambda profile: address_hash(profile.external_id))
    locale = "en-GB"
    time_zone = "Europe/London"
    lifecycle = "active"
    traits = factory.LazyFunction(lambda: ["bought a moka pot in spring", "orders every few weeks"])
    traits_hash = factory.LazyAttribute(
        lambda profile: canonical_hash({"lifecycle": profile.lifecycle, "traits": profile.traits})
    )
    traits_at = factory.LazyFunction(timezone.now)

    @factory.post_generation
    def consents(self: Any, create: bool, extracted: list[str] | None, **_: object) -> None:
        for channel in extracted or ():
            ConsentFactory(profile=self, channel=channel)


class ProfileEmbeddingFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.ProfileEmbedding

    profile = factory.SubFactory(ProfileFactory)
    model = "test-embedder"
    content_hash = factory.LazyAttribute(lambda row: row.profile.traits_hash)
    vector = factory.Sequence(unit_vector)


class ProductFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Product

    sku = factory.Sequence(lambda n: f"SKU-{n:04d}")
    name = factory.Iterator(["Ferry Moka Pot", "Quarry Hand Grinder", "Wanderer Fire Pit"])
    noun_phrase = factory.Iterator(["a moka pot", "a hand grinder", "a folding fire pit"])
    category = factory.Iterator(["coffee", "coffee", "fire pits"])
    description = "Made to last, and easy to clean."
    price = "29.00"
    currency = "GBP"
    url = factory.LazyAttribute(lambda product: f"https://shop.example/{product.sku.lower()}")


class ProductEmbeddingFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.ProductEmbedding

    product = factory.SubFactory(ProductFactory)
    model = "test-embedder"
    content_hash = factory.LazyAttribute(lambda row: canonical_hash(row.product.name))
    vector = factory.Sequence(unit_vector)


class EventFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Event

    profile = factory.SubFactory(ProfileFactory)
    message_id = factory.Sequence(lambda n: f"message-{n:06d}")
    name = "purchased"
    occurred_at = factory.LazyFunction(lambda: timezone.now() - timedelta(days=3))
    product = factory.SubFactory(ProductFactory)
    quantity = 1
    amount = "29.00"


class ConsentFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Consent

    profile = factory.SubFactory(ProfileFactory)
    channel = campaigns.Channel.EMAIL
    status = campaigns.ConsentStatus.GIVEN
    source = "sign-up form"
    recorded_at = factory.LazyFunction(lambda: timezone.now() - timedelta(days=30))


class PurposeFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Purpose

    slug = factory.Sequence(lambda n: f"purpose-{n}")
    name = factory.LazyAttribute(lambda row: row.slug.capitalize())


class ConsentEntryFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.ConsentEntry

    profile = factory.SubFactory(ProfileFactory)
    channel = campaigns.Channel.EMAIL
    purpose = "marketing"
    status = campaigns.ConsentStatus.GIVEN
    source = "sign-up form"
    said_at = factory.LazyFunction(lambda: timezone.now() - timedelta(days=30))


class DataExportFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.DataExport

    profile = factory.SubFactory(ProfileFactory)
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=2))


class ErasureFactory(DjangoModelFactory):
    """Its signature does not hold: `campaigns.privacy.erase` makes real ones."""

    class Meta:
        model = campaigns.Erasure

    subject = factory.Sequence(lambda n: keyed_hash(purpose="erased", text=f"erased-{n}"))
    reason = "request"
    asked_at = factory.LazyFunction(timezone.now)
    done_at = factory.LazyFunction(timezone.now)
    removed = factory.LazyFunction(lambda: {"profiles": 1, "events": 3})
    signature = "0" * 64


class RetentionRuleFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.RetentionRule

    kind = factory.Sequence(lambda n: f"kind_{n}")
    days = 1_000


class SuppressionFactory(DjangoModelFactory):
    """`SuppressionFactory(address="a@b.example")`: the address must be in its normal form."""

    class Meta:
        model = campaigns.Suppression

    class Params:
        address = factory.Sequence(lambda n: f"gone-{n}@postbox.example")

    address_hash = factory.LazyAttribute(lambda row: address_hash(row.address))
    channel = campaigns.Channel.EMAIL
    reason = campaigns.SuppressionReason.UNSUBSCRIBED


class TraitRuleFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.TraitRule

    name = factory.Sequence(lambda n: f"rule {n}")
    kind = campaigns.TraitKind.PURCHASE
    settings = factory.LazyFunction(lambda: {"phrase": "bought {product} {season}", "event": "purchased"})


class TraitRuleVersionFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.TraitRuleVersion

    rule = factory.SubFactory(TraitRuleFactory)
    rule_name = factory.LazyAttribute(lambda version: version.rule.name)
    kind = campaigns.TraitKind.PURCHASE
    settings = factory.LazyFunction(lambda: {"phrase": "bought {product}"})
    position = 100
    is_active = True
    change = "changed"
    changed_at = factory.LazyFunction(timezone.now)


class IdentityFactory(DjangoModelFactory):
    """An anonymous visitor nobody knows yet."""

    class Meta:
        model = campaigns.Identity

    kind = campaigns.IdentityKind.ANONYMOUS
    value = factory.Sequence(lambda n: f"visitor-{n}")


class TrackedMessageFactory(DjangoModelFactory):
    """A refused call."""

    class Meta:
        model = campaigns.TrackedMessage

    message_id = factory.Sequence(lambda n: f"message-{n}")
    message_hash = factory.LazyAttribute(lambda row: keyed_hash(purpose="tracking", text=row.message_id))
    kind = campaigns.TrackedKind.TRACK
    status = campaigns.TrackedStatus.REFUSED
    received_at = factory.LazyFunction(timezone.now)
    problems = factory.LazyFunction(lambda: [{"field": "event", "message": "is missing"}])


class SegmentFactory(DjangoModelFactory):
    """Everybody, unless a `filter` is given."""

    class Meta:
        model = campaigns.Segment

    name = factory.Sequence(lambda n: f"Segment {n}")
    slug = factory.Sequence(lambda n: f"segment-{n}")


class BrandFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Brand

    name = "Wren & Ember"
    slug = factory.Sequence(lambda n: f"brand-{n}")
    about = "a family shop for cooking outdoors"
    voice = "warm and plain; short sentences"
    avoid = factory.LazyFunction(lambda: ["unleash", "game-changer"])
    sender_name = "Wren & Ember"
    sender_email = "hello@wrenandember.example"
    postal_address = "Wren & Ember, The Old Forge, Ottersby"
    legal_footer = "You get this because you asked for our letter."


class BrandVersionFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.BrandVersion

    brand = factory.SubFactory(BrandFactory)
    number = 1
    content = factory.LazyAttribute(lambda version: {"name": version.brand.name})


class FactFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Fact

    campaign = factory.SubFactory("tests.factories.CampaignFactory", whole=False)
    text = factory.Sequence(
        lambda n: f"the moka pot is {{{{discount}}}} off this week, offer {'i' * (n % 9)}"
    )
    position = factory.Sequence(lambda n: n % 100)


class ValueFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Value

    campaign = factory.SubFactory("tests.factories.CampaignFactory", whole=False)
    name = factory.Sequence(lambda n: f"value_{n}")
    text = "15%"
    kind = campaigns.ValueKind.PERCENT


class CampaignFactory(DjangoModelFactory):
    """Ready to launch: with facts, values and a link. `whole=False` leaves those out."""

    class Meta:
        model = campaigns.Campaign
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Campaign {n}")
    slug = factory.Sequence(lambda n: f"campaign-{n}")
    brand = factory.SubFactory(BrandFactory)
    goal = "invite friends of the shop to cook on cast iron"
    cta = "See the cast iron"
    cta_link = "link"
    must_mention = factory.LazyFunction(lambda: ["discount"])
    channels = factory.LazyFunction(lambda: [campaigns.Channel.EMAIL])
    segment = factory.SubFactory(SegmentFactory)
    audience = "people looking for a pan that lasts"
    review_policy = campaigns.ReviewPolicy.CLEAN_TOGETHER
    status = campaigns.CampaignStatus.ACTIVE

    @factory.post_generation
    def whole(self: Any, create: bool, extracted: bool | None, **_: object) -> None:
        if not create or extracted is False:
            return
        for position, text in enumerate(
            (
                "all cast iron is {{discount}} off until {{end_date}}",
                "every pan comes seasoned and ready to cook on",
                "any pan can be tried at the shop on Saturdays",
            )
        ):
            FactFactory(campaign=self, text=text, position=position)
        kinds = campaigns.ValueKind
        for name, text, kind in (
            ("discount", "15%", kinds.PERCENT),
            ("end_date", "5 July", kinds.DATE),
            ("link", "https://wrenandember.example/cast-iron", kinds.LINK),
        ):
            ValueFactory(campaign=self, name=name, text=text, kind=kind)


BRIEF: dict[str, Any] = {
    "brand": {
        "name": "Wren & Ember",
        "about": "a family shop for cooking outdoors",
        "voice": "warm and plain; short sentences",
        "avoid": ["unleash", "game-changer"],
    },
    "goal": "invite friends of the shop to cook on cast iron",
    "facts": [
        {"id": "f1", "text": "all cast iron is {{discount}} off until {{end_date}}"},
        {"id": "f2", "text": "every pan comes seasoned and ready to cook on"},
    ],
    "values": [
        {"name": "discount", "text": "15%", "kind": "percent", "valid_until": None},
        {"name": "end_date", "text": "5 July", "kind": "date", "valid_until": None},
        {
            "name": "link",
            "text": "https://wrenandember.example/cast-iron",
            "kind": "link",
            "valid_until": None,
        },
    ],
    "cta": "See the cast iron",
    "cta_link": "link",
    "must_mention": ["discount"],
}


class RunFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Run

    campaign = factory.SubFactory(CampaignFactory)
    scheduled_for = factory.Sequence(lambda n: timezone.now() - timedelta(minutes=n))
    trigger = campaigns.RunTrigger.MANUAL
    brief = factory.LazyFunction(lambda: json.loads(json.dumps(BRIEF)))
    brief_hash = factory.LazyAttribute(lambda run: canonical_hash(run.brief))
    brand_version = 1
    model_version = "test-writer"
    audience_size = 1


class SendingRulesFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.SendingRules
        django_get_or_create = ("id",)

    id = 1


class FrequencyCapFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.FrequencyCap

    rules = factory.SubFactory(SendingRulesFactory)
    channel = campaigns.Channel.EMAIL
    most = 2
    days = factory.Sequence(lambda n: 1 + n % 300)


class BlackoutFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Blackout

    rules = factory.SubFactory(SendingRulesFactory)
    name = "Christmas"
    first_day = factory.LazyFunction(lambda: date(2026, 12, 24))
    last_day = factory.LazyFunction(lambda: date(2026, 12, 26))


class EntryFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Entry

    campaign = factory.SubFactory(CampaignFactory, schedule="always_on")
    profile = factory.SubFactory(ProfileFactory)


class ImportFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.Import

    kind = campaigns.ImportKind.PROFILES
    file_name = "contacts.csv"
    mapping = factory.LazyFunction(lambda: {"external_id": "id", "email": "email"})
    status = campaigns.ImportStatus.DONE
    finished_at = factory.LazyFunction(timezone.now)


class UploadFactory(DjangoModelFactory):
    """A file on its way in, without its parts."""

    class Meta:
        model = campaigns.Upload

    token = factory.Sequence(lambda n: f"{n:032d}")
    file_name = "contacts.csv"
    size = 6


class UploadPartFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.UploadPart

    upload = factory.SubFactory(UploadFactory)
    number = 0
    data = b"email\n"


class ImportSourceFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.ImportSource

    name = factory.Sequence(lambda n: f"CRM {n}")
    kind = campaigns.ImportKind.PROFILES
    mapping = factory.LazyFunction(lambda: {"external_id": "id", "email": "email"})


class ImportProblemFactory(DjangoModelFactory):
    class Meta:
        model = campaigns.ImportProblem

    of_import = factory.SubFactory(ImportFactory)
    row = factory.Sequence(lambda n: n + 1)
    field = "email"
    message = "is not an e-mail address: correct it or leave it empty"


# -- pieces ------------------------------------------------------------------------------------------


class ModelVersionFactory(DjangoModelFactory):
    """A candidate: one of a kind may be active. `ModelVersionFactory(state="active")` where it matters."""

    class Meta:
        model = generation.ModelVersion
        django_get_or_create = ("name",)

    name = "test-writer"
    kind = "test/tiny"
    base = "test/tiny"
    prompt_version = "test-1"
    model_hash = "0" * 64


class BlindVoteFactory(DjangoModelFactory):
    class Meta:
        model = generation.BlindVote

    first = factory.SubFactory(ModelVersionFactory, name="test-writer")
    second = factory.SubFactory(ModelVersionFactory, name="test-writer-2")
    pair = factory.Sequence(lambda n: f"{n:064d}")
    preference = generation.Preference.FIRST
    by = factory.SubFactory(UserFactory)


class VersionEventFactory(DjangoModelFactory):
    class Meta:
        model = generation.VersionEvent

    version = factory.SubFactory(ModelVersionFactory)
    action = generation.VersionAction.PROMOTED


EMAIL_FIELDS: dict[str, Any] = {
    "subject": "A pan for the fire",
    "preheader": "Cast iron is {{discount}} off",
    "body": "Hello {{first_name}},\n\nYour moka pot has company: all cast iron is {{discount}} off "
    "until {{end_date}}.\n\nEvery pan comes seasoned and ready to cook on.",
    "cta": "See the cast iron",
}
_FIELDS_BY_CHANNEL: dict[str, dict[str, Any]] = {
    "email": EMAIL_FIELDS,
    "google_rsa": {
        "headlines": ["Cast iron that lasts", "Seasoned pans", "Cook on the fire"],
        "descriptions": ["All cast iron is {{discount}} off.", "Every pan comes ready to cook on."],
    },
    "meta_ad": {
        "primary_text": "All cast iron is {{discount}} off.",
        "headline": "Cast iron that lasts",
        "description": "Ready to cook on",
    },
    "linkedin_ad": {
        "intro": "All cast iron is {{discount}} off.",
        "headline": "Cast iron that lasts",
    },
    "sms": {"text": "All cast iron is {{discount}} off until {{end_date}}. {{link}}"},
    "push": {"title": "Cast iron", "body": "All of it is {{discount}} off until {{end_date}}."},
}

_READ = {"approved", "delivering", "delivered", "unknown"}
_WRITTEN = {"in_review", "rejected"} | _READ


def _written(piece: Any, value: Any, otherwise: Any) -> Any:
    return value if piece.status in _WRITTEN else otherwise


class PieceFactory(DjangoModelFactory):
    class Meta:
        model = generation.Piece

    run = factory.SubFactory(RunFactory)
    profile = factory.SubFactory(ProfileFactory, consents=["email"])
    channel = campaigns.Channel.EMAIL
    status = generation.Status.IN_REVIEW
    revision = factory.LazyAttribute(lambda piece: _written(piece, 1, 0))
    fields = factory.LazyAttribute(
        lambda piece: _written(piece, json.loads(json.dumps(_FIELDS_BY_CHANNEL[str(piece.channel)])), {})
    )
    text_hash = factory.LazyAttribute(lambda piece: canonical_hash(piece.fields) if piece.fields else "")
    reader = factory.LazyAttribute(
        lambda piece: (
            {"lifecycle": piece.profile.lifecycle, "traits": piece.profile.traits, "products": []}
            if piece.profile
            else {}
        )
    )
    model_version = factory.Maybe(
        factory.LazyAttribute(lambda piece: piece.status in _WRITTEN),
        factory.SubFactory(ModelVersionFactory),
        None,
    )
    prompt_version = factory.LazyAttribute(lambda piece: _written(piece, "test-1", ""))
    seed = factory.Sequence(lambda n: n)
    score = factory.LazyAttribute(lambda piece: _written(piece, 0.5, None))
    claim = factory.LazyAttribute(lambda piece: uuid.uuid4() if piece.status == "generating" else None)
    lease_until = factory.LazyAttribute(
        lambda piece: timezone.now() + timedelta(minutes=15) if piece.claim else None
    )
    reviewed_by = factory.Maybe(
        factory.LazyAttribute(lambda piece: piece.status in _READ | {"rejected"}),
        factory.SubFactory(UserFactory),
        None,
    )
    reviewed_at = factory.LazyAttribute(lambda piece: timezone.now() if piece.reviewed_by else None)
    approved_hash = factory.LazyAttribute(lambda piece: piece.text_hash if piece.status in _READ else "")
    reject_reason = factory.LazyAttribute(lambda piece: "dull" if piece.status == "rejected" else "")
    written_at = factory.LazyAttribute(lambda piece: _written(piece, timezone.now(), None))
    delivered_at = factory.LazyAttribute(
        lambda piece: timezone.now() if piece.status == "delivered" else None
    )


class AdPieceFactory(PieceFactory):
    """One ad of a run, for nobody in particular."""

    profile = None
    channel = campaigns.Channel.GOOGLE_RSA


class FindingFactory(DjangoModelFactory):
    """The counts on the piece are the caller's to set."""

    class Meta:
        model = generation.Finding

    piece = factory.SubFactory(PieceFactory)
    revision = factory.LazyAttribute(lambda finding: finding.piece.revision)
    rule = "avoided_word"
    severity = generation.Severity.WARNING
    field = "body"
    end = 5
    message = "The brand never says this word."


class SamplePlanFactory(DjangoModelFactory):
    class Meta:
        model = generation.SamplePlan

    run = factory.SubFactory(RunFactory)
    confidence = Decimal("0.95")
    defect_rate = Decimal("0.05")
    critical_reasons = factory.LazyFunction(lambda: ["untrue", "senseless"])
    seed = 7
    covered = 1
    set_aside = 0
    fingerprint = "0" * 64
    since_event = 0
    drawn_at = factory.LazyFunction(timezone.now)
    drawn_by = factory.SubFactory(UserFactory)
    drawn_by_name = factory.LazyAttribute(lambda plan: plan.drawn_by.get_username())


class SampleStratumFactory(DjangoModelFactory):
    """One group of one drawn piece."""

    class Meta:
        model = generation.SampleStratum
        skip_postgeneration_save = True

    plan = factory.SubFactory(SamplePlanFactory)
    segment = "everybody"
    channel = campaigns.Channel.EMAIL
    risk = generation.Risk.ORDINARY
    size = 1
    sample_size = 1
    fingerprint = "0" * 64

    @factory.post_generation
    def piece(self: Any, create: bool, extracted: Any, **_: object) -> None:
        if create and extracted:
            generation.SampleDraw.objects.create(
                stratum=self,
                piece_id=extracted.pk,
                revision=extracted.revision,
                text_hash=extracted.text_hash,
                place=1,
            )


class SampleDrawFactory(DjangoModelFactory):
    class Meta:
        model = generation.SampleDraw

    class Params:
        piece = factory.SubFactory(PieceFactory, run=factory.SelfAttribute("..stratum.plan.run"))

    stratum = factory.SubFactory(SampleStratumFactory)
    piece_id = factory.LazyAttribute(lambda draw: draw.piece.pk)
    revision = factory.LazyAttribute(lambda draw: draw.piece.revision)
    text_hash = factory.LazyAttribute(lambda draw: draw.piece.text_hash)
    place = 1


class PieceEventFactory(DjangoModelFactory):
    class Meta:
        model = generation.PieceEvent

    class Params:
        piece = factory.SubFactory(PieceFactory)

    piece_id = factory.LazyAttribute(lambda event: event.piece.pk)
    run_id = factory.LazyAttribute(lambda event: event.piece.run_id)
    from_status = generation.Status.GENERATING
    to_status = generation.Status.IN_REVIEW
    revision = 1


class AuditSealFactory(DjangoModelFactory):
    """A row that stands, and a seal that does not hold: only `audit` makes those that do."""

    class Meta:
        model = generation.AuditSeal

    seq = factory.Sequence(lambda n: n + 1)
    hash = factory.LazyAttribute(lambda seal: canonical_hash(seal.seq))
    signature = "0" * 64


class PlantingRateFactory(DjangoModelFactory):
    class Meta:
        model = generation.PlantingRate

    campaign = factory.SubFactory(CampaignFactory)
    percent = 5
    set_by = factory.SubFactory(UserFactory)


class PlantFactory(DjangoModelFactory):
    """What is wrong with a planted piece; the piece is the caller's to make, and may be gone, as it is here."""

    class Meta:
        model = generation.Plant

    piece_id = factory.Sequence(lambda n: 9_000_000_000 + n)  # far from those that exist
    run = factory.SubFactory(RunFactory)
    fault = generation.Fault.PROMISE
    field = "body"
    planted_by = factory.SubFactory(UserFactory)


class ExperimentFactory(DjangoModelFactory):
    class Meta:
        model = generation.Experiment

    campaign = factory.SubFactory(CampaignFactory)
    holdout_percent = 20
    generic_percent = 20


class VariantFactory(DjangoModelFactory):
    class Meta:
        model = generation.Variant

    campaign = factory.SubFactory(CampaignFactory)
    name = factory.Sequence(lambda n: f"variant {n}")
    steer = "speak of care"


class AllocationFactory(DjangoModelFactory):
    class Meta:
        model = generation.Allocation

    run = factory.SubFactory(RunFactory)
    seed = 1
    rule = "equal"
    reward = generation.Reward.CLICKED
    floor_percent = 10
    counts = factory.LazyFunction(lambda: {"1": [0, 0]})
    shares = factory.LazyFunction(lambda: {"1": 10_000})


class HeldOutFactory(DjangoModelFactory):
    class Meta:
        model = generation.HeldOut

    run = factory.SubFactory(RunFactory)
    profile = factory.SubFactory(ProfileFactory, consents=["email"])


# -- handing over ------------------------------------------------------------------------------------


class DeliveryFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.Delivery

    piece = factory.SubFactory(PieceFactory, status=generation.Status.DELIVERED)
    channel = factory.LazyAttribute(lambda row: row.piece.channel)
    transport = deliveries.Transport.MAIL
    status = deliveries.DeliveryStatus.HANDED_OVER
    message_id = factory.Sequence(lambda n: f"<piece-{n}@personalize.example>")
    rendered_hash = factory.LazyAttribute(lambda row: canonical_hash(row.piece.fields))
    lease_until = factory.LazyAttribute(
        lambda row: timezone.now() + timedelta(minutes=5) if row.status == "claimed" else None
    )
    finished_at = factory.LazyAttribute(lambda row: timezone.now() if row.status == "handed_over" else None)


class HoldFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.Hold

    piece = factory.SubFactory(PieceFactory, status=generation.Status.APPROVED)
    until = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=8))
    reason = deliveries.HoldReason.QUIET


class TokenBucketFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.TokenBucket

    name = factory.Sequence(lambda n: f"campaign-{n}")
    tokens = 1.0
    refilled_at = factory.LazyFunction(timezone.now)


class OutcomeFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.Outcome

    delivery = factory.SubFactory(DeliveryFactory)
    kind = deliveries.OutcomeKind.DELIVERED
    event_id = factory.Sequence(lambda n: f"outcome-{n}")
    occurred_at = factory.LazyFunction(timezone.now)


class ReportTallyFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.ReportTally

    provider = "postmark"
    day = factory.LazyFunction(lambda: timezone.now().date())
    event = factory.Sequence(lambda n: f"event-{n}")
    verdict = deliveries.ReportVerdict.STORED
    count = 3
    last_at = factory.LazyFunction(timezone.now)


class ExportFileFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.ExportFile

    run = factory.SubFactory(RunFactory)
    channel = campaigns.Channel.GOOGLE_RSA
    path = factory.Sequence(lambda n: f"exports/run-{n}.csv")
    rows = 1
    sha256 = "0" * 64


# -- webhooks ----------------------------------------------------------------------------------------


class WebhookEndpointFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.WebhookEndpoint

    name = factory.Sequence(lambda n: f"CRM {n}")
    url = "https://crm.example.com/hooks"
    types = ["piece.approved", "piece.delivered"]


class WebhookMessageFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.WebhookMessage

    endpoint = factory.SubFactory(WebhookEndpointFactory)
    sequence = factory.Sequence(lambda n: n + 1)
    type = "piece.approved"
    status = "pending"
    occurred_at = factory.LazyFunction(timezone.now)
    next_at = factory.LazyAttribute(lambda row: timezone.now() if row.status == "pending" else None)
    finished_at = factory.LazyAttribute(lambda row: None if row.status == "pending" else timezone.now())


class RunMilestoneFactory(DjangoModelFactory):
    class Meta:
        model = deliveries.RunMilestone

    run = factory.SubFactory(RunFactory)
    type = "run.written"
    at = factory.LazyFunction(timezone.now)


# -- the system itself -------------------------------------------------------------------------------


class RateBucketFactory(DjangoModelFactory):
    class Meta:
        model = core.RateBucket

    api_key = factory.SubFactory(ApiKeyFactory)
    policy = "requests"
    full_at = factory.LazyFunction(timezone.now)


class OutboxTopicFactory(DjangoModelFactory):
    class Meta:
        model = core.OutboxTopic

    type = factory.Sequence(lambda n: f"topic.{n}")


class OutboxEventFactory(DjangoModelFactory):
    class Meta:
        model = core.OutboxEvent

    type = "piece.approved"
    at = factory.LazyFunction(timezone.now)
