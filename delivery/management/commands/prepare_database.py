"""`manage.py prepare_database`: what a new or upgraded installation needs before its processes start."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Bring the schema up to date, then the groups and their permissions. Safe to repeat."

    def handle(self, *args: Any, verbosity: int = 1, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=verbosity)
        call_command("setup_roles", verbosity=verbosity, stdout=self.stdout)
