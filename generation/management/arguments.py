"""What the commands share: finding the person and the run that the command line names."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import CommandError
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
