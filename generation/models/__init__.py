"""Pieces: from reader to approved text."""

from generation.models.pieces import Finding, Piece, PieceEvent, RejectReason, Severity, Status
from generation.models.versions import ModelVersion, VersionAction, VersionEvent, VersionState

__all__ = [
    "Finding",
    "ModelVersion",
    "Piece",
    "PieceEvent",
    "RejectReason",
    "Severity",
    "Status",
    "VersionAction",
    "VersionEvent",
    "VersionState",
]
