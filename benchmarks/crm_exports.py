"""What becomes of real exports, odd addresses and hostile strings on their way in, through and out again.

    python benchmarks/crm_exports.py FOLDER [STRINGS]

FOLDER holds crm-exports/*.csv, addresses/*.json(l) and hostile/*; what is missing is passed over. Every file comes
in by the command and, step by step, through the pages of the admin; every hostile string also by the API, is searched
for in the admin and written into files for spreadsheets. Works in a database of its own, which is dropped at the end.
STRINGS: at most so many of each list of hostile strings, evenly chosen; all take about half an hour on two cores.
Printed: file -> rows in, accepted, refused, why. The last line says whether anything was lost, run or answered 5xx.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalize.settings")
os.environ["LOG_LEVEL"] = "ERROR"
_scratch = tempfile.TemporaryDirectory()
os.environ["STATE_DIR"] = os.environ["OUTPUT_DIR"] = _scratch.name

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from campaigns.importing import jobs, reading  # noqa: E402
from campaigns.models import (  # noqa: E402
    AttributeDefinition,
    Channel,
    Consent,
    Import,
    ImportProblem,
    Profile,
    Suppression,
)
from delivery import exports  # noqa: E402
from personalize.core.spreadsheets import FORMULA  # noqa: E402
from tests import factories  # noqa: E402
from tests.api.client import make_client  # noqa: E402
from tests.delivery import scenes  # noqa: E402

WRONG: list[str] = []  # what must never happen


def wrong(sentence: str) -> None:
    WRONG.append(sentence)
    print(f"  !! {sentence}")


@contextlib.contextmanager
def own_database() -> Iterator[None]:
    connection.settings_dict["TEST"]["NAME"] = f"crm_exports_{os.getpid()}"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.DEBUG = False
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    setup_test_environment(debug=False)
    old = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(old, verbosity=0)


# -- the ways in -------------------------------------------------------------------------------------


def by_command(path: Path, *arguments: str) -> Import:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        call_command("import_profiles", str(path), "--lenient", *arguments)
    return Import.objects.latest("pk")


class Admin:
    """Somebody who may everything, at the pages of the admin."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)
        self.client.force_login(factories.SuperuserFactory())
        self.asked = 0

    def get(self, url: str, **query: str) -> str:
        response = self.client.get(url, query)
        return self._read(url, response)

    def post(self, url: str, data: dict[str, Any]) -> Any:
        response = self.client.post(url, data)
        self._read(url, response)
        return response

    def _read(self, url: str, response: Any) -> str:
        self.asked += 1
        if response.status_code >= 500:
            wrong(f"{url} answered {response.status_code}")
        if response.streaming:
            return b"".join(response.streaming_content).decode()
        return str(response.content.decode())

    def take_in(self, path: Path) -> tuple[Import, Import]:
        """Upload, columns as proposed, dry run, import; (dry run, import)."""
        response = self.post(
            "/admin/campaigns/import/upload/",
            {"kind": "profiles", "file": SimpleUploadedFile(path.name, path.read_bytes())},
        )
        url = response["Location"]
        shown = self.get(url)
        chosen = {name: value for name, value in _selected(shown).items() if name.startswith("to_")}
        page = self.post(url, {**chosen, "lenient": "yes", "go": "dry"})["Location"]
        dry = Import.objects.latest("pk")
        jobs.work(import_id=dry.pk)
        self.get(page)
        page = self.post(f"/admin/campaigns/import/{dry.pk}/take-in/", {})["Location"]
        wet = Import.objects.latest("pk")
        jobs.work(import_id=wet.pk)
        self.get(page)
        dry.refresh_from_db()
        wet.refresh_from_db()
        return dry, wet


def _selected(html: str) -> dict[str, str]:
    """The chosen value of each <select>, as a browser would post it."""
    from html.parser import HTMLParser

    found: dict[str, str] = {}

    class Parser(HTMLParser):
        select = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            if tag == "select":
                self.select = given.get("name") or ""
            elif tag == "option" and self.select and "selected" in given:
                found[self.select] = given.get("value") or ""

    Parser().feed(html)
    return found


def forget_people() -> None:
    for model in (ImportProblem, Import, Consent, Profile, Suppression):
        model.objects.all().delete()


# -- exports of CRMs ---------------------------------------------------------------------------------


def records_in(path: Path) -> int:
    """Rows that hold something, counted another way than we read: csv's own sniffing of UTF-8 text."""
    text = path.read_text(encoding="utf-8-sig")
    dialect = "excel-tab" if "\t" in text.partition("\n")[0] else "excel"
    return sum(any(cell.strip() for cell in row) for row in csv.reader(io.StringIO(text), dialect)) - 1


def why(record: Import) -> str:
    counted = Counter(record.problems.values_list("field", "message", "refused"))
    return "; ".join(
        f"{count} {'refused' if refused else 'left out'}: {field or 'row'} {message.split(':')[0].split(',')[0]}"
        for (field, message, refused), count in counted.most_common(3)
    )


def files(folder: Path, admin: Admin) -> None:
    print(f"{'file':34} {'as':16} rows  in  out again  why")
    total: Counter[str] = Counter()
    for path in sorted(folder.glob("*.csv")):
        forget_people()
        by_hand = by_command(path)
        forget_people_but = Profile.objects.count()
        again = by_command(path)
        if again.created or Profile.objects.count() != forget_people_but:
            wrong(f"{path.name}: read again, it made {again.created} people")
        forget_people()
        dry, wet = admin.take_in(path)
        counts = [(r.rows, r.refused, r.problem_count) for r in (by_hand, dry, wet)]
        if len(set(counts)) != 1:
            wrong(f"{path.name}: command, dry run and admin count differently: {counts}")
        accepted = wet.created + wet.updated + wet.unchanged
        if wet.rows != records_in(path) or wet.rows != accepted + wet.refused:
            wrong(
                f"{path.name}: {records_in(path)} rows in the file, {accepted} in and {wet.refused} refused"
            )
        with reading.Source(path) as source:
            kind = f"{source.encoding} {source.delimiter!r}"
        print(
            f"{path.name:34} {kind:16} {wet.rows:4} {accepted:3} {wet.refused:4} {again.created:5}  {why(wet)}"
        )
        total.update(files=1, rows=wet.rows, accepted=accepted, refused=wet.refused)
    print(f"{dict(total)}\n")


# -- addresses ---------------------------------------------------------------------------------------


def addresses(folder: Path, admin: Admin) -> None:
    cases: list[tuple[str, str, bool | None]] = []  # (group, address, must it be accepted?)
    for line in _lines(folder / "syntax_cases.jsonl"):
        case = json.loads(line)
        name, value = case["test"].removeprefix("test_"), case["values"][0]
        if name == "pyisemail_tests":
            status = str(case["values"][1])
            cases.append((f"pyisemail {status.split('_')[1]}", value, False if "_ERR" in status else None))
        elif name == "email_unsafe_character":
            cases.append((name, f"a{value}b@company.com", False))
        elif name == "email_valid":
            cases.append((name, value, True))
        elif "invalid" in name and "display_name" not in name:
            cases.append((name, value, False))
        else:
            cases.append((name, value, None))
    original = folder / "tests-original.json"
    for case in json.loads(original.read_text()) if original.exists() else []:
        must = False if case["category"] == "ISEMAIL_ERR" else None
        cases.append((f"isemail {case['category'].removeprefix('ISEMAIL_')}", case["address"], must))
    if not cases:
        return
    # White space around an address is taken off; quoted local parts and "Name <address>" are refused on purpose.
    cases = [
        (group, address, None if address != address.strip() or '"' in address or "<" in address else must)
        for group, address, must in cases
    ]
    forget_people()
    path = Path(_scratch.name) / "addresses.jsonl"
    with path.open("w") as target:
        for number, (_, address, _) in enumerate(cases, start=1):
            target.write(json.dumps({"id": f"a-{number}", "email": address}) + "\n")
    record = by_command(path, "--map", "external_id=id", "email=email")
    refused = set(record.problems.filter(refused=True).values_list("row", flat=True))
    stored = dict(Profile.objects.values_list("external_id", "email"))
    api = make_client()
    table: dict[str, Counter[str]] = {}
    for number, (group, address, must) in enumerate(cases, start=1):
        kept = bool(stored.get(f"a-{number}"))
        counted = table.setdefault(group, Counter())
        counted.update(
            cases=1, accepted=kept, refused=number in refused, empty=f"a-{number}" in stored and not kept
        )
        if must is not None and kept != must:
            counted.update(against=1)
        answer = api.put(f"profiles/b-{number}", {"email": address})
        if answer.status_code >= 500:
            wrong(f"API answered {answer.status_code} to address {number}")
        taken = Profile.objects.filter(external_id=f"b-{number}", email__gt="").exists()
        if taken != kept:
            wrong(f"address {number} ({group}): import {'took' if kept else 'refused'} it, the API did not")
    if record.rows != len(cases) or len(refused) + len(stored) != len(cases):
        wrong(f"addresses: {len(cases)} in, {len(stored)} kept, {len(refused)} refused")
    for group, counted in table.items():
        print(
            f"{group[:46]:46} {counted['cases']:4} cases {counted['accepted']:4} accepted "
            f"{counted['refused']:4} refused "
            f"{counted['empty']:3} empty"
            + (f"  {counted['against']} against the list" if counted["against"] else "")
        )
    print()


# -- hostile strings ---------------------------------------------------------------------------------


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def strings(folder: Path) -> dict[str, list[str]]:
    def leaves(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for each in value.values():
                yield from leaves(each)
        elif isinstance(value, list):
            for each in value:
                yield from leaves(each)

    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix == ".json":
            found[path.name] = list(leaves(json.loads(path.read_text())))
        elif path.suffix == ".jsonl":
            found[path.name] = [text for line in _lines(path) for text in leaves(json.loads(line))]
        elif path.suffix == ".txt":
            found[path.name] = [line for line in _lines(path) if line]
    return found


def hostile(folder: Path, admin: Admin, most: int) -> None:
    api = make_client()
    for name in ("city", "note"):
        AttributeDefinition.objects.get_or_create(name=name, defaults={"label": name})
    for source, found in strings(folder).items():
        texts = found[:: max(1, -(-len(found) // most))]
        forget_people()
        base = Path(_scratch.name)
        as_csv, as_lines = base / "hostile.csv", base / "hostile.jsonl"
        with as_csv.open("w", newline="", encoding="utf-8", errors="replace") as target:
            writer = csv.writer(target)
            writer.writerow(["id", "email", "first name", "last name", "city", texts[0][:60] or "x"])
            writer.writerows([f"h-{n}", f"h{n}@mail.example", t, t, t, t] for n, t in enumerate(texts))
        with as_lines.open("w", encoding="utf-8") as target:
            for n, text in enumerate(texts):
                target.write(
                    json.dumps(
                        {"id": text, "email": f"j{n}@mail.example", "first": text, "note": text, text: 1}
                    )
                    + "\n"
                )
        _, first = admin.take_in(as_csv)
        mapped = ("--map", "external_id=id", "email=email", "first_name=first", "attribute.note=note")
        second = by_command(as_lines, *mapped)
        for record, count in ((first, len(texts)), (second, len(texts))):
            kept = record.created + record.updated + record.unchanged
            if record.rows != count or kept + record.refused != count:
                wrong(f"{source}: {count} rows, {kept} kept, {record.refused} refused: {record.error}")
        answers: Counter[str] = Counter()
        for n, text in enumerate(texts):
            body = {
                "email": f"k{n}@mail.example",
                "first_name": text,
                "attributes": {"city": text, text[:60]: text},
            }
            answer = api.put(f"profiles/k-{n}", body)
            answers[f"{answer.status_code // 100}xx"] += 1
            answers.update(
                [f"bulk {api.post('profiles/bulk', {'items': [{'external_id': text}]}).status_code // 100}xx"]
            )
        if answers["5xx"] or answers["bulk 5xx"]:
            wrong(f"{source}: the API answered 5xx: {dict(answers)}")
        searched = search(admin, texts)
        defused = export(admin, texts, first)
        print(
            f"{source:30} {len(texts):4} strings: CSV {first.refused} refused, {first.problem_count} values left out; "
            f"as ids {second.refused} refused; API {dict(answers)}; {searched} pages searched; {defused} cells defused"
        )


def search(admin: Admin, texts: list[str]) -> int:
    """Every text in every search box, and every person's page: nothing runs, nothing breaks."""
    before = admin.asked
    for n, text in enumerate(texts):
        for model in ("profile", "import", "product", "segment", "campaign")[: None if n % 20 == 0 else 1]:
            shown = admin.get(f"/admin/campaigns/{model}/", q=text[:300])
            _harmless(shown, text)
    for pk in Profile.objects.order_by("pk").values_list("pk", flat=True)[:60]:
        admin.get(f"/admin/campaigns/profile/{pk}/change/")
    return admin.asked - before


def _harmless(shown: str, text: str) -> None:
    if len(text) > 8 and "<" in text and ">" in text and text in shown:
        wrong(f"a page shows markup as it came: {text[:60]!r}")
    if text.strip() in ("{{7*7}}", "${7*7}", "#{7*7}", "<%= 7 * 7 %>") and ">49<" in shown:
        wrong("a page worked out a template")


def export(admin: Admin, texts: list[str], record: Import) -> int:
    """Into files for spreadsheets: problems from the admin, and messages of hostile readers by the delivery export."""
    run = scenes.released_run()
    for n, text in enumerate(texts[:60]):
        person = factories.ProfileFactory(
            external_id=f"{text[:80]}-{n}" if text.isprintable() and text.strip() else f"x-{n}"
        )
        factories.ConsentFactory(profile=person, channel=Channel.SMS)
        scenes.approved(run, 1, profile=person, channel=Channel.SMS, fields={"text": text[:140] or "x"})
    cells = 0
    sheets = [admin.get(f"/admin/campaigns/import/{record.pk}/problems.csv")]
    sheets += [exports.location(file).read_text(encoding="utf-8-sig") for file in exports.export_run(run=run)]
    if len(sheets) < 2 and not all("{{" in text for text in texts):  # a text with holes is never handed over
        wrong("nothing was exported")
    for sheet in sheets:
        for row in csv.reader(io.StringIO(sheet.lstrip("\ufeff"))):
            for cell in row:
                cells += cell.startswith("'")
                if cell.startswith(FORMULA):
                    wrong(f"a cell of a file is a formula: {cell[:40]!r}")
    return cells


def main() -> None:
    if len(sys.argv) not in (2, 3) or not Path(sys.argv[1]).is_dir():
        raise SystemExit(__doc__)
    most = int(sys.argv[2]) if len(sys.argv) == 3 else 100_000
    folder = Path(sys.argv[1])
    started = time.monotonic()
    with own_database():
        admin = Admin()
        files(folder / "crm-exports", admin)
        addresses(folder / "addresses", admin)
        hostile(folder / "hostile", admin, most)
        print(f"\n{admin.asked} pages of the admin opened, {time.monotonic() - started:.0f} s")
    print("Nothing was lost, nothing ran, no 5xx." if not WRONG else f"{len(WRONG)} things went wrong.")
    _scratch.cleanup()
    raise SystemExit(1 if WRONG else 0)


if __name__ == "__main__":
    main()
