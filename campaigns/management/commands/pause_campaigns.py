"""`manage.py pause_campaigns`: nothing more is written or sent, until each is resumed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from campaigns import schedules
from campaigns.models import Campaign, CampaignStatus


class Command(BaseCommand):
    help = "Pause every active campaign: before work on the database, or when something goes wrong at night."

    def handle(self, *args: Any, **options: Any) -> None:
        active = Campaign.objects.filter(status=CampaignStatus.ACTIVE).order_by("pk")
        for campaign in active:
            schedules.pause(campaign=campaign, by=None)
            self.stdout.write(f"paused {campaign.slug}")
