"""Pieces: from reader to approved text."""

from generation.models.audit import AuditSeal, PieceEvent
from generation.models.blind import BlindVote, Preference
from generation.models.experiments import Allocation, Arm, Experiment, HeldOut, Reward, Variant
from generation.models.pieces import Finding, Piece, RejectReason, Severity
from generation.models.planting import Fault, How, Outcome, Plant, PlantingRate
from generation.models.sampling import (
    Reading,
    Risk,
    SampleDraw,
    SamplePlan,
    SampleStratum,
    StratumState,
)
from generation.models.statuses import Status
from generation.models.versions import ModelVersion, VersionAction, VersionEvent, VersionState

__all__ = [
    "Allocation",
    "Arm",
    "AuditSeal",
    "BlindVote",
    "Experiment",
    "Fault",
    "Finding",
    "HeldOut",
    "How",
    "ModelVersion",
    "Outcome",
    "Piece",
    "PieceEvent",
    "Plant",
    "PlantingRate",
    "Preference",
    "Reading",
    "RejectReason",
    "Reward",
    "Risk",
    "SampleDraw",
    "SamplePlan",
    "SampleStratum",
    "Severity",
    "Status",
    "StratumState",
    "Variant",
    "VersionAction",
    "VersionEvent",
    "VersionState",
]
