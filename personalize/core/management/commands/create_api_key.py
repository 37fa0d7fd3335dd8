"""Makes an API key and prints it, once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from personalize.core import api_keys
from personalize.core.errors import InvalidInput
from personalize.core.models import Scope


class Command(BaseCommand):
    help = "Make an API key. The key itself is printed to standard output once and cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="which system will use it, such as 'CRM production'")
        parser.add_argument(
            "--scopes",
            nargs="+",
            required=True,
            metavar="SCOPE",
            help=f"what it may do: all, or any of {', '.join(Scope.values)}",
        )
        parser.add_argument(
            "--as",
            dest="acts_as",
            required=True,
            metavar="USER",
            help="the person it acts as; their permissions hold",
        )
        parser.add_argument(
            "--rate",
            type=int,
            metavar="N",
            help="requests it may make in a minute; 0: any number; API_REQUESTS_PER_MINUTE without it",
        )
        parser.add_argument("--days", type=int, metavar="N", help="expire after N days; never without it")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        try:
            person = users.objects.get_by_natural_key(options["acts_as"])
        except users.DoesNotExist as error:
            raise CommandError(
                f"There is no user {options['acts_as']!r}. Make one in the admin or with: manage.py createsuperuser"
            ) from error
        if options["days"] is not None and not 1 <= options["days"] <= 36_500:
            raise CommandError("--days must lie between 1 and 36500.")
        if options["rate"] is not None and not 0 <= options["rate"] <= 10_000_000:
            raise CommandError("--rate must lie between 0 and 10000000.")
        words = [word for scope in options["scopes"] for word in scope.split(",") if word]
        scopes = Scope.values if words == ["all"] else words
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        try:
            key, plain = api_keys.create(
                name=options["name"],
                scopes=scopes,
                acts_as=person,
                expires_at=expires,
                requests_per_minute=options["rate"],
            )
        except InvalidInput as error:
            raise CommandError(str(error)) from error
        self.stderr.write(
            f"API key '{key.name}' for {', '.join(key.scopes)}. Keep it: it is not shown again."
        )
        for scope, lacking in api_keys.missing_permissions(key=key).items():
            self.stderr.write(
                f"Note: {scope} is limited, {person.get_username()} lacks {', '.join(lacking)}."
            )
        self.stdout.write(plain)
