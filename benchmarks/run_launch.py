"""How long a launch, its counts and the decisions about it take.

    python benchmarks/run_launch.py [--readers 44621]

Works in a database of its own that is made and dropped (DATABASE_URL names the server). Nothing is written by a
model: texts are put in with one UPDATE, since only the road around the writer is measured.
"""

from __future__ import annotations

import argparse

from run_support import READERS, campaign, scratch_database, timed

GOAL_SECONDS = 10.0  # for the launch of READERS readers


def main(readers: int) -> int:
    with scratch_database():
        import time

        from django.utils import timezone

        from campaigns.models import Channel
        from generation import drafting, review
        from generation.models import Piece
        from tests.factories import EMAIL_FIELDS, SuperuserFactory

        with timed(f"make {readers:,} readers", readers):
            made = campaign(readers)
        made.channels = [Channel.EMAIL, Channel.GOOGLE_RSA, Channel.META_AD, Channel.LINKEDIN_AD]
        made.save()
        started = time.monotonic()
        with timed("launch: freeze the audience, make the pieces", readers):
            run = drafting.launch(campaign=made, by=None, queue=False)
        seconds = time.monotonic() - started
        pieces = Piece.objects.filter(run=run)
        assert pieces.count() == readers + 3, pieces.count()
        with timed("launch the same minute again: nothing to do"):
            assert drafting.launch(campaign=made, by=None, queue=False) == run
        with timed("progress of the run"):
            drafting.progress(run)
        pieces.update(
            status="in_review", revision=1, fields=EMAIL_FIELDS, text_hash="a" * 64, written_at=timezone.now()
        )
        person = SuperuserFactory()
        some = list(pieces.order_by("pk").values_list("pk", flat=True)[:5_000])
        with timed("approve 5,000 pieces by id", 5_000):
            assert review.decide_many(piece_ids=some, verdict="approve", by=person).approved == len(some)
        with timed("approve all that is clean", readers + 3 - 5_000):
            review.approve_clean(run=run, by=person)
        with timed("cancel the run: withdraw every piece", readers + 3):
            drafting.cancel(run=run, by=person)
    good = seconds <= GOAL_SECONDS
    print(
        f"launch of {readers:,}: {seconds:.1f} s, the goal is {GOAL_SECONDS:.0f} s: {'met' if good else 'MISSED'}"
    )
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, default=READERS)
    raise SystemExit(main(parser.parse_args().readers))
