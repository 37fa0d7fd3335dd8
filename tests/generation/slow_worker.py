"""A writer's process that can be killed: `python -m tests.generation.slow_worker RUN SECONDS_A_BATCH`.

It does what a worker does: sweep, then write chunk after chunk until the run has nothing left.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")


def main(run_id: int, seconds: float) -> None:
    django.setup()
    from django.utils import timezone

    from generation import drafting, engines
    from generation.models import Piece
    from tests.fakes import FakeWriter, HashEmbedder

    class SlowWriter(FakeWriter):
        def write(self, *args: Any) -> Any:
            drafts = super().write(*args)
            time.sleep(seconds)
            return drafts

    with engines.use(writer=SlowWriter(), embedder=HashEmbedder()):
        while Piece.objects.filter(run_id=run_id, status__in=("draft", "generating")).exists():
            drafting.leases.return_expired(now=timezone.now())
            if drafting.write_chunk(run_id=run_id) == 0:
                time.sleep(0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
