"""The MineThatData e-mail experiment (Hillstrom 2008), replayed through the product and counted by its own results.

    DATABASE_URL=… python benchmarks/hillstrom.py hillstrom.csv[.gz]

The file's three arms become a run: men's mail as personal copy, women's mail as generic copy, no mail as hold-out.
Visits and purchases come in as events and as reported outcomes, by the same calls that the API makes; the report then
must give the file's own visit, conversion and spend per arm, which stand beside it. Everything happens in one
transaction that is rolled back. Exit 1 if a number differs.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import os
import sys
import time
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")
os.environ.setdefault("DEBUG", "True")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from campaigns import events  # noqa: E402
from campaigns.models import Brand, Campaign, Channel, Profile, Run, RunTrigger  # noqa: E402
from delivery import outcomes  # noqa: E402
from delivery.models import Delivery  # noqa: E402
from delivery.results import exporting, report  # noqa: E402
from generation import arms, experiments  # noqa: E402
from generation.drafting import launching  # noqa: E402
from generation.models import Arm, HeldOut  # noqa: E402

ARMS = {"Mens E-Mail": Arm.PERSONAL, "Womens E-Mail": Arm.GENERIC, "No E-Mail": Arm.HOLDOUT}
BATCH = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, help="only the first so many")
    parser.add_argument("--png", type=Path, help="keep the chart here")
    parser.add_argument("--csv", type=Path, help="keep the file here")
    given = parser.parse_args()
    rows = read(given.file)[: given.rows]
    with transaction.atomic():
        found = replay(rows)
        if given.png:
            given.png.write_bytes(exporting.png(found))
        if given.csv:
            given.csv.write_bytes(exporting.csv_file(found))
        transaction.set_rollback(True)
    return show(rows, found)


def read(path: Path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(io.StringIO(text)))


def replay(rows: list[dict[str, str]]) -> report.Report:
    began = time.monotonic()
    sent = timezone.now() - timedelta(days=20)
    brand = Brand.objects.create(
        name="Hillstrom replay", slug="hillstrom-replay", about="a shop", voice="plain", sender_name="Shop",
        sender_email="shop@replay.example", postal_address="1 Street",
    )  # fmt: skip
    campaign = Campaign.objects.create(
        name="Hillstrom",
        slug="hillstrom-replay",
        brand=brand,
        goal="sell",
        cta="Look",
        channels=[Channel.EMAIL],
    )
    run = Run.objects.create(
        campaign=campaign, scheduled_for=sent, trigger=RunTrigger.MANUAL, brief={"values": [], "facts": []},
        brief_hash="0" * 64, brand_version=1,
    )  # fmt: skip
    experiments.save(
        campaign=campaign, by=None, changes={"holdout_percent": 33, "generic_percent": 33, "window_days": 14}
    )
    people = Profile.objects.bulk_create(
        [
            Profile(
                external_id=f"hillstrom-{n}", lifecycle=ARMS[row["segment"]]
            )  # the arm, for the lines below
            for n, row in enumerate(rows)
        ],
        batch_size=5_000,
    )
    ours = Profile.objects.filter(pk__gte=people[0].pk, pk__lte=people[-1].pk)
    arms.note_held_out(run, ours.filter(lifecycle=Arm.HOLDOUT))
    HeldOut.objects.filter(run=run).update(made_at=sent - timedelta(hours=1))
    launching.insert_pieces(run, Channel.EMAIL, ours.exclude(lifecycle=Arm.HOLDOUT))
    with connection.cursor() as cursor:
        # The file says who is in which arm, not our hash; and all messages have left.
        cursor.execute(
            "UPDATE generation_piece p SET arm = r.lifecycle, status = 'delivered', approved_hash = repeat('0', 64), "
            "delivered_at = %s, created_at = %s FROM campaigns_profile r WHERE r.id = p.profile_id AND p.run_id = %s",
            [sent, sent - timedelta(hours=1), run.pk],
        )
        cursor.execute(
            "INSERT INTO delivery_delivery (piece_id, channel, transport, status, message_id, rendered_hash, "
            "address_hash, attempts, response, created_at, finished_at) SELECT id, 'email', 'mail', 'handed_over', "
            "'<hillstrom-' || id || '@replay.example>', '', '', 1, '', %s, %s FROM generation_piece WHERE run_id = %s",
            [sent, sent, run.pk],
        )
    by_profile = dict(Delivery.objects.filter(piece__run=run).values_list("piece__profile_id", "pk"))
    print(f"{len(people):,} people, {len(by_profile):,} deliveries in {time.monotonic() - began:.1f} s")

    began = time.monotonic()
    happened, reported = [], []
    for n, (row, person) in enumerate(zip(rows, people, strict=True)):
        when = sent + timedelta(minutes=n % (13 * 24 * 60) + 1)
        if row["visit"] == "1":
            happened.append(events.EventInput(f"hv-{n}", person.external_id, "visited", when))
            if person.pk in by_profile:
                reported.append(
                    outcomes.OutcomeInput("clicked", f"hc-{n}", when, delivery_id=by_profile[person.pk])
                )
        if row["conversion"] == "1":
            amount = Decimal(row["spend"])
            happened.append(
                events.EventInput(f"hp-{n}", person.external_id, "purchased", when, quantity=1, amount=amount)
            )
    for at in range(0, len(happened), BATCH):
        events.record(items=happened[at : at + BATCH])
        events.record(items=happened[at : at + 50])  # delivered twice, counted once
    for at in range(0, len(reported), BATCH):
        outcomes.record(items=reported[at : at + BATCH])
    print(
        f"{len(happened):,} events and {len(reported):,} outcomes recorded in {time.monotonic() - began:.1f} s"
    )

    began = time.monotonic()
    found = report.of_run(run)
    print(f"results in {time.monotonic() - began:.2f} s\n")
    return found


def show(rows: list[dict[str, str]], found: report.Report) -> int:
    direct: dict[Arm, list[float]] = defaultdict(lambda: [0.0] * 4)
    for row in rows:
        sums = direct[ARMS[row["segment"]]]
        for place, name in enumerate(("visit", "conversion", "spend"), start=1):
            sums[place] += float(row[name])
        sums[0] += 1
    wrong = 0
    print(f"{'':16}{'people':>18}{'visit %':>20}{'conversion %':>20}{'spend a person':>22}")
    print(
        f"{'arm':16}"
        + f"{'product':>9}{'file':>9}"
        + f"{'product':>10}{'file':>10}" * 2
        + f"{'product':>11}{'file':>11}"
    )
    for arm, counts in found.arms:
        people, *sums = direct[arm]
        mine = (counts.people, counts.visitors, counts.buyers, round(counts.revenue, 2))
        theirs = (int(people), int(sums[0]), int(sums[1]), round(sums[2], 2))
        wrong += mine != theirs
        cells = [f"{mine[0]:>9,}{theirs[0]:>9,}"]
        cells += [f"{100 * mine[k] / mine[0]:>10.4f}{100 * theirs[k] / theirs[0]:>10.4f}" for k in (1, 2)]
        cells.append(f"{mine[3] / mine[0]:>11.5f}{theirs[3] / theirs[0]:>11.5f}")
        print(f"{report.NAMES[arm]:16}" + "".join(cells))
    print()
    for one in found.compared:
        print(f"{one.title:40} {one.sentence}")
        print(f"{'':40} looked at once: {one.span(one.found.once)}; extra in this arm: {one.extra:,.0f}")
    print("\nall numbers are the file's" if not wrong else f"\n{wrong} arms differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
