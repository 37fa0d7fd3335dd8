"""What a campaign compares: people who get their own copy, the same copy, or nothing; and variants of the copy."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from campaigns.models import Campaign, Profile, Run

MOST_APART = 90  # percent of the people that may be in the two arms for comparison together


class Arm(models.TextChoices):
    PERSONAL = "personal", "Personal copy"
    GENERIC = "generic", "Generic copy"
    HOLDOUT = "holdout", "Hold-out: no message"


class Reward(models.TextChoices):
    """What variants are chosen by. Opens are not among them: mail programs open mails that nobody reads."""

    CLICKED = "clicked", "Clicks in the message"
    VISITED = "visited", "Visits"
    PURCHASED = "purchased", "Purchases"


def default_visits() -> list[str]:
    return ["visited", "viewed"]


def default_purchases() -> list[str]:
    return ["purchased"]


class Experiment(models.Model):
    """A campaign's arms and how its results are counted. No row: everybody gets their own copy.

    Who is in which arm follows from the campaign and the person alone (see `generation.arms`): a person stays where
    they are from run to run, and other percentages move only those that the difference is about.
    """

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="experiment")
    holdout_percent = models.PositiveSmallIntegerField(
        "hold-out, in percent",
        default=0,
        validators=[MaxValueValidator(50)],
        help_text="These people get nothing. What they do anyway is what a message must beat",
    )
    generic_percent = models.PositiveSmallIntegerField(
        "generic copy, in percent",
        default=0,
        validators=[MaxValueValidator(50)],
        help_text="These people get copy that is written from the brief alone. What personal copy must beat",
    )
    window_days = models.PositiveSmallIntegerField(
        "days that count",
        default=14,
        validators=[MinValueValidator(1), MaxValueValidator(90)],
        help_text="What people do until this many days after the run's last message left",
    )
    visit_events = ArrayField(
        models.CharField(max_length=64),
        default=default_visits,
        help_text="Names of events that are a visit, separated by commas",
    )
    purchase_events = ArrayField(
        models.CharField(max_length=64),
        default=default_purchases,
        help_text="Names of events that are a conversion; their amounts are the revenue",
    )
    # Of variants: see `generation.variants`.
    is_adaptive = models.BooleanField(
        "give more people the variant that works",
        default=False,
        help_text="For campaigns that run again and again or are always on. Off: every variant gets the same share",
    )
    reward = models.CharField("works means", max_length=10, choices=Reward.choices, default=Reward.CLICKED)
    reward_days = models.PositiveSmallIntegerField(
        "within days", default=3, validators=[MinValueValidator(1), MaxValueValidator(30)]
    )
    floor_percent = models.PositiveSmallIntegerField(
        "least share of a variant, in percent",
        default=10,
        validators=[MaxValueValidator(25)],
        help_text="So that none is given up for good, however the others do",
    )
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    set_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(holdout_percent__lte=MOST_APART - F("generic_percent")),
                name="experiment_leaves_people",
            )
        ]

    def __str__(self) -> str:
        return f"{self.campaign_id}: {self.holdout_percent} % hold-out, {self.generic_percent} % generic"


class Variant(models.Model):
    """One way to write a campaign's copy: a hint to the writer. Those no longer used stay, since pieces name them."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="variants")
    name = models.CharField(max_length=40)
    steer = models.CharField("hint to the writer", max_length=200)
    is_active = models.BooleanField(default=True)
    # How it does: of the people whose days are over, those who did what counts. Kept by delivery.results.rewards.
    people = models.PositiveIntegerField(default=0, editable=False)
    successes = models.PositiveIntegerField(default=0, editable=False)
    counted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "name"], name="variant_once_per_campaign")]

    def __str__(self) -> str:
        return self.name


class Allocation(models.Model):
    """How one run's people were shared out between variants, and from which counts: enough to do it again.

    `counts` is {variant id: [successes, people]}, `shares` {variant id: of ten thousand}. Never changed.
    """

    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="allocation")
    made_at = models.DateTimeField(auto_now_add=True)
    seed = models.BigIntegerField()
    rule = models.CharField(max_length=10)  # equal or thompson
    reward = models.CharField(max_length=10, choices=Reward.choices)
    floor_percent = models.PositiveSmallIntegerField()
    counts = models.JSONField()
    shares = models.JSONField()

    def __str__(self) -> str:
        return f"run {self.run_id}: {self.rule}"


class HeldOut(models.Model):
    """A person who was in a run's audience and got nothing, so that the others can be compared with them."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="held_out")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="held_out")
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "held out"
        constraints = [models.UniqueConstraint(fields=["run", "profile"], name="held_out_once_per_run")]

    def __str__(self) -> str:
        return f"run {self.run_id}: {self.profile_id}"
