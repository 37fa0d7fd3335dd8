"""Who, what and when."""

from campaigns.models.brands import Brand, BrandVersion
from campaigns.models.campaigns import (
    Campaign,
    CampaignStatus,
    Channel,
    EntryKind,
    Fact,
    MissedPolicy,
    ReviewPolicy,
    ScheduleKind,
    SendPolicy,
    Value,
    ValueKind,
    Weekday,
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
from campaigns.models.timing import Blackout, Entry, FrequencyCap, SendingRules

__all__ = [
    "AttributeDefinition",
    "AttributeKind",
    "Blackout",
    "Brand",
    "BrandVersion",
    "Campaign",
    "CampaignStatus",
    "Channel",
    "Consent",
    "ConsentStatus",
    "Entry",
    "EntryKind",
    "Event",
    "Fact",
    "FrequencyCap",
    "Import",
    "ImportKind",
    "ImportProblem",
    "ImportStatus",
    "MissedPolicy",
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
    "SendingRules",
    "Suppression",
    "SuppressionReason",
    "TraitKind",
    "TraitRule",
    "Value",
    "ValueKind",
    "Weekday",
]
