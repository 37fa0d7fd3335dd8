"""What the benchmarks of runs share: a database of their own with as many readers as asked for."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")
os.environ.setdefault("DEBUG", "False")
os.environ.setdefault("SECRET_KEY", "only-for-a-benchmark-" + "b" * 40)
os.environ.setdefault("HASH_KEY", "only-for-a-benchmark")
os.environ["LOG_LEVEL"] = "ERROR"

READERS = 44_621  # rows of the development split of the Hillstrom mail experiment


@contextmanager
def scratch_database() -> Iterator[None]:
    """A migrated database beside the one DATABASE_URL names; dropped afterwards."""
    import django

    django.setup()
    from django.conf import settings
    from django.test.utils import setup_databases, teardown_databases

    settings.DATABASES["default"]["TEST"]["NAME"] = f"bench_{os.getpid()}"
    made = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(made, verbosity=0)


@contextmanager
def timed(what: str, count: int = 0) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    speed = f"   {count / seconds:>10,.0f} a second" if count else ""
    print(f"{what:<48} {seconds:7.2f} s{speed}", flush=True)


def campaign(readers: int, texts: int = 400) -> Any:
    """A launchable campaign over `readers` people who agreed to e-mail and have one of `texts` sets of traits."""
    from campaigns import consent
    from campaigns.models import Consent, Profile
    from tests.factories import CampaignFactory

    now = datetime(2026, 7, 1, tzinfo=UTC)
    profiles = []
    for number in range(readers):
        kind = number % texts
        address = f"reader-{number}@postbox.example"
        profiles.append(
            Profile(
                external_id=f"reader-{number:06d}",
                email=address,
                email_hash=consent.address_hash(consent.normalise_address("email", address)),
                lifecycle="active",
                traits=[f"likes the {word(kind)} kind", "orders every few weeks"],
                traits_hash=hashlib.sha256(f"kind {kind}".encode()).hexdigest(),
                traits_at=now,
            )
        )
    Profile.objects.bulk_create(profiles, batch_size=5_000)
    Consent.objects.bulk_create(
        (
            Consent(profile_id=pk, channel="email", status="given", source="benchmark", recorded_at=now)
            for pk in Profile.objects.values_list("pk", flat=True)
        ),
        batch_size=5_000,
    )
    return CampaignFactory(review_policy="clean_together")


def word(number: int) -> str:
    """A number in letters: traits hold no digits."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))
