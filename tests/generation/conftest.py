"""The writer's and embedder's stand-ins, for tests that write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from generation import engines
from tests.fakes import FakeWriter, HashEmbedder


@pytest.fixture
def writer() -> Iterator[FakeWriter]:
    """A quick writer in this process's place for the real one, with a quick embedder beside it."""
    fake = FakeWriter()
    with engines.use(writer=fake, embedder=HashEmbedder()):
        yield fake


@pytest.fixture
def race() -> Callable[..., list[Any]]:
    """Call `work` from `count` threads at the same moment; what each returned, or the exception it raised."""

    def run(work: Callable[[], Any], count: int = 4) -> list[Any]:
        gate = Barrier(count)

        def one() -> Any:
            try:
                gate.wait(timeout=10)
                return work()
            except Exception as error:
                return error
            finally:
                connection.close()

        with ThreadPoolExecutor(count) as pool:
            return [job.result(timeout=60) for job in [pool.submit(one) for _ in range(count)]]

    return run
