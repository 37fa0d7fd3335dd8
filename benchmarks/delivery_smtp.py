"""How fast approved mails leave, against a bare smtplib loop that sends the same bytes.

    python benchmarks/delivery_smtp.py [--mails 2000] [--workers 1]

Sends to an aiosmtpd server in another process on this machine, from a database of its own that is made and
dropped (DATABASE_URL names the server). Every mail takes the whole way: claimed with every check, rendered,
marked as begun, handed over, settled with its audit rows. Prints deliveries a second and the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import smtplib
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")
os.environ.setdefault("DEBUG", "False")
os.environ.setdefault("SECRET_KEY", "only-for-a-benchmark-" + "b" * 40)
os.environ.setdefault("HASH_KEY", "only-for-a-benchmark")
os.environ["EMAIL_BACKEND"] = "django.core.mail.backends.smtp.EmailBackend"
os.environ["EMAIL_HOST"] = "127.0.0.1"
os.environ.setdefault("LOG_LEVEL", "ERROR")

GOAL = 120.0  # deliveries a second on two cores


def serve(port: Any, count: Any, ready: Any) -> None:
    """Take mails and count them; in a process of its own, so that it does not share the sender's interpreter."""
    from aiosmtpd.smtp import SMTP

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            with count.get_lock():
                count.value += 1
            return "250 OK"

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(Handler()), "127.0.0.1", 0)
        port.value = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    asyncio.run(run())


def make_due(mails: int) -> None:
    """A released run with that many approved pieces, by bulk inserts."""
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from campaigns.consent import ConsentInput
    from campaigns.models import Consent, Profile
    from campaigns.people import ProfileInput, upsert
    from delivery.claiming import content_hash
    from generation.models import Piece
    from tests import factories

    person = get_user_model().objects.create(username="somebody")
    now = timezone.now()
    run = factories.RunFactory(released_at=now, released_by=person)
    upsert(
        items=[
            ProfileInput(
                external_id=f"crm-{n}",
                email=f"reader-{n}@postbox.example",
                first_name="Ada" if n % 5 else "",
                consents=[ConsentInput(channel="email", status="given", source="benchmark")],
            )
            for n in range(mails)
        ],
        source="benchmark",
    )
    assert Consent.objects.count() == mails
    fields = factories.EMAIL_FIELDS
    digest = content_hash(fields)
    Piece.objects.bulk_create(
        [
            Piece(
                run=run,
                profile_id=profile_id,
                channel="email",
                status="approved",
                revision=1,
                fields=fields,
                text_hash=digest,
                approved_hash=digest,
                reviewed_at=now,
                reviewed_by=person,
                written_at=now,
            )
            for profile_id in Profile.objects.values_list("pk", flat=True)
        ],
        batch_size=1000,
    )


def bare_loop(port: int, mails: list[tuple[str, bytes]]) -> float:
    """Seconds that smtplib alone takes for the same mails over one connection."""
    start = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as client:
        for recipient, content in mails:
            client.sendmail("hello@wrenandember.example", [recipient], content)
    return time.perf_counter() - start


def work(_: int) -> float:
    """One worker process; it says how much CPU it took."""
    import django

    django.setup()
    from delivery import sending

    sending.deliver_due(limit=10**9)
    return time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the numbers to this file as well")
    options = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    port, count, ready = context.Value("i", 0), context.Value("i", 0), context.Event()
    server = context.Process(target=serve, args=(port, count, ready), daemon=True)
    server.start()
    ready.wait(30)
    os.environ["EMAIL_PORT"] = str(port.value)

    import django

    django.setup()
    from django.conf import settings
    from django.core.mail import EmailMultiAlternatives
    from django.db import connection, connections

    from delivery import claiming, rendering, sending
    from delivery.models import Delivery
    from generation.models import Piece

    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        make_due(options.mails)
        one = claiming.Ready(0, 0, 1, "<x@y>", "reader@postbox.example", None)
        pieces = list(Piece.objects.select_related("profile", "run__campaign__brand").order_by("id"))
        start = time.perf_counter()
        rendered = [rendering.render_email(piece, message_id="<x@y>") for piece in pieces]
        render_seconds = time.perf_counter() - start
        same = []
        for piece, content in zip(pieces, rendered, strict=True):
            ready_one = claiming.Ready(piece.pk, 0, one.attempt, "<x@y>", piece.profile.email, content)
            message: EmailMultiAlternatives = sending.message_of(ready_one)
            same.append((piece.profile.email, message.message().as_bytes(linesep="\r\n")))
        del pieces, rendered

        os.environ["DATABASE_URL"] = _url(connection.settings_dict)
        start, before = time.perf_counter(), time.process_time()
        if options.workers == 1:
            sending.deliver_due(limit=10**9)
            cpu = time.process_time() - before
        else:
            with context.Pool(options.workers) as pool:
                cpu = sum(pool.map(work, range(options.workers)))
        seconds = time.perf_counter() - start
        handed_over = Delivery.objects.filter(status="handed_over").count()
        received = count.value
        bare = bare_loop(settings.EMAIL_PORT, same)
    finally:
        connections.close_all()
        pool_of = getattr(connection, "close_pool", None)
        if pool_of:
            pool_of()
        connection.creation.destroy_test_db(name, verbosity=0)
        server.terminate()

    numbers = {
        "mails": options.mails,
        "workers": options.workers,
        "handed_over": handed_over,
        "received": received,
        "deliveries_per_second": round(options.mails / seconds, 1),
        "cpu_seconds": round(cpu, 2),
        "goal_per_second": GOAL,
        "bare_smtplib_per_second": round(options.mails / bare, 1),
        "ratio_to_bare": round(bare / seconds, 2),
        "render_milliseconds": round(render_seconds / options.mails * 1000, 2),
        "bytes_a_mail": round(sum(len(content) for _, content in same) / len(same)),
    }
    for key, value in numbers.items():
        print(f"{key:26} {value}")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    if received != options.mails or handed_over != options.mails:
        raise SystemExit("not every mail arrived once")


def _url(database: dict[str, Any]) -> str:
    host, port = database["HOST"] or "127.0.0.1", database["PORT"] or 5432
    return f"postgresql://{database['USER']}:{database['PASSWORD']}@{host}:{port}/{database['NAME']}"


if __name__ == "__main__":
    main()
