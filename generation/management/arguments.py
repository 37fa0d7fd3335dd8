"""What the commands share: finding the person and the run that the command line names."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from campaigns.models import Run


def person(username: str) -> AbstractBaseUser:
    """The active user of that name, in whose name the command decides."""
    users = get_user_model()._default_manager
    found = users.filter(**{users.model.USERNAME_FIELD: username, "is_active": True}).first()
    if found is None:
        raise CommandError(f"There is no active user '{username}'. `manage.py createsuperuser` makes one.")
    return found


def moment(given: str) -> datetime:
    """A day or a time of the command line; without a zone, of the server's."""
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise ArgumentTypeError(
            f"{given!r} is no day or time: write 2026-01-31 or 2026-01-31T09:00."
        ) from None
    return at if at.tzinfo else timezone.make_aware(at)


def run_of(number: int) -> Run:
    found = Run.objects.select_related("campaign").filter(pk=number).first()
    if found is None:
        raise CommandError(f"There is no run {number}. The campaign's page lists its runs.")
    return found


def progress_bar(console: Console) -> Progress:
    """Done of how many, what the caller puts into `speed`, and the time left. Silent where nobody looks."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
