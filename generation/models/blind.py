"""Two versions of the writer read side by side by somebody who is not told which is which."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from generation.models.versions import ModelVersion


class Preference(models.TextChoices):
    FIRST = "first", "The first version"
    SECOND = "second", "The second version"
    NEITHER = "neither", "Neither is better"


class BlindVote(models.Model):
    """What one person preferred of one pair. `first` has the smaller id: a pair of versions is kept one way round.

    `pair` is the hash of what both were asked to write and of both texts: written anew, it is another pair.
    """

    first = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="+")
    pair = models.CharField(max_length=64)
    preference = models.CharField(max_length=8, choices=Preference.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["first", "second", "pair", "by"], name="blind_vote_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="blind_vote_one_way_round"),
            models.CheckConstraint(
                condition=Q(preference__in=Preference.values), name="blind_vote_preference_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.first_id} and {self.second_id}: {self.preference}"
