"""Who, what and when."""

from campaigns.models.brands import Brand, BrandVersion
from campaigns.models.campaigns import (
    Campaign,
    CampaignStatus,
    Channel,
    Fact,
    ReviewPolicy,
    ScheduleKind,
    SendPolicy,
    Value,
    ValueKind,
)
from campaigns.models.catalogue import Product, ProductEmbedding
from campaigns.models.imports import Import, ImportKind, ImportProblem, ImportStatus
from campaigns.models.people import (
    AttributeDefinition,
    AttributeKind,
    Consent,
    ConsentStatus,
    Event,
    Profile,
    ProfileEmbedding,
    Suppression,
    SuppressionReason,
    TraitKind,
    TraitRule,
)
from campaigns.models.runs import Run, RunStatus, RunTrigger
from campaigns.models.segments import Segment

__all__ = [
    "AttributeDefinition",
    "AttributeKind",
    "Brand",
    "BrandVersion",
    "Campaign",
    "CampaignStatus",
    "Channel",
    "Consent",
    "ConsentStatus",
    "Event",
    "Fact",
    "Import",
    "ImportKind",
    "ImportProblem",
    "ImportStatus",
    "Product",
    "ProductEmbedding",
    "Profile",
    "ProfileEmbedding",
    "ReviewPolicy",
    "Run",
    "RunStatus",
    "RunTrigger",
    "ScheduleKind",
    "Segment",
    "SendPolicy",
    "Suppression",
    "SuppressionReason",
    "TraitKind",
    "TraitRule",
    "Value",
    "ValueKind",
]
