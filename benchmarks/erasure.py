"""Erase 100 people of 100,000 and look for them everywhere: database, its whole dump, files and logs.

    DATABASE_URL=… python benchmarks/erasure.py [--people 100000] [--erase 100]

Makes a database and folders of its own and drops them. People have consents with proofs, events, vectors, texts in the
sealed audit trail with notes that name them, deliveries, results, mails on disk, lines of export files, rows of the
admin's history, stored answers, joined ids; some stand in logs, uploads and segments. Exit code 1 if a trace is left.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from run_support import scratch_database, timed  # sets the path and the environment

FIRST = ("Aurelian", "Brunhilde", "Cassiopeia", "Damaris", "Ethelbert", "Fiammetta", "Gwendoline", "Hyacinth")
BATCH = 2_000


def who(number: int) -> dict[str, str]:
    """Words of one length each, so that none is a part of another and a hit is a hit."""
    return {
        "external_id": f"crm-{number:07d}",
        "email": f"reader{number:07d}@mail{number % 97:02d}.example",
        "phone": f"+4479{number:08d}",
        "first_name": f"{FIRST[number % 8]}q{letters(number)}",
        "last_name": f"Threlfall{letters(number)}",
    }


def letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:07d}")


def fill(people: int, written: list[int], root: Path) -> None:
    from django.core.mail import EmailMessage
    from django.db import connection
    from django.utils import timezone

    from campaigns import people as crm
    from campaigns.consent import ConsentInput
    from campaigns.models import Channel, Profile
    from delivery import sheets
    from delivery.backends import MaildirBackend
    from generation import audit
    from generation.models import Piece, Status
    from tests import factories

    with timed("people with consents", people):
        for start in range(0, people, BATCH):
            items = []
            for number in range(start, min(people, start + BATCH)):
                given = who(number)
                said = [ConsentInput("email", "given", "form", proof=f"double opt-in of {given['email']}")]
                items.append(crm.ProfileInput(consents=said, **given))
            crm.store(items=items, source="benchmark")
    with connection.cursor() as cursor, timed("events and vectors", 3 * people):
        cursor.execute(
            "INSERT INTO campaigns_event (profile_id, message_id, name, occurred_at, quantity, amount, "
            "properties, received_at) "
            "SELECT p.id, 'm-' || p.external_id || '-' || n, 'purchased', now() - n * interval '40 days', 1, 20, "
            "jsonb_build_object('ordered_by', p.email), now() FROM campaigns_profile p, generate_series(1, 3) n"
        )
        cursor.execute(
            "INSERT INTO campaigns_profileembedding (profile_id, model, content_hash, vector, updated_at) "
            "SELECT id, 'm', md5(external_id), ('[' || repeat('0.05,', 383) || '0.05]')::halfvec, now() "
            "FROM campaigns_profile WHERE id % 20 = 0"
        )
    now = timezone.now()
    run = factories.RunFactory()
    version = factories.ModelVersionFactory()
    user = factories.UserFactory()
    keys = dict(
        Profile.objects.filter(external_id__in=[who(n)["external_id"] for n in written]).values_list(
            "external_id", "pk"
        )
    )
    file = factories.ExportFileFactory(
        run=run, channel=Channel.SMS, path="exports/texts.csv", rows=len(written)
    )
    backend = MaildirBackend()
    with timed("texts, deliveries, mails, history", len(written)):
        for number in written:
            given, pk = who(number), keys[who(number)["external_id"]]
            for channel in (Channel.EMAIL, Channel.SMS):
                piece = factories.PieceFactory(
                    run=run,
                    profile_id=pk,
                    channel=channel,
                    status=Status.DELIVERED,
                    model_version=version,
                    reviewed_by=user,
                )
                Piece.objects.filter(pk=piece.pk).update(
                    fields={"body": f"Dear {given['first_name']}, hello."}
                )
                factories.PieceEventFactory(piece=piece, note=f"{given['email']} asked for it")
                mail = channel == Channel.EMAIL
                sent = factories.DeliveryFactory(
                    piece=piece, transport="mail" if mail else "file", export_file=None if mail else file,
                    message_id=f"<{piece.pk}@personalize.example>",
                )  # fmt: skip
                factories.OutcomeFactory(
                    delivery=sent, event_id=f"click-{given['external_id']}-{channel}", occurred_at=now
                )
            headers = {"Message-ID": f"<{piece.pk}-mail@personalize.example>"}
            name, address = given["first_name"], given["email"]
            backend.send_messages(
                [EmailMessage("Hello", f"Dear {name}", to=[f"{name} <{address}>"], headers=headers)]
            )
    rows = [{"external_id": who(n)["external_id"], "text": f"Dear {who(n)['first_name']}"} for n in written]
    target = root / "out" / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(sheets.write(Channel.SMS, rows))
    plant(written, root, keys, user)
    with timed("audit trail sealed"):
        audit.seal()


def plant(written: list[int], root: Path, keys: dict[str, int], user: Any) -> None:
    """What should never be there, or lies about for a while."""
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.contrib.contenttypes.models import ContentType

    from campaigns.models import Identity, Profile, Upload, UploadPart
    from tests import factories

    kind = ContentType.objects.get_for_model(Profile)
    ids = [who(n)["external_id"] for n in written]
    factories.SegmentFactory(filter={"field": "external_id", "op": "one_of", "value": ids[:150]})
    logs = root / "state" / "logs"
    logs.mkdir(parents=True)
    (logs / "web.log").write_text(
        "".join(f'{{"event": "odd", "path": "/x/{who(n)["email"]}"}}\n' for n in written[:200])
    )
    content = ("id;mail\n" + "\n".join(f"{each};x" for each in ids)).encode("utf-16")
    upload = Upload.objects.create(token="t", file_name="contacts.csv", size=len(content))
    UploadPart.objects.create(upload=upload, number=0, data=content)
    for number in written:
        given = who(number)
        LogEntry.objects.create(
            user=user, content_type=kind, object_id=str(keys[given["external_id"]]), object_repr=given["external_id"],
            action_flag=CHANGE, change_message=f"Mail to {given['email']}",
        )  # fmt: skip
        factories.IdempotencyRecordFactory(
            body={"external_id": given["external_id"], "email": given["email"]}
        )
        Identity.objects.create(
            kind="anonymous", value=f"visitor-{given['external_id']}", profile_id=keys[given["external_id"]]
        )


def traces_of(numbers: list[int]) -> list[str]:
    return [
        text
        for number in numbers
        for text in (*who(number).values(), f"visitor-{who(number)['external_id']}")
    ]


def look(texts: list[str], root: Path, words: str) -> int:
    """Hits in the database by SQL, in files, and in the dump, each by a way of its own."""
    from campaigns.privacy import traces

    with timed(f"{words}: database by SQL"):
        columns = list(traces.in_database(texts))
    files = list(traces.in_files(texts))
    dumped = in_dump(texts)
    print(f"    columns with hits: {len(columns)} ({sum(rows for _, rows in columns):,} rows)", flush=True)
    for where, rows in columns:
        print(f"        {where}: {rows:,}")
    print(f"    files with hits: {len(files)} ({sum(hits for _, hits in files):,} places)")
    print(f"    lines of the dump with hits: {dumped:,}", flush=True)
    return len(columns) + len(files) + dumped


def in_dump(texts: list[str]) -> int:
    from django.db import connection

    tool = os.environ.get("PG_DUMP") or shutil.which("pg_dump")
    if tool is None:
        print("    no pg_dump here: set PG_DUMP")
        return 0
    given = connection.get_connection_params()
    place = [
        "-h",
        str(given["host"]),
        "-p",
        str(given["port"]),
        "-U",
        str(given["user"]),
        str(given["dbname"]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "all.sql"
        with dump.open("wb") as out:
            subprocess.run([tool, *place], stdout=out, check=True)
        wanted = Path(folder) / "wanted"
        wanted.write_text("\n".join(texts))
        found = subprocess.run(["grep", "-c", "-i", "-F", "-f", wanted, dump], capture_output=True, text=True)
        size, hits = dump.stat().st_size, int(found.stdout)
        print(f"    dump of {size / 1e6:,.0f} MB read")
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--erase", type=int, default=100)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp())
    os.environ |= {"OUTPUT_DIR": str(root / "out"), "STATE_DIR": str(root / "state")}
    os.environ["EMAIL_BACKEND"] = "delivery.backends.MaildirBackend"
    try:
        with scratch_database():
            left = run(options.people, options.erase, root)
    finally:
        shutil.rmtree(root)
    sys.exit(1 if left else 0)


def run(people: int, count: int, root: Path) -> int:
    from campaigns import privacy
    from campaigns.models import Profile
    from generation import audit

    step = people // count
    gone = list(range(7, people, step))[:count]
    written = sorted({*gone, *(n + 1 for n in gone)})  # the neighbours have as much, and keep it
    fill(people, written, root)
    print(f"\nBefore: {look(traces_of(gone), root, 'before')} places")
    neighbours = traces_of([n + 1 for n in gone])
    started = time.monotonic()
    certificates = privacy.erase_many(external_ids=[who(n)["external_id"] for n in gone], by=None)
    print(
        f"\n{len(certificates)} erased in {time.monotonic() - started:.1f} s; {Profile.objects.count():,} people left"
    )
    print("    one certificate:", certificates[0].number, certificates[0].removed)
    print("    all hold:", all(privacy.verify(each) for each in certificates))
    left = look(traces_of(gone), root, "after")
    verdict = audit.verify()
    print(f"    audit trail: {verdict.rows} rows, broken: {verdict.broken}, notes erased: {verdict.erased}")
    kept = {f.name for f in Path(root / "out" / "mail" / "new").iterdir()}
    print(
        f"    neighbours: {len(kept)} mails, {Profile.objects.filter(external_id__in=neighbours).count()} profiles"
    )
    print(f"\n{len(traces_of(gone))} texts of {len(gone)} people looked for: {left} hits")
    return left


if __name__ == "__main__":
    main()
