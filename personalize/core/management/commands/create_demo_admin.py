"""`manage.py create_demo_admin`: a first login for the embedded stack."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = (
        "Create a superuser with a random password and print the password, once. "
        "If the user exists nothing changes, unless --reset asks for a new password."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin", help="name of the account (default: admin)")
        parser.add_argument(
            "--reset", action="store_true", help="give an existing account a new random password"
        )
        parser.add_argument(
            "--password-only", action="store_true", help="print the password alone, or nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        username: str = options["username"]
        password = secrets.token_urlsafe(12)
        users = get_user_model().objects
        user = users.filter(username=username).first()
        if user is not None and not options["reset"]:
            if not options["password_only"]:
                self.stdout.write(
                    f"User {username} exists; its password is unchanged (--reset makes a new one)."
                )
            return
        if user is None:
            users.create_superuser(username=username, email=None, password=password)
        else:
            user.set_password(password)
            user.save(update_fields=["password"])
        self.stdout.write(password if options["password_only"] else f"User {username}, password {password}")
