"""When readers may be written to at all, whatever the campaign; and who has entered an always-on campaign."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from campaigns.models.campaigns import Campaign
from campaigns.models.channels import Channel
from campaigns.models.people import Profile
from campaigns.models.runs import Run


class SendingRules(models.Model):
    """The one row of rules for all campaigns: quiet hours and the speed of all workers together."""

    quiet_from = models.TimeField(
        null=True, blank=True, help_text="Nothing leaves from this time, in the reader's own time zone"
    )
    quiet_until = models.TimeField("until", null=True, blank=True)
    per_minute = models.PositiveIntegerField(
        "most messages a minute",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="By all campaigns and workers together; empty: as fast as they can",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "sending rules"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="sending_rules_one_row"),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="sending_rules_quiet_paired",
            ),
        ]

    def __str__(self) -> str:
        return "Sending rules"


class FrequencyCap(models.Model):
    """At most so many messages to one reader within so many days, over all campaigns."""

    rules = models.ForeignKey(SendingRules, on_delete=models.CASCADE, related_name="caps", default=1)
    channel = models.CharField(
        max_length=20,
        blank=True,
        choices=[(c.value, c.label) for c in (Channel.EMAIL, Channel.SMS, Channel.PUSH)],
        help_text="Empty: all channels counted together",
    )
    most = models.PositiveSmallIntegerField("at most", validators=[MinValueValidator(1)])
    days = models.PositiveSmallIntegerField(
        "within days", validators=[MinValueValidator(1), MaxValueValidator(366)]
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "days"], name="cap_once_per_channel_days")]

    def __str__(self) -> str:
        where = Channel(self.channel).label if self.channel else "all channels"
        return f"{self.most} in {self.days} days, {where}"


class Blackout(models.Model):
    """Days, in the reader's own time zone, on which nothing leaves; of one campaign or of all."""

    rules = models.ForeignKey(SendingRules, on_delete=models.CASCADE, related_name="blackouts", default=1)
    name = models.CharField(max_length=80, help_text="Such as Christmas")
    first_day = models.DateField()
    last_day = models.DateField()
    campaign = models.ForeignKey(
        Campaign,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="blackouts",
        help_text="Empty: every campaign",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(last_day__gte=F("first_day")), name="blackout_in_order")
        ]

    def __str__(self) -> str:
        return self.name


class Entry(models.Model):
    """That a person entered an always-on campaign. One row a person and campaign, kept as its memory.

    `waits_since` is set while the person has entered and got no piece yet: not reachable so far.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="entries")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="entries")
    is_inside = models.BooleanField(default=True)  # in the segment at the last look
    waits_since = models.DateTimeField(null=True, blank=True)
    event_at = models.DateTimeField(null=True, blank=True)  # of the latest event that was taken up
    started_at = models.DateTimeField(null=True, blank=True)  # when a piece was last made
    times = models.PositiveSmallIntegerField(default=0)
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, blank=True, related_name="entries")

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["campaign", "profile"], name="entry_once_per_campaign")
        ]
        indexes = [
            models.Index(
                fields=["campaign", "waits_since"],
                name="entry_waiting",
                condition=Q(waits_since__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id} {self.profile_id}"
