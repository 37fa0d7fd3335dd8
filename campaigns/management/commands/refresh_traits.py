"""Traits, derived now."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import track

from campaigns import traits
from campaigns.models import Profile, TraitRule


class Command(BaseCommand):
    help = "Derive the traits of everybody whose attributes or events changed, or whose traits are older than a day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="derive everybody's, as after a change of the rules"
        )
        parser.add_argument(
            "--install-rules", action="store_true", help="first add the rules a workspace starts with"
        )

    def handle(self, *args: object, **given: Any) -> None:
        if given["install_rules"]:
            self.stdout.write(f"{traits.install_trait_rules()} rules added.")
        elif not TraitRule.objects.filter(is_active=True).exists():
            self.stdout.write(
                "No rule is active, so there is nothing to say of anybody: see --install-rules."
            )
        started = time.monotonic()
        if given["all"]:
            Profile.objects.filter(traits_at__isnull=False).update(traits_at=None)
        done = 0
        batches = range(0, Profile.objects.filter(traits_at__isnull=True).count() + 1, traits.BATCH)
        for _ in track(batches, description="deriving", console=Console(stderr=True), transient=True):
            done += traits.refresh_due(limit=traits.BATCH)
        done += traits.refresh_due()
        seconds = time.monotonic() - started
        self.stdout.write(
            f"{done:,} people in {seconds:,.1f} s ({done / max(seconds, 0.001):,.0f} a second)."
        )
