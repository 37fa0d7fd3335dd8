"""How long the pages of the review take with a million pieces in the table, and how many queries each makes.

    python benchmarks/review_million.py [--pieces 1000000] [--times 30]

Works in a database of its own that is made and dropped (DATABASE_URL names the server). Pieces are made by INSERT …
SELECT: readers of twenty runs of four campaigns, two fifths in review, the rest decided; one in seven has a finding.
Each page is asked for through the whole stack of middleware, as one who may review; what is timed is the server's
part, from the request to the last byte of the answer. The number of queries must be the same for every request of a
page, and the same as with a thousandth of the pieces. `--explain` prints the slowest query of each page.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run_support import scratch_database, timed

GOAL = 0.300  # seconds of the server, median and 95th percentile
RUNS = 20
WARM = 2  # requests before those that are timed
LEDGER = [
    {"label": "subject", "text": "A pan for the fire", "sources": ["r1"], "logprob": -0.4},
    {
        "label": "body",
        "text": "All iron is {{discount}} off until {{end_date}}.",
        "sources": ["f1"],
        "logprob": -0.2,
    },
    {
        "label": "body",
        "text": "Every pan comes seasoned and ready to cook on.",
        "sources": ["f2"],
        "logprob": -0.3,
    },
]

# One row is copied with other keys. md5 stands for chance that is the same on every machine.
PROFILES = """
INSERT INTO campaigns_profile ({columns}) SELECT {values}
FROM campaigns_profile p, generate_series(%s, %s) n WHERE p.id = %s
"""
PIECES = """
INSERT INTO generation_piece ({columns}) SELECT {values}
FROM generation_piece p,
    (SELECT n, ('x' || substr(md5(n::text), 1, 7))::bit(28)::int AS dice FROM generate_series(%s::int, %s) n) d
WHERE p.id = %s
"""
FINDINGS = """
INSERT INTO generation_finding (piece_id, revision, rule, severity, field, index, start, "end", message)
SELECT id, revision, CASE WHEN blocking > 0 THEN 'claims.unsupported' ELSE (ARRAY['brand.avoided_word',
       'grammar.note', 'copy.near_copy', 'limits.long'])[1 + id %% 4] END,
       CASE WHEN blocking > 0 THEN 'blocking' ELSE 'warning' END, 'body', 0, 0, 5, 'Look at this.'
FROM generation_piece WHERE (blocking > 0 OR warnings > 0) AND id > %s
"""
EVENTS = """
INSERT INTO generation_pieceevent (piece_id, run_id, campaign, channel, revision, text_hash, at, actor_name,
                                   from_status, to_status, reason, note)
SELECT id, run_id, 'campaign', channel, revision, text_hash, now(), '', 'generating', 'in_review', '', ''
FROM generation_piece WHERE id > %s
"""


@dataclass
class Measured:
    name: str
    seconds: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)  # of a processor: this process and its database backend
    queries: set[int] = field(default_factory=set)
    slowest: tuple[float, str] = (0.0, "")


# A page: the request with this number as (method, address, query or body).
Ask = Callable[[int], tuple[str, str, dict[str, Any]]]


class Table:
    """The readers, runs and pieces, grown in steps."""

    def __init__(self) -> None:
        from campaigns.models import ReviewPolicy
        from generation.models import Piece, Status
        from tests import factories

        campaigns = [factories.CampaignFactory(review_policy=ReviewPolicy.CLEAN_TOGETHER) for _ in range(4)]
        self.runs = [factories.RunFactory(campaign=campaigns[n % 4]) for n in range(RUNS)]
        person = factories.UserFactory()
        candidate = {"fields": dict(factories.EMAIL_FIELDS), "score": 0.4, "findings": []}
        self.piece = factories.PieceFactory(
            run=self.runs[0], ledger=LEDGER, candidates=[candidate], status=Status.WITHDRAWN
        )
        Piece.objects.filter(pk=self.piece.pk).update(
            revision=1, fields=factories.EMAIL_FIELDS, text_hash="a" * 64, score=0.5,
            model_version=factories.ModelVersionFactory(), prompt_version="test-1",
        )  # fmt: skip
        self.profile, self.person, self.readers, self.pieces = self.piece.profile, person, 0, 0

    def grow(self, count: int) -> None:
        from django.db import connection

        from campaigns.models import Profile
        from generation.models import Piece

        readers = count // RUNS
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM generation_piece")
            (last,) = cursor.fetchone()
            sql = copied(
                PROFILES, Profile, "p",
                id="1000000 + n", external_id="'reader-' || n", email="'reader-' || n || '@postbox.example'",
                email_hash="md5(n::text)", phone="''", phone_hash="''", id_hash="md5('id' || n)",
            )  # fmt: skip
            cursor.execute(sql, (self.readers, readers - 1, self.profile.pk))
            status = "CASE WHEN dice % 5 < 2 THEN 'in_review' WHEN dice % 5 < 4 THEN 'delivered' ELSE 'rejected' END"
            warned = "(dice / 5) % 7 = 0"
            sql = copied(
                PIECES, Piece, "p",
                run_id=f"(ARRAY{[run.pk for run in self.runs]})[1 + n % {RUNS}]",
                profile_id=f"1000000 + n / {RUNS}", text_hash="md5(n::text) || md5(n::text)", seed="n",
                status=status, score="CASE WHEN dice % 97 = 0 THEN NULL ELSE -((dice / 35) % 10000) / 5000.0 END",
                blocking=f"CASE WHEN {warned} AND dice % 3 = 0 THEN 1 ELSE 0 END",
                warnings=f"CASE WHEN {warned} AND dice % 3 > 0 THEN 1 ELSE 0 END",
                approved_hash="CASE WHEN dice % 5 IN (2, 3) THEN md5(n::text) || md5(n::text) ELSE '' END",
                delivered_at="CASE WHEN dice % 5 IN (2, 3) THEN now() END",
                reviewed_at="CASE WHEN dice % 5 > 1 THEN now() END",
                reviewed_by_id=f"CASE WHEN dice % 5 > 1 THEN {self.person.pk} END",
            )  # fmt: skip
            cursor.execute(sql, (self.pieces, count - 1, self.piece.pk))
            cursor.execute(FINDINGS, (last,))
            cursor.execute(EVENTS, (last,))
            self.readers, self.pieces = readers, count
            for name in (
                "generation_piece",
                "generation_finding",
                "generation_pieceevent",
                "campaigns_profile",
            ):
                cursor.execute(f"VACUUM (ANALYZE) {name}")


def copied(template: str, model: Any, source: str, **changes: str) -> str:
    """The INSERT … SELECT that copies a row of this model with other values; `changes` are SQL of ours alone."""
    columns = [f.column for f in model._meta.concrete_fields if f.column != "id" or "id" in changes]
    values = [changes.get(column, f'{source}."{column}"') for column in columns]
    return template.format(
        columns=", ".join(f'"{c}"' for c in columns), values=", ".join(values).replace("%", "%%")
    )


def worked_seconds(backend: int) -> float:
    """Processor time of this process and of its database backend, where that runs on this machine.

    On a machine that does other work beside, the clock says how long somebody waited and this what it took.
    """
    own = time.process_time()
    try:
        own += int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError):
        return own
    return own


def p95(numbers: list[float]) -> float:
    return sorted(numbers)[min(len(numbers) - 1, round(0.95 * len(numbers)))]


def measure(client: Any, pages: dict[str, Ask], times: int) -> Iterator[Measured]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    for name, ask in pages.items():
        row = Measured(name)
        for turn in range(times + WARM):
            method, url, body = ask(turn)
            worked, began = worked_seconds(backend), time.perf_counter()
            response = getattr(client, method)(url, body)
            _ = response.content
            seconds = time.perf_counter() - began
            worked = worked_seconds(backend) - worked
            assert response.status_code in (200, 302), (name, url, response.status_code)
            if turn >= WARM:  # the first two fill caches of templates and plans
                row.seconds.append(seconds)
                row.worked.append(worked)
        for turn in range(
            times + WARM, times + WARM + 2
        ):  # queries are counted apart: keeping them costs time
            method, url, body = ask(turn)
            with CaptureQueriesContext(connection) as captured:
                getattr(client, method)(url, body)
            row.queries.add(len(captured))
            row.slowest = max([row.slowest, *((float(q["time"]), q["sql"]) for q in captured)])
        yield row


def pages(table: Table) -> dict[str, Ask]:
    from generation.models import Piece, Status

    queue = "/admin/generation/piece/"
    waiting = Piece.objects.filter(status=Status.IN_REVIEW, blocking=0).order_by("?")
    ids = list(waiting.values_list("pk", flat=True)[:2_000])
    run = table.runs[3].pk
    desk = {"approve": iter(ids[: len(ids) // 2]), "reject": iter(ids[len(ids) // 2 :])}

    def decide(verdict: str) -> Ask:
        def ask(turn: int) -> tuple[str, str, dict[str, Any]]:
            pk = next(desk[verdict])
            return "post", f"{queue}{pk}/{verdict}/", {"revision": 1, "reason": "dull"}

        return ask

    def get(url: str, **query: Any) -> Ask:
        return lambda turn: ("get", url, query)

    clean = {"findings": "clean", "channel": "email", "run": run}
    found = {
        "queue": get(queue),
        "queue, page 101": get(queue, p=100),
        "queue, one campaign": get(queue, campaign=table.runs[1].campaign_id),
        "queue, one run": get(queue, run=run),
        "queue, blocked": get(queue, findings="blocking"),
        "queue, clean": get(queue, findings="clean"),
        "queue, one rule": get(queue, rule="claims.unsupported"),
        "queue, every status": get(queue, status="all"),
        "desk": lambda turn: ("get", f"{queue}{ids[turn % len(ids)]}/change/", {}),
        "desk, within one run": lambda turn: (
            "get", f"{queue}{ids[turn % len(ids)]}/change/", {"_changelist_filters": f"run={run}"},
        ),
        "desk, within one rule": lambda turn: (
            "get", f"{queue}{ids[turn % len(ids)]}/change/", {"_changelist_filters": "rule=brand.avoided_word"},
        ),
        "desk, approve": decide("approve"),
        "desk, reject": decide("reject"),
        "by kind": get(f"{queue}kinds/"),
        "run in numbers": get(f"/admin/campaigns/run/{run}/numbers/"),
        "today": get("/admin/"),
        "run": get(f"/admin/campaigns/run/{run}/change/"),
        "runs": get("/admin/campaigns/run/"),
    }  # fmt: skip
    asked = {"action": "approve_all", "select_across": "1", "_selected_action": str(ids[0])}
    address = queue + "?" + "&".join(f"{k}={v}" for k, v in clean.items())
    found["bulk, one run's clean pieces asked about"] = lambda turn: ("post", address, asked)
    page = {**asked, "select_across": "0", "_selected_action": ids[:50]}
    found["bulk, a selection of 50 asked about"] = lambda turn: ("post", queue, page)
    return found


def chosen(table: Table, only: Sequence[str]) -> dict[str, Ask]:
    found = pages(table)
    return {name: ask for name, ask in found.items() if not only or name in only}


def bulk_decision(client: Any, table: Table) -> None:
    """The decision itself over a whole filter: asked about once, then done; the seconds are of both."""
    from generation.models import Piece, Status

    for name, query in (
        ("bulk decision, one run", f"run={table.runs[5].pk}&findings=clean"),
        ("bulk decision, all that is clean", "findings=clean"),
    ):
        body = {"action": "approve_all", "select_across": "1", "_selected_action": "1"}
        url = f"/admin/generation/piece/?{query}"
        first = Piece.objects.filter(status=Status.IN_REVIEW).values_list("pk", flat=True).first()
        body["_selected_action"] = str(first)
        began = time.perf_counter()
        asked = client.post(url, body)
        between = time.perf_counter()
        count = asked.context["counted"]["total"]
        done = client.post(url, {**body, "seen": asked.context["seen"]}, follow=True)
        ended = time.perf_counter()
        told = [str(m) for m in done.context["messages"]]
        seconds = f"asked {between - began:6.2f} s   decided {ended - between:6.2f} s"
        print(f"{name:<44} {count:>9,} pieces   {seconds}   {told[0]}", flush=True)


def main(pieces: int, times: int, explain: bool, only: Sequence[str]) -> int:
    with scratch_database():
        from django.db import connection
        from django.test import Client
        from django.test.utils import setup_test_environment

        from tests.factories import SuperuserFactory

        setup_test_environment(debug=False)

        table, client = Table(), Client()
        client.force_login(SuperuserFactory())
        few = max(2_000, pieces // 1_000)
        table.grow(few)
        small = {row.name: row.queries for row in measure(client, chosen(table, only), 0)}
        with timed(f"make {pieces:,} pieces with their readers", pieces):
            table.grow(pieces)
        print(f"\nserver time over {times} requests each, queries with {pieces:,} and with {few:,} pieces")
        print(f"{'':<44} {'clock':>9} {'':>9} {'processor':>9}")
        print(f"{'page':<44} {'median':>9} {'p95':>9} {'median':>9} {'p95':>9}   queries")
        bad = heavier = False
        for row in measure(client, chosen(table, only), times):
            constant = row.queries == small[row.name] and len(row.queries) == 1
            slow = p95(row.seconds) > GOAL
            heavy = p95(row.worked) > GOAL
            bad |= slow or not constant
            heavier |= heavy
            figures = (
                statistics.median(row.seconds),
                p95(row.seconds),
                statistics.median(row.worked),
                p95(row.worked),
            )
            print(
                f"{row.name:<44} {' '.join(f'{1000 * figure:6.0f} ms' for figure in figures)}   "
                f"{sorted(row.queries)} {sorted(small[row.name])}"
                f"{'  SLOW' if slow else ''}{'  HEAVY' if heavy else ''}{'' if constant else '  GROWS'}",
                flush=True,
            )
            if explain and (heavy or slow):
                print(f"    {row.slowest[0] * 1000:.0f} ms: {row.slowest[1][:1500]}")
                if row.slowest[1].startswith("SELECT"):
                    with connection.cursor() as cursor:
                        cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + row.slowest[1].replace("%", "%%"))
                        print("\n".join("        " + line[0] for line in cursor.fetchall()))
        if not only or "bulk" in only:
            bulk_decision(client, table)
        print(f"\nmedian and p95 below {GOAL * 1000:.0f} ms, queries constant: {'MISSED' if bad else 'met'}")
        print(f"processor time alone below {GOAL * 1000:.0f} ms: {'MISSED' if heavier else 'met'}")
        return int(bad)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pieces", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=30, help="requests of each page")
    parser.add_argument(
        "--only", nargs="*", default=[], help="names of pages, as printed; the bulk decisions with bulk"
    )
    parser.add_argument("--explain", action="store_true", help="print the slowest query of each slow page")
    given = parser.parse_args()
    sys.exit(main(given.pieces, given.times, given.explain, given.only))
