"""`manage.py create_demo_admin`."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def create(**options: object) -> str:
    out = StringIO()
    call_command("create_demo_admin", stdout=out, **options)
    return out.getvalue().strip()


def test_the_password_is_printed_once_and_opens_the_admin() -> None:
    password = create(password_only=True)

    user = authenticate(username="admin", password=password)
    assert user is not None
    assert user.is_superuser
    assert len(password) >= 16
    assert create(password_only=True) == ""
    assert "password is unchanged" in create()


def test_reset_makes_a_new_password_and_no_second_account() -> None:
    old = create(password_only=True)

    new = create(reset=True, password_only=True)

    assert new != old
    assert authenticate(username="admin", password=old) is None
    assert authenticate(username="admin", password=new) is not None
    assert get_user_model().objects.count() == 1


def test_two_passwords_are_different() -> None:
    assert create(username="one", password_only=True) != create(username="two", password_only=True)
