"""What claiming and storing cost around the writer, with one and with several workers.

    python benchmarks/run_claim.py [--readers 2000] [--workers 1 2 4] [--chunk 16]

Each worker is a process of its own with a stand-in for the model that answers at once, so what is left is the
whole protocol: claim, products, plan, checks, store, audit rows. Ends with an error if a piece was written twice
or lost. Works in a database of its own (DATABASE_URL names the server).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from run_support import campaign, scratch_database, timed

ROOT = Path(__file__).resolve().parent.parent


def main(readers: int, workers: list[int], chunk: int) -> int:
    with scratch_database():
        from django.db import connection
        from django.utils import timezone

        from generation import drafting
        from generation.drafting import leases
        from generation.models import Piece, PieceEvent

        made = campaign(readers)
        run = drafting.launch(campaign=made, by=None, queue=False, scheduled_for=timezone.now())
        with timed(f"claim alone, {chunk} at a time", readers):
            while leases.claim(now=timezone.now(), limit=chunk, run_id=run.pk):
                pass
        for count in workers:
            run = drafting.launch(campaign=made, by=None, queue=False, scheduled_for=timezone.now())
            database = connection.settings_dict
            place = f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
            password = f":{database['PASSWORD']}" if database["PASSWORD"] else ""
            environment = os.environ | {
                "DATABASE_URL": f"postgresql://{database['USER']}{password}@{place}",
                "WRITER_CHUNK": str(chunk),
            }
            command = [sys.executable, "-m", "tests.generation.slow_worker", str(run.pk), "0"]
            started = time.monotonic()
            processes = [subprocess.Popen(command, cwd=ROOT, env=environment) for _ in range(count)]
            assert [process.wait() for process in processes] == [0] * count
            whole = time.monotonic() - started
            pieces = Piece.objects.filter(run=run)
            first, last = (
                pieces.order_by(o).values_list("written_at", flat=True)[0]
                for o in ("written_at", "-written_at")
            )
            seconds = (last - first).total_seconds()
            stored = PieceEvent.objects.filter(run_id=run.pk, to_status="in_review")
            print(
                f"{count} worker(s): {readers / seconds:8,.0f} pieces a second stored ({seconds:.1f} s; "
                f"{whole:.1f} s with the start of the processes)",
                flush=True,
            )
            if stored.count() != readers or set(pieces.values_list("status", "revision")) != {
                ("in_review", 1)
            }:
                print("a piece was written twice or lost")
                return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, default=2_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--chunk", type=int, default=16)
    options = parser.parse_args()
    raise SystemExit(main(options.readers, options.workers, options.chunk))
