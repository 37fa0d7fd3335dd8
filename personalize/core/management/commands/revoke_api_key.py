"""Ends an API key."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from personalize.core import api_keys
from personalize.core.models import ApiKey


class Command(BaseCommand):
    help = "Revoke an API key for good, by the first characters that the admin and the logs show."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="its first 12 characters, 'pk_' included; more do no harm")

    def handle(self, *args: Any, **options: Any) -> None:
        lookup = options["key"][:12]
        key = ApiKey.objects.filter(lookup=lookup).first()
        if key is None:
            raise CommandError(f"There is no API key {lookup}….")
        done = api_keys.revoke(key=key)
        self.stdout.write(f"'{key.name}' {'is revoked' if done else 'had been revoked before'}.")
