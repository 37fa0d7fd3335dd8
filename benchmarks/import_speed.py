"""Which way into the table is faster for people, and how fast whole imports are.

    python benchmarks/import_speed.py [ROWS]

Compares four ways to upsert the same clean rows (everything rolled back): one JSON parameter (what
campaigns.people does), arrays through unnest, COPY into a temporary table, and executemany. Then imports a made-up file
whole, by chunks of several sizes, with peak memory. Needs DATABASE_URL and the other settings; leaves nothing behind.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from campaigns import importing, people  # noqa: E402
from campaigns.importing import running  # noqa: E402
from campaigns.models import Profile  # noqa: E402
from campaigns.people import ProfileInput  # noqa: E402

COLUMNS = "external_id, email, phone, first_name, last_name, locale, time_zone, attributes"
REST = ", '', '', '', '', '{}', '', now(), now()"
INTO = (
    f"INSERT INTO campaigns_profile ({COLUMNS}, email_hash, phone_hash, id_hash, lifecycle, traits, traits_hash,"
    " created_at, updated_at) "
)
CONFLICT = " ON CONFLICT (external_id) DO UPDATE SET email = EXCLUDED.email, attributes = EXCLUDED.attributes"


def rows(count: int, prefix: str) -> list[tuple[str, ...]]:
    return [
        (f"{prefix}-{n}", f"p{n}@mail{n % 50}.example", f"+4477009{n:05d}"[:13], "Ada", "Yarrow", "en-GB",
         "Europe/London", json.dumps({"city": "Leeds", "n": n}))
        for n in range(count)
    ]  # fmt: skip


def by_unnest(batch: list[tuple[str, ...]], cursor: Any) -> None:
    arrays = ", ".join(["%s::text[]"] * 8)
    fields = ", ".join(f"c{n}" if n < 7 else f"c{n}::jsonb" for n in range(8))
    names = ", ".join(f"c{n}" for n in range(8))
    cursor.execute(
        f"{INTO} SELECT {fields}{REST} FROM unnest({arrays}) AS t ({names}) {CONFLICT}",
        [list(column) for column in zip(*batch, strict=True)],
    )


def by_json(batch: list[tuple[str, ...]], cursor: Any) -> None:
    names = [f"c{n}" for n in range(8)]
    kinds = ", ".join(f"{name} text" for name in names)
    fields = ", ".join(name if name != "c7" else "c7::jsonb" for name in names)
    cursor.execute(
        f"{INTO} SELECT {fields}{REST} FROM json_to_recordset(%s::json) AS t ({kinds}) {CONFLICT}",
        [json.dumps([dict(zip(names, row, strict=True)) for row in batch])],
    )


def by_copy(batch: list[tuple[str, ...]], cursor: Any) -> None:
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS given"
        " (c0 text, c1 text, c2 text, c3 text, c4 text, c5 text, c6 text, c7 jsonb)"
    )
    cursor.execute("TRUNCATE given")
    with cursor.copy("COPY given FROM STDIN") as copy:
        for row in batch:
            copy.write_row(row)
    cursor.execute(f"{INTO} SELECT given.*{REST} FROM given {CONFLICT}")


def by_executemany(batch: list[tuple[str, ...]], cursor: Any) -> None:
    cursor.executemany(f"{INTO} VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb{REST}) {CONFLICT}", batch)


def ways(count: int) -> None:
    for name, way in (
        ("json", by_json),
        ("unnest", by_unnest),
        ("copy", by_copy),
        ("executemany", by_executemany),
    ):
        given = rows(count, f"bench-{name}")
        times = []
        with transaction.atomic():
            for _ in ("insert", "update"):
                started = time.perf_counter()
                with connection.cursor() as cursor:
                    for start in range(0, count, people.BATCH):
                        way(given[start : start + people.BATCH], cursor)
                times.append(time.perf_counter() - started)
            transaction.set_rollback(True)
        print(f"{name:12} insert {count / times[0]:9,.0f} rows/s   update {count / times[1]:9,.0f} rows/s")


def whole(count: int) -> None:
    path = Path(tempfile.mkdtemp()) / "bench.csv"
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["id", "email", "phone", "first", "last", "locale", "zone", "opt_in"])
        writer.writerows([*row[:7], "yes"] for row in rows(count, "bench-file"))
    mapping = dict(
        zip(
            (
                "external_id",
                "email",
                "phone",
                "first_name",
                "last_name",
                "locale",
                "time_zone",
                "consent.email",
            ),
            ("id", "email", "phone", "first", "last", "locale", "zone", "opt_in"),
            strict=True,
        )
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for chunk in (500, 2_000, 5_000):
        running.CHUNK = chunk
        for run in ("new", "again"):
            started, cpu = time.perf_counter(), time.process_time()
            record = importing.import_profiles(path=path, mapping=mapping)
            seconds = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(
                f"chunk {chunk:5} {run:5} {count / seconds:8,.0f} rows/s ({time.process_time() - cpu:.1f} s of our CPU"
                f" in {seconds:.1f} s)  peak {peak // 1024} MB (before {before // 1024} MB)"
            )
            record.delete()
        Profile.objects.filter(external_id__startswith="bench-file-").delete()


def services(count: int) -> None:
    items = [ProfileInput(*row[:7]) for row in rows(count, "bench-svc")]
    started = time.perf_counter()
    cleaned = [people.clean(item, defined={}) for item in items]
    print(f"clean        {count / (time.perf_counter() - started):9,.0f} rows/s")
    started = time.perf_counter()
    with transaction.atomic():
        people.store(items=[each.item for each in cleaned], source="bench", now=timezone.now())
        print(f"store        {count / (time.perf_counter() - started):9,.0f} rows/s")
        transaction.set_rollback(True)


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    ways(size)
    services(size)
    whole(size)
