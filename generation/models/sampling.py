"""Approval by sample: what was promised, what was drawn, who read it, and what was decided for the rest."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from campaigns.models import Channel, Run
from generation.models.pieces import RejectReason
from generation.models.versions import ModelVersion


class Risk(models.TextChoices):
    """Of pieces without a finding. What has one is read by itself and belongs to no sample."""

    ORDINARY = "ordinary", "Ordinary"
    RAISED = "raised", "Less certain"  # the fifth that the writer was least sure of


class StratumState(models.TextChoices):
    OPEN = "open", "To be read"
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    DROPPED = "dropped", "Dropped"  # the plan was dropped before this group was decided


class Reading(models.TextChoices):
    """What became of a covered piece: the first five of those drawn to be read, the last two of the others."""

    UNREAD = "", "Not read yet"
    GOOD = "good", "Good"
    TASTE = "taste", "Not to taste"
    BAD = "bad", "Bad"
    GONE = "gone", "Gone"  # erased or taken out by the system: the next of the order was read instead
    COVERED = "covered", "Approved unread"
    LEFT = "left", "No longer as drawn"  # stayed as it was


class SamplePlan(models.Model):
    """One draw over what was clean and in review of a run. One plan of a run is open at a time, by constraint.

    `seed` is the run's: a second draw goes on in the same order, see `sampling_plans.draw_order`.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="sample_plans")
    confidence = models.DecimalField(max_digits=5, decimal_places=4)
    defect_rate = models.DecimalField(max_digits=5, decimal_places=4)
    critical_reasons = ArrayField(models.CharField(max_length=12, choices=RejectReason.choices))
    taste_counts = models.BooleanField(default=False)  # whether a rejection for taste fails a group as well
    seed = models.BigIntegerField()
    covered = models.PositiveIntegerField()  # pieces in its strata
    set_aside = models.PositiveIntegerField()  # pieces in review that were to be read one by one
    fingerprint = models.CharField(max_length=64)  # sampling_plans.fingerprint of all that is covered
    since_event = (
        models.BigIntegerField()
    )  # the newest audit row at the draw: what has a newer one has changed
    drawn_at = models.DateTimeField()
    drawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    drawn_by_name = models.CharField(max_length=150)
    closed_at = models.DateTimeField(
        null=True, blank=True
    )  # when its last group was decided, or it was dropped

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run"], condition=Q(closed_at__isnull=True), name="sample_plan_one_open_per_run"
            ),
            models.CheckConstraint(
                condition=Q(confidence__gt=0, confidence__lt=1, defect_rate__gt=0, defect_rate__lt=1),
                name="sample_plan_shares",
            ),
        ]

    def __str__(self) -> str:
        return f"plan {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None


class SampleStratum(models.Model):
    """One group of a plan, decided as one. The words in it are as they were at the draw, or at the decision."""

    plan = models.ForeignKey(SamplePlan, on_delete=models.PROTECT, related_name="strata")
    segment = models.CharField(max_length=120)
    channel = models.CharField(max_length=20, choices=Channel.choices)
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, blank=True)
    risk = models.CharField(max_length=10, choices=Risk.choices)
    size = models.PositiveIntegerField()
    sample_size = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=StratumState.choices, default=StratumState.OPEN)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_by_name = models.CharField(max_length=150, blank=True)
    statement = models.CharField(max_length=1000, blank=True)  # the risk in words, or why it failed
    note = models.CharField(max_length=500, blank=True)
    approved = models.PositiveIntegerField(default=0)  # unread, by the decision
    left = models.PositiveIntegerField(default=0)  # were no longer as drawn, and stayed as they are
    rewritten = models.PositiveIntegerField(default=0)  # sent back to the writer when it failed

    class Meta:
        verbose_name_plural = "sample strata"
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "segment", "channel", "model_version", "risk"],
                nulls_distinct=False,
                name="sample_stratum_once_per_plan",
            ),
            models.CheckConstraint(
                condition=Q(state__in=StratumState.values), name="sample_stratum_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True, decided_by__isnull=True)
                | (~Q(state="open") & Q(decided_at__isnull=False, decided_by__isnull=False)),
                name="sample_stratum_decision_paired",
            ),
            models.CheckConstraint(
                condition=Q(size__gt=0, sample_size__gt=0, sample_size__lte=F("size")),
                name="sample_stratum_sizes",
            ),
        ]

    def __str__(self) -> str:
        return f"group {self.pk} of plan {self.plan_id}"

    @property
    def rest(self) -> int:
        return self.size - self.sample_size


class SampleDraw(models.Model):
    """One covered piece in the order of the draw: the first `sample_size` that are not gone are read.

    Ids instead of foreign keys, as in PieceEvent: it outlives the piece. Reading and reader are written when the
    group is decided; until then they follow from the piece and its audit trail.
    """

    stratum = models.ForeignKey(SampleStratum, on_delete=models.PROTECT, related_name="draws")
    piece_id = models.BigIntegerField()
    revision = models.PositiveIntegerField()
    text_hash = models.CharField(max_length=64)
    place = models.PositiveIntegerField()  # from 1
    reading = models.CharField(max_length=8, choices=Reading.choices, blank=True, default=Reading.UNREAD)
    reason = models.CharField(max_length=12, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    read_by_id = models.BigIntegerField(null=True)
    read_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stratum", "place"], name="sample_draw_place"),
            models.UniqueConstraint(fields=["stratum", "piece_id"], name="sample_draw_once_per_stratum"),
        ]
        indexes = [models.Index(fields=["piece_id"], name="sample_draw_piece")]

    def __str__(self) -> str:
        return f"{self.place}: piece {self.piece_id}"
