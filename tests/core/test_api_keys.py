"""API keys: shown once, found again by hash, refused in every state that should be refused."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from personalize.core import api_keys
from personalize.core.errors import InvalidInput
from personalize.core.models import ApiKey, Scope
from tests.factories import SuperuserFactory, UserFactory

pytestmark = pytest.mark.django_db


def make(**changes):
    return api_keys.create(
        **{"name": "CRM", "scopes": [Scope.PROFILES_READ], "acts_as": UserFactory(), **changes}
    )


def test_create_stores_no_part_of_the_secret():
    key, plain = make()

    row = ApiKey.objects.filter(pk=key.pk).values().get()
    assert plain.startswith("pk_") and len(plain) == 55
    secret = plain[12:]
    assert not any(secret in str(value) for value in row.values())
    assert 62 ** len(secret) > 2**256


def test_keys_differ():
    assert len({make()[1] for _ in range(20)}) == 20


def test_verify_finds_the_key_and_its_person():
    key, plain = make()

    assert api_keys.verify(plain=plain).pk == key.pk


@pytest.mark.parametrize("spoil", ["", "pk_", "x", "é" * 55, "pk_" + "a" * 52, "a\x00b", "p" * 10_000])
def test_verify_refuses_what_is_no_key(spoil):
    with pytest.raises(api_keys.KeyRefused, match="not known"):
        api_keys.verify(plain=spoil)


def test_verify_refuses_a_right_lookup_with_a_wrong_secret():
    _, plain = make()
    other = plain[:-1] + ("a" if plain[-1] != "a" else "b")

    with pytest.raises(api_keys.KeyRefused, match="not known"):
        api_keys.verify(plain=other)


def test_verify_refuses_expired_revoked_and_inactive():
    now = timezone.now()
    _, expired = make(expires_at=now)
    revoked_key, revoked = make()
    inactive_key, inactive = make()
    assert api_keys.revoke(key=revoked_key) is True
    assert api_keys.revoke(key=revoked_key) is False
    inactive_key.acts_as.is_active = False
    inactive_key.acts_as.save()

    for plain, why in ((expired, "expired"), (revoked, "revoked"), (inactive, "no longer active")):
        with pytest.raises(api_keys.KeyRefused, match=why):
            api_keys.verify(plain=plain, now=now)


def test_changed_hash_key_refuses_all_keys(settings):
    _, plain = make()

    settings.HASH_KEY = "another" * 8

    with pytest.raises(api_keys.KeyRefused):
        api_keys.verify(plain=plain)


def test_last_use_is_written_at_most_once_a_minute(django_assert_num_queries):
    key, plain = make()
    now = timezone.now()

    with django_assert_num_queries(2):
        api_keys.verify(plain=plain, now=now)
    with django_assert_num_queries(1):
        api_keys.verify(plain=plain, now=now + timedelta(seconds=59))
    key.refresh_from_db()
    assert key.last_used_at == now
    api_keys.verify(plain=plain, now=now + timedelta(seconds=61))
    key.refresh_from_db()
    assert key.last_used_at == now + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"scopes": []}, "scopes"), ({"scopes": ["profiles:delete"]}, "scopes"), ({"name": "  "}, "name")],
)
def test_create_refuses_and_says_what(changes, field):
    with pytest.raises(InvalidInput) as refusal:
        make(**changes)

    assert refusal.value.field == field
    assert not ApiKey.objects.exists()


def test_every_scope_says_which_permissions_it_needs():
    assert set(api_keys.PERMISSIONS) == set(Scope)


def test_permissions_of_scopes_exist():
    # A permission that does not exist is never had, except by a superuser: the mistake would stay unseen.
    for names in api_keys.PERMISSIONS.values():
        UserFactory(permissions=list(names))


def test_command_prints_the_key_alone_on_standard_output():
    person = SuperuserFactory(username="ada")
    out, err = io.StringIO(), io.StringIO()

    call_command("create_api_key", "CRM", "--scopes", "all", "--as", "ada", stdout=out, stderr=err)

    plain = out.getvalue().strip()
    assert api_keys.verify(plain=plain).acts_as == person
    assert plain not in err.getvalue() and "not shown again" in err.getvalue()
    call_command("revoke_api_key", plain[:12], stdout=out)
    with pytest.raises(api_keys.KeyRefused):
        api_keys.verify(plain=plain)


def test_command_names_what_the_person_lacks():
    UserFactory(username="bob")
    out, err = io.StringIO(), io.StringIO()

    call_command("create_api_key", "X", "--scopes", "pieces:review", "--as", "bob", stdout=out, stderr=err)

    assert "bob lacks generation.review_piece" in err.getvalue()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["X", "--scopes", "all", "--as", "nobody"], "no user 'nobody'"),
        (["X", "--scopes", "everything", "--as", "bob"], "Unknown scope everything"),
        (["X", "--scopes", "all", "--as", "bob", "--days", "0"], "--days"),
    ],
)
def test_command_says_what_is_wrong(arguments, words):
    UserFactory(username="bob")

    with pytest.raises(CommandError, match=words):
        call_command("create_api_key", *arguments)
