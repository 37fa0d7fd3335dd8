"""What the tests of writing begin with: people who may be written to, a campaign, its run."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from campaigns import consent
from campaigns.models import Campaign, Profile, Run
from generation import drafting
from generation.models import Piece
from tests.factories import CampaignFactory, ProfileFactory


def readers(count: int, **columns: Any) -> list[Profile]:
    """People with traits who agreed to e-mail."""
    return [ProfileFactory(consents=["email"], **columns) for _ in range(count)]


def launched(count: int = 3, **campaign: Any) -> Run:
    """A run with `count` e-mails to write, and no writer woken."""
    readers(count)
    return launch(CampaignFactory(**campaign))


def launch(campaign: Campaign, **options: Any) -> Run:
    return drafting.launch(campaign=campaign, by=None, scheduled_for=timezone.now(), queue=False, **options)


def statuses(run: Run) -> list[str]:
    return list(Piece.objects.filter(run=run).order_by("pk").values_list("status", flat=True))


def may_receive(profile: Profile, channel: str = "email") -> bool:
    return consent.may_receive(Profile.objects.filter(pk=profile.pk), channel=channel).exists()
