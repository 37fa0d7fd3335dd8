"""The audit trail: what happened to each piece and who decided it, as a chain of hashes that outlives the pieces."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from generation.models.statuses import Status


class PieceEvent(models.Model):
    """One row for each transition and text change. Ids and copied labels instead of foreign keys: it outlives them.

    `note` is what a person wrote with a decision or a fixed machine reason; never copy. Rows are written by
    `transitions` and sealed by `audit`; the database refuses every other change and every deletion, and empties the
    note, with its salt, of a piece that is deleted because its reader was erased.
    """

    piece_id = models.BigIntegerField(db_index=True)
    run_id = models.BigIntegerField(db_index=True)
    campaign = models.CharField(max_length=80, blank=True, db_default="")  # its slug
    channel = models.CharField(max_length=20, blank=True, db_default="")
    at = models.DateTimeField(auto_now_add=True)
    actor_id = models.BigIntegerField(null=True)  # null: the system
    actor_name = models.CharField(max_length=150, blank=True)
    from_status = models.CharField(max_length=12, choices=Status.choices, blank=True)
    to_status = models.CharField(max_length=12, choices=Status.choices)
    revision = models.PositiveIntegerField()
    text_hash = models.CharField(max_length=64, blank=True)  # of the text the actor saw
    reason = models.CharField(max_length=12, blank=True)
    note = models.CharField(max_length=500, blank=True)
    seconds = models.PositiveIntegerField(
        null=True
    )  # the text was open before the decision; null: nobody measured
    is_hasty = models.BooleanField(default=False, db_default=False)  # decided faster than it can be read

    # The chain. Empty until the row is sealed; then `seq` counts from 1 without a gap, in the order of sealing.
    seq = models.BigIntegerField(null=True, unique=True, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    hash = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    # The hash covers this digest and not the note, so that a note can be erased and the chain still holds.
    note_digest = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    note_salt = models.CharField(max_length=32, blank=True, db_default="", editable=False)

    class Meta:
        verbose_name = "audit row"
        verbose_name_plural = "audit trail"
        permissions = [("export_pieceevent", "Can export and verify the audit trail")]
        indexes = [
            models.Index(fields=["id"], name="event_unsealed", condition=Q(seq__isnull=True)),
            models.Index(fields=["at"], name="event_decided", condition=Q(actor_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.piece_id}: {self.from_status} -> {self.to_status}"


class AuditSeal(models.Model):
    """Where the chain stood after one sealing, signed under HASH_KEY: who has only the database cannot make one."""

    seq = models.BigIntegerField(unique=True)
    hash = models.CharField(max_length=64)
    signature = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"seal at {self.seq}"
