"""A client of the API, and a small world for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from generation import engines
from tests.api.client import ApiClient, make_client
from tests.api.world import World, make_world
from tests.fakes import FakeWriter, HashEmbedder


@pytest.fixture(autouse=True)
def _quick_and_quiet(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.API_COMPOSE_WAIT = 0  # where a test wants to wait, it says so
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def api(db: None) -> ApiClient:
    """Every scope, and a person who may do everything."""
    return make_client()


@pytest.fixture
def client_for(db: None) -> Callable[..., ApiClient]:
    return make_client


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def writer() -> Iterator[FakeWriter]:
    fake = FakeWriter()
    with engines.use(writer=fake, embedder=HashEmbedder()):
        yield fake
