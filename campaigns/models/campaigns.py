"""What is to be said, to whom, when, and who decides."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from campaigns.models.brands import Brand
from campaigns.models.channels import Channel
from campaigns.models.segments import Segment

__all__ = [
    "Campaign",
    "CampaignStatus",
    "Channel",
    "EntryKind",
    "Fact",
    "MissedPolicy",
    "ReviewPolicy",
    "ScheduleKind",
    "SendPolicy",
    "Value",
    "ValueKind",
]


class CampaignStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"
    ARCHIVED = "archived", "Archived"


class ScheduleKind(models.TextChoices):
    MANUAL = "manual", "When somebody launches it"
    ONCE = "once", "Once, at a time"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"
    CRON = "cron", "By a cron expression"
    ALWAYS_ON = "always_on", "Always on: whenever somebody enters"


class EntryKind(models.TextChoices):
    """What makes a person due for an always-on campaign."""

    SEGMENT = "segment", "A person enters the segment"
    EVENT = "event", "A person of the segment does something"


class MissedPolicy(models.TextChoices):
    """What happens to scheduled times that passed while nothing was running."""

    RUN_ONCE = "run_once", "Run once, for the latest of them"
    SKIP = "skip", "Skip them and wait for the next time"


class Weekday(models.IntegerChoices):
    """As ISO counts them."""

    MONDAY = 1, "Monday"
    TUESDAY = 2, "Tuesday"
    WEDNESDAY = 3, "Wednesday"
    THURSDAY = 4, "Thursday"
    FRIDAY = 5, "Friday"
    SATURDAY = 6, "Saturday"
    SUNDAY = 7, "Sunday"


class ReviewPolicy(models.TextChoices):
    READ_ALL = "read_all", "A person reads and decides every piece"
    BY_SAMPLE = "by_sample", "A random sample of the clean pieces is read; what it shows decides for the rest"
    CLEAN_TOGETHER = "clean_together", "A person may decide all pieces without findings together"


class SendPolicy(models.TextChoices):
    RELEASE = "release", "Approved pieces wait until somebody releases the run"
    WHEN_APPROVED = "when_approved", "Each piece goes out as soon as it is approved"


class ValueKind(models.TextChoices):
    PRICE = "price", "Price"
    PERCENT = "percent", "Percentage"
    DATE = "date", "Date or time"
    CODE = "code", "Code"
    LINK = "link", "Link"
    QUANTITY = "quantity", "Quantity"
    PHONE = "phone", "Phone number"
    OTHER = "other", "Other exact words"


class Campaign(models.Model):
    """One brief and its plan. Facts and values are rows of their own, so that each can be named and expire."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=80, unique=True)
    brand = models.ForeignKey(Brand, on_delete=models.PROTECT, related_name="campaigns")
    goal = models.CharField(max_length=300, help_text="What it is for, in one sentence without digits")
    cta = models.CharField("call to action", max_length=40, help_text="The words on the button")
    cta_link = models.CharField(
        "value the button links to",
        max_length=40,
        default="link",
        help_text="Name of a value of the kind link",
    )
    must_mention = ArrayField(
        models.CharField(max_length=40),
        default=list,
        blank=True,
        help_text="Names of values that each piece must contain",
    )
    channels = ArrayField(models.CharField(max_length=20, choices=Channel.choices))
    segment = models.ForeignKey(
        Segment, on_delete=models.PROTECT, null=True, blank=True, related_name="campaigns"
    )
    audience = models.CharField(
        max_length=300,
        blank=True,
        help_text="Who the ads are for, in words: 'people looking for a stove'",
    )
    review_policy = models.CharField(
        max_length=20, choices=ReviewPolicy.choices, default=ReviewPolicy.READ_ALL
    )
    send_policy = models.CharField(max_length=20, choices=SendPolicy.choices, default=SendPolicy.RELEASE)
    status = models.CharField(
        max_length=10, choices=CampaignStatus.choices, default=CampaignStatus.DRAFT, editable=False
    )
    schedule = models.CharField(max_length=10, choices=ScheduleKind.choices, default=ScheduleKind.MANUAL)
    schedule_at = models.DateTimeField("launch at", null=True, blank=True)
    schedule_cron = models.CharField(
        "cron expression", max_length=100, blank=True, help_text="'0 9 * * MON': Mondays at nine"
    )
    schedule_time = models.TimeField("at", null=True, blank=True, help_text="In the campaign's time zone")
    schedule_days = ArrayField(
        models.PositiveSmallIntegerField(choices=Weekday.choices), default=list, blank=True
    )
    schedule_time_zone = models.CharField("time zone", max_length=64, default="UTC")
    missed_policy = models.CharField(
        "times missed while nothing ran",
        max_length=10,
        choices=MissedPolicy.choices,
        default=MissedPolicy.RUN_ONCE,
    )
    # The last time that was missed and skipped, for the marketer.
    skipped_at = models.DateTimeField(null=True, blank=True, editable=False)
    entry = models.CharField(
        "somebody is due when", max_length=10, choices=EntryKind.choices, default=EntryKind.SEGMENT
    )
    entry_event = models.CharField("event", max_length=64, blank=True, help_text="Such as purchased")
    # Null: one piece a person, ever.
    reentry_days = models.PositiveSmallIntegerField(
        "again after, in days",
        null=True,
        blank=True,
        help_text="Empty: each person once, ever. 30: once more for who enters again at least 30 days later",
    )
    takes_present = models.BooleanField(
        "also people who are in the segment when it starts",
        default=False,
    )
    watched_from = models.DateTimeField(null=True, blank=True, editable=False)  # first look of an always-on
    # What that look meant by 'enters': with other settings the next look is a first one again.
    watch_key = models.CharField(max_length=64, blank=True, editable=False)
    window_start = models.TimeField(
        "send from", null=True, blank=True, help_text="In the reader's own time zone"
    )
    window_end = models.TimeField("until", null=True, blank=True)
    window_days = ArrayField(
        models.PositiveSmallIntegerField(choices=Weekday.choices), default=list, blank=True
    )
    per_minute = models.PositiveIntegerField(
        "most messages a minute",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="By all workers together; empty: as fast as they can",
    )
    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)  # null: nothing is due
    # Why the schedule stopped by itself, for the marketer; emptied when it is activated again.
    held_because = models.CharField(max_length=300, blank=True, editable=False)
    # How its links are told apart in web statistics. Read when a mail leaves, so a slip can still be mended.
    utm_source = models.CharField(
        max_length=60, blank=True, help_text="Such as newsletter. Empty: links get no utm tags"
    )
    utm_medium = models.CharField(max_length=60, blank=True, default="email")
    utm_campaign = models.CharField(max_length=80, blank=True, help_text="Empty: the campaign's slug")
    count_clicks = models.BooleanField(
        default=True, help_text="Links go by way of this server, which counts clicks and sends readers on"
    )
    count_opens = models.BooleanField(
        default=False,
        help_text="Put an invisible picture into each mail. Opens are shown only: mail programs load it unasked",
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        permissions = [
            ("launch_campaign", "Can launch and pause campaigns"),
            ("send_campaign", "Can release runs for sending"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(schedule="once") | Q(schedule_at__isnull=False),
                name="campaign_once_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(schedule="cron") | ~Q(schedule_cron=""), name="campaign_cron_has_cron"
            ),
            models.CheckConstraint(
                condition=~Q(schedule__in=("daily", "weekly")) | Q(schedule_time__isnull=False),
                name="campaign_daily_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(schedule="weekly") | ~Q(schedule_days=[]), name="campaign_weekly_has_days"
            ),
            models.CheckConstraint(
                condition=Q(window_start__isnull=True, window_end__isnull=True)
                | Q(window_start__isnull=False, window_end__isnull=False),
                name="campaign_window_paired",
            ),
        ]
        indexes = [
            models.Index(fields=["next_run_at"], name="campaign_due", condition=Q(next_run_at__isnull=False))
        ]

    def __str__(self) -> str:
        return self.name


class Fact(models.Model):
    """A true sentence the copy may use, with values as `{{name}}` and no digits of its own."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="facts")
    text = models.CharField(max_length=300)
    position = models.PositiveSmallIntegerField(default=0)
    valid_until = models.DateTimeField(
        null=True, blank=True, help_text="Nothing that says it leaves after this time"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "text"], name="fact_once_per_campaign")]

    def __str__(self) -> str:
        return self.text


class Value(models.Model):
    """A named exact string. The only place where a price, date, code, link or quantity may come from."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="values")
    name = models.CharField(
        max_length=40,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*$", "Lower-case words joined by _, such as end_date")],
    )
    text = models.CharField(max_length=300)
    kind = models.CharField(max_length=10, choices=ValueKind.choices, default=ValueKind.OTHER)
    valid_until = models.DateTimeField(
        null=True, blank=True, help_text="Nothing that says it leaves after this time"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "name"], name="value_once_per_campaign"),
            models.CheckConstraint(condition=~Q(name="first_name"), name="value_first_name_is_reserved"),
        ]

    def __str__(self) -> str:
        return f"{self.name} = {self.text}"
