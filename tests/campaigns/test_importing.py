"""Files of any shape: a bad row costs only itself, a repeat changes nothing, an interruption loses nothing."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import importing, people
from campaigns.importing import Options, dialect, mapping, running
from campaigns.importing.reading import BadRow, Row, Source
from campaigns.models import (
    AttributeDefinition,
    Consent,
    Event,
    Import,
    ImportProblem,
    Product,
    Profile,
)
from personalize.core.errors import InvalidInput
from tests.factories import AttributeDefinitionFactory, ConsentFactory, ProfileFactory, UserFactory


def write(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    raw = text.encode(encoding)
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def rows_in(path: Path, **more: Any) -> list[Row | BadRow]:
    with Source(path, **more) as source:
        return list(source.rows())


def cells(path: Path, **more: Any) -> list[dict[str, object]]:
    found = rows_in(path, **more)
    assert not [row for row in found if isinstance(row, BadRow)]
    return [dict(row.cells) for row in found if isinstance(row, Row)]


# -- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["people.csv", "people.csv.gz"])
def test_encodings_delimiters_and_gzip_are_told_apart(
    tmp_path: Path, encoding: str, delimiter: str, name: str
) -> None:
    text = f"id{delimiter}name\n1{delimiter}Zoë Müller\n2{delimiter}Ada\n"
    path = write(tmp_path / name, text, encoding=encoding)
    assert cells(path) == [{"id": "1", "name": "Zoë Müller"}, {"id": "2", "name": "Ada"}]


def test_headers_get_names_that_differ(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", " Name , Name,,Name\na,b,c,d\n")
    assert cells(path) == [{"Name": "a", "Name (2)": "b", "column 3": "c", "Name (3)": "d"}]


def test_bad_rows_cost_only_themselves_and_keep_their_numbers(tmp_path: Path) -> None:
    text = (
        'a,b,c\n1,"never closed,3\n4,5,6\n\n7,"two\nlines",9\n10,11,12,13\n14,"x"\n15,16,17,,\n'
        ' 18 , "with, comma" ,20\n16,"at the end\n21,22,23\n'
    )
    found = rows_in(write(tmp_path / "a.csv", text))
    assert [(row.number, isinstance(row, BadRow)) for row in found] == [
        (1, True), (2, False), (4, False), (5, True), (6, False), (7, False), (8, False), (9, True), (10, False),
    ]  # fmt: skip
    good = [list(row.cells.values()) for row in found if isinstance(row, Row)]
    assert good == [
        ["4", "5", "6"], ["7", "two\nlines", "9"], ["14", "x", ""], ["15", "16", "17"],
        ["18 ", "with, comma ", "20"], ["21", "22", "23"],
    ]  # fmt: skip


def test_a_quote_that_swallows_the_file_costs_one_row(tmp_path: Path) -> None:
    lines = [f"{n},x" for n in range(3000)]
    lines[5] = '5,"x'
    found = rows_in(write(tmp_path / "a.csv", "id,v\n" + "\n".join(lines) + "\n"))
    assert [row.number for row in found if isinstance(row, BadRow)] == [6]
    assert len(found) == 3000


def test_bytes_that_are_no_text_cost_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,name\n" + b"1,ok\n" * 20_000 + b"2,\xff\xfe\n3,fine\n")
    found = rows_in(path)
    assert [row.number for row in found if isinstance(row, BadRow)] == [20_001]
    assert len(found) == 20_002


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    import tracemalloc

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv.gz"
        with gzip.open(path, "wt", compresslevel=1) as target:
            target.write("id,name\n")
            target.writelines(f"{n},{'x' * 200}\n" for n in range(count))
        tracemalloc.start()
        with Source(path) as source:
            assert sum(1 for _ in source.rows()) == count
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(20_000) < peak(1_000) + 200_000


@pytest.mark.parametrize("dumped", ["array", "lines"])
def test_json_arrays_and_lines_with_dotted_paths(tmp_path: Path, dumped: str) -> None:
    records = [
        {"id": n, "address": {"city": f"Ä{n}"}, "tags": ["a", "b"], "pad": "x" * 9_000} for n in range(30)
    ]
    text = json.dumps(records, indent=1) if dumped == "array" else "\n".join(map(json.dumps, records))
    found = rows_in(write(tmp_path / "a.json.gz", text))
    assert [row.cells["address.city"] for row in found if isinstance(row, Row)] == [
        f"Ä{n}" for n in range(30)
    ]
    assert importing.headers_of(tmp_path / "a.json.gz") == ["id", "address.city", "pad"]


def test_json_lists_inside_records_become_rows(tmp_path: Path) -> None:
    carts = [{"user": 1, "products": [{"id": 7}, {"id": 8}]}, {"user": 2, "products": []}, {"user": 3}]
    found = rows_in(write(tmp_path / "a.json", json.dumps(carts)), each="products")
    assert [(row.cells["user"], row.cells["products.id"]) for row in found if isinstance(row, Row)] == [
        (1, 7),
        (1, 8),
    ]
    assert importing.headers_of(tmp_path / "a.json", each="products") == ["user", "products.id"]


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "no header"),
        ("a.csv.gz", b"\x1f\x8b\x08garbage", "damaged gzip"),
        ("a.csv.gz", gzip.compress(b"id,name\n" + bytes(range(65, 90)) * 99_999)[:5_000], "breaks off"),
        ("a.json", b"{'id': 1}", "is not JSON"),
        ("a.json", b'[{"id": 1}, {"id":', "is not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, name: str, raw: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InvalidInput, match=says):
        rows_in(tmp_path / name)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        Source(tmp_path / "nothing.csv")


_cell = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_cell, min_size=3, max_size=3), min_size=1, max_size=20), st.sampled_from(",;\t"))
def test_what_a_csv_writer_wrote_is_read_again(
    tmp_path: Path, table: list[list[str]], delimiter: str
) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target, delimiter=delimiter).writerows([["a", "b", "c"], *table])
    read = [list(row.cells.values()) for row in rows_in(path) if isinstance(row, Row)]
    assert [[str(cell).strip() for cell in row] for row in read] == [row for row in table if any(row)]


# -- mapping -----------------------------------------------------------------------------------------


def test_mappings_are_read_as_they_are_written() -> None:
    pairs = ["email=E-Mail=Address", "currency:=GBP", "attribute.spend:number=Spend", "external_id:=row"]
    assert importing.parse_pairs(pairs) == {
        "email": "E-Mail=Address", "currency": ":=GBP", "attribute.spend:number": "Spend", "external_id": ":=row",
    }  # fmt: skip
    for bad in ("email", "=x"):
        with pytest.raises(InvalidInput):
            importing.parse_pairs([bad])


@pytest.mark.parametrize(
    ("given_map", "says"),
    [
        ({"email": "Email"}, "Say which column holds external_id"),
        ({"external_id": "Id"}, "no column 'Id'. Its columns are: id, Email"),
        ({"external_id": "id", "shoe": "Email"}, "There is no field 'shoe'"),
        ({"external_id": "id", "consent.meta_ad": "Email"}, "people agree to one of"),
        ({"external_id": "id", "attribute.Shoe": "Email"}, "lower-case words"),
        ({"external_id": "id", "attribute.ssn": "Email"}, "names a secret"),
        ({"external_id": "id", "attribute.city": "bank.cardNumber"}, "names a secret"),
        ({"external_id": ":=same"}, "made of one of"),
    ],
)
def test_a_mapping_that_cannot_work_says_why(given_map: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        mapping.parse(given_map, kind="profiles", headers=["id", "Email", "bank.cardNumber"])


@pytest.mark.parametrize(
    ("headers", "proposed"),
    [
        ("Lead ID,Contact Name,Email,Mobile,Notes", {"external_id": "Lead ID", "full_name": "Contact Name"}),
        ("Nmae,Emial,Phne", {"full_name": "Nmae", "email": "Emial", "phone": "Phne", "external_id": ":=contact"}),
        ("Nombre,Correo,Telefono", {"full_name": "Nombre", "email": "Correo", "phone": "Telefono"}),
        ("First Name,Last Name,Email Address,Company Name", {"first_name": "First Name", "last_name": "Last Name"}),
        ("form_name,email,full_name", {"full_name": "full_name"}),
        ("firstName,lastName,password,address.country", {"first_name": "firstName", "external_id": ":=row"}),
        ("email,opt_in,City", {"consent.email": "opt_in", "attribute.city": "City"}),
    ],
)  # fmt: skip
def test_proposals_from_column_names(headers: str, proposed: dict[str, str]) -> None:
    found = importing.propose_mapping(headers.split(","), attributes=["city"])
    assert proposed.items() <= found.items()
    assert not {"password", "Company Name", "form_name", "Notes"} & set(found.values())


def test_proposals_for_events_and_products() -> None:
    found = importing.propose_mapping(
        ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"],
        kind="events",
    )
    assert found["event"] == ":=purchased"
    assert (found["external_id"], found["sku"], found["unit_price"]) == (
        "CustomerID",
        "StockCode",
        "UnitPrice",
    )
    found = importing.propose_mapping(["StockCode", "description"], kind="products")
    assert found == {"sku": "StockCode", "name": "description"}


# -- people ------------------------------------------------------------------------------------------

PEOPLE = """id,Email,Name,Phone,opt_in,opted_at,City
1,ada@b.example,Ada Lovelace,+447700900001,yes,2024-05-01,Leeds
2,not-an-address,Bram,,no,2024-05-01,York
3,cleo@b.example,"Sato, Cleo",,no,2024-05-02,York
4,dina@b.example,Dina,,perhaps,,York
5,eoin@b.example,Eoin,+12345678901234567890,yes,2024-05-01,York
6,frida@b.example,Frida,,yes,soon,York
"""
MAP = {
    "external_id": "id", "email": "Email", "full_name": "Name", "phone": "Phone", "consent.email": "opt_in",
    "consent_at": "opted_at", "attribute.city": "City",
}  # fmt: skip


@pytest.fixture
def people_file(tmp_path: Path) -> Path:
    return write(tmp_path / "people.csv", PEOPLE)


def state() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Profile, Event, Consent, Product, AttributeDefinition)
    ]


@pytest.mark.django_db
def test_good_rows_come_in_and_bad_ones_are_told_about(people_file: Path) -> None:
    AttributeDefinitionFactory(name="city")
    user = UserFactory()
    seen: list[tuple[int, int]] = []
    record = importing.import_profiles(
        path=people_file, mapping=MAP, by=user, progress=lambda read, total: seen.append((read, total))
    )
    assert (record.rows, record.created, record.refused, record.problem_count) == (6, 2, 4, 4)
    assert (record.status, record.started_by, record.ignored) == ("done", user, [])
    assert seen[-1] == (people_file.stat().st_size, people_file.stat().st_size)
    problems = ImportProblem.objects.order_by("row").values_list("row", "field", "refused")
    assert list(problems) == [
        (2, "email", True),
        (4, "consent.email", True),
        (5, "phone", True),
        (6, "consent_at", True),
    ]
    ada, cleo = Profile.objects.order_by("external_id")
    assert (ada.first_name, ada.last_name, ada.attributes) == ("Ada", "Lovelace", {"city": "Leeds"})
    assert (cleo.first_name, cleo.last_name) == ("Cleo", "Sato")
    consents = Consent.objects.order_by("profile__external_id").values_list("status", "source", "recorded_at")
    assert list(consents) == [
        ("given", "import people.csv", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("withdrawn", "import people.csv", datetime(2024, 5, 2, 12, tzinfo=UTC)),
    ]


@pytest.mark.django_db
def test_lenient_keeps_everybody_who_can_be_kept(people_file: Path) -> None:
    record = importing.import_profiles(path=people_file, mapping=MAP, options=Options(lenient=True))
    assert (record.created, record.refused, record.problem_count) == (5, 1, 4)
    assert record.ignored == ["city"]
    assert set(Consent.objects.values_list("profile__external_id", flat=True)) == {"1", "3", "5"}


@pytest.mark.django_db
def test_repeating_an_import_changes_nothing(people_file: Path) -> None:
    importing.import_profiles(path=people_file, mapping=MAP)
    before = state()
    record = importing.import_profiles(path=people_file, mapping=MAP)
    assert state() == before
    assert (record.created, record.updated, record.unchanged, record.refused) == (0, 0, 2, 4)


@pytest.mark.django_db
def test_an_import_never_subscribes_again(people_file: Path) -> None:
    ada = ProfileFactory(external_id="1")
    ConsentFactory(profile=ada, status="withdrawn", recorded_at=datetime(2023, 1, 1, tzinfo=UTC))
    importing.import_profiles(path=people_file, mapping=MAP)
    assert Consent.objects.get(profile=ada).status == "withdrawn"


@pytest.mark.django_db
def test_a_dry_run_counts_the_same_and_changes_nothing(people_file: Path) -> None:
    people_file.write_text(PEOPLE + "1,ada@b.example,Ada,,,,\n")
    ProfileFactory(external_id="3")
    before = state()
    options = Options(define_attributes=True)
    dry = importing.import_profiles(path=people_file, mapping=MAP, dry_run=True, options=options)
    assert state() == before
    wet = importing.import_profiles(path=people_file, mapping=MAP, options=options)
    for name in ("rows", "created", "refused", "problem_count", "ignored"):
        assert getattr(dry, name) == getattr(wet, name), name
    assert dry.created == 1
    assert dry.updated == wet.updated + wet.unchanged
    assert AttributeDefinition.objects.filter(name="city").exists()


@pytest.mark.django_db
def test_chunks_are_whole_and_an_interruption_leaves_them(
    people_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CHUNK", 2)
    write(people_file, "id,Email\n" + "".join(f"{n},p{n}@b.example\n" for n in range(9)))
    store, calls = people.store, []

    def interrupted(**given_: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return store(**given_)

    monkeypatch.setattr(people, "store", interrupted)
    mapped = {"external_id": "id", "email": "Email"}
    with pytest.raises(KeyboardInterrupt):
        importing.import_profiles(path=people_file, mapping=mapped)
    stopped = Import.objects.get()
    assert (stopped.status, stopped.rows, stopped.created, Profile.objects.count()) == ("failed", 4, 4, 4)
    assert "running it again is harmless" in stopped.error
    again = importing.import_profiles(path=people_file, mapping=mapped)
    assert (again.created, again.unchanged, Profile.objects.count()) == (5, 4, 9)


@pytest.mark.django_db
def test_a_file_that_breaks_off_keeps_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import random

    noise = random.Random(1)
    monkeypatch.setattr(running, "CHUNK", 100)
    text = "id\n" + "".join(f"{noise.getrandbits(120)}\n" for _ in range(20_000))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(text.encode())[:100_000])
    with pytest.raises(InvalidInput, match="breaks off"):
        importing.import_profiles(path=path, mapping={"external_id": "id"})
    record = Import.objects.get()
    assert record.status == "failed"
    assert Profile.objects.count() == record.created > 1_000


@pytest.mark.django_db
def test_problems_are_capped_and_counted(people_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_PROBLEMS", 3)
    monkeypatch.setattr(running, "CHUNK", 2)
    write(people_file, "id,Email\n" + "x,not-an-address\n" * 9)
    told: list[int] = []
    record = importing.import_profiles(
        path=people_file, mapping={"external_id": "id", "email": "Email"},
        on_problem=lambda row, problem: told.append(row),
    )  # fmt: skip
    assert (record.problem_count, record.problems.count(), len(told)) == (9, 3, 9)


@pytest.mark.django_db
def test_ids_are_minted_by_row_or_contact(tmp_path: Path) -> None:
    path = write(
        tmp_path / "Spring List.csv", "mail,tel,x\nada@b.example,\nADA@b.example,\n,+447700900001\n,,x\n"
    )
    contact = {"external_id": ":=contact", "email": "mail", "phone": "tel"}
    record = importing.import_profiles(path=path, mapping=contact)
    assert (record.created, record.refused) == (2, 1)
    minted = set(Profile.objects.values_list("external_id", flat=True))
    assert all(external_id.startswith("c-") and "@" not in external_id for external_id in minted)
    assert not any("b.example" in external_id for external_id in minted)
    other = write(tmp_path / "other.csv", "mail,tel\nada@b.example,\n")
    assert importing.import_profiles(path=other, mapping=contact).created == 0
    by_row = {"external_id": ":=row", "email": "mail"}
    importing.import_profiles(path=path, mapping=by_row)
    assert set(Profile.objects.values_list("external_id", flat=True)) - minted == {
        f"spring-list-{n}" for n in (1, 2, 3, 4)
    }


# -- events and products -----------------------------------------------------------------------------

ORDERS = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID
536370,22728,ALARM CLOCK PINK,24,2010-12-01 08:45:00,3.75,12583
536370,22728,ALARM CLOCK PINK,24,2010-12-01 08:45:00,3.75,12583
C536371,22728,ALARM CLOCK PINK,-1,2010-12-02 08:45:00,3.75,12583
536372,POST,POSTAGE,1,2010-12-03 08:45:00,18.00,12584
536373,22728,ALARM CLOCK PINK,two,2010-12-03 08:45:00,18.00,12584
536374,22728,ALARM CLOCK PINK,2,2010-12-03 08:45:00,18.00,
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return write(tmp_path / "orders.csv", ORDERS)


def import_orders(path: Path, **more: Any) -> Import:
    proposed = importing.propose_mapping(importing.headers_of(path), kind="events")
    return importing.import_events(path=path, mapping=proposed, **more)


@pytest.mark.django_db
def test_order_lines_become_purchases_and_returns(orders: Path) -> None:
    record = import_orders(orders, options=Options(create_profiles=True, create_products=True))
    assert (record.rows, record.created, record.refused) == (6, 4, 2)
    first, again, back, post = Event.objects.order_by("occurred_at", "pk")
    assert (first.name, first.quantity, first.amount, first.properties) == (
        "purchased",
        24,
        90,
        {"order_id": "536370"},
    )
    assert again.message_id != first.message_id
    assert (back.name, back.quantity) == ("returned", -1)
    assert first.product is not None and first.product.noun_phrase == "a pink alarm clock"
    assert post.product is not None and post.product.noun_phrase == ""  # nobody "bought a postage"
    assert list(record.problems.values_list("row", "field")) == [(5, "quantity"), (6, "external_id")]


@pytest.mark.django_db
def test_order_lines_read_again_repeat_nothing(orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(create_profiles=True)
    import_orders(orders, options=options)
    before = state()
    monkeypatch.setattr(running, "CHUNK", 1)  # the copies of a line are told apart across chunks too
    renamed = write(orders.parent / "again.csv.gz", ORDERS)
    record = import_orders(renamed, options=options)
    assert (record.created, record.unchanged) == (0, 4)
    assert state() == before


@pytest.mark.django_db
def test_events_of_unknown_people_are_refused_and_of_unknown_products_kept(orders: Path) -> None:
    ProfileFactory(external_id="12583")
    dry = import_orders(orders, dry_run=True)
    assert not Event.objects.exists()
    record = import_orders(orders)
    assert (dry.created, dry.refused) == (record.created, record.refused) == (3, 3)
    assert Event.objects.filter(product=None, properties__sku="22728").count() == 3


@pytest.mark.django_db
def test_carts_in_json_become_baskets(tmp_path: Path) -> None:
    ProfileFactory(external_id="5")
    carts = [
        {
            "userId": 5,
            "products": [{"id": 1, "quantity": 2, "total": 9.98}, {"id": 2, "quantity": 1, "total": 1}],
        }
    ]
    path = write(tmp_path / "carts.json", json.dumps(carts))
    record = importing.import_events(
        path=path,
        mapping={
            "external_id": "userId", "event": ":=cart_left", "occurred_at": ":=2025-05-01", "sku": "products.id",
            "quantity": "products.quantity", "amount": "products.total",
        },
        options=Options(each="products", create_products=True),
    )  # fmt: skip
    assert record.created == 2
    assert set(Event.objects.values_list("name", "product__sku", "quantity")) == {
        ("cart_left", "1", 2), ("cart_left", "2", 1),
    }  # fmt: skip


@pytest.mark.django_db
def test_products_come_in_with_words(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.csv",
        "sku,title,price,url\n1,HAND GRINDER 250ML,£29.00,\n2,,1,\n3,Pan,-4,\n4,Pot,4,ftp://x\n",
    )
    mapped = {"sku": "sku", "name": "title", "price": "price", "currency": ":=gbp", "url": "url"}
    record = importing.import_products(path=path, mapping=mapped)
    assert (record.created, record.refused) == (1, 3)
    assert list(record.problems.values_list("row", "field")) == [(2, "name"), (3, "price"), (4, "url")]
    grinder = Product.objects.get()
    assert (grinder.noun_phrase, grinder.currency, str(grinder.price)) == ("a hand grinder", "GBP", "29.00")
    assert importing.import_products(path=path, mapping=mapped).unchanged == 1


# -- commands ----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_command_guesses_imports_and_writes_the_problems(
    people_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "problems.csv"
    call_command("import_profiles", str(people_file), "--problems", str(out), "--lenient")
    shown = capsys.readouterr()
    assert "external_id='id'" in shown.err
    assert "rows" in shown.out
    with out.open() as source:
        written = list(csv.DictReader(source))
    assert [(row["row"], row["field"], row["refused"]) for row in written] == [
        ("2", "email", "yes"), ("4", "consent.email", "no"), ("5", "phone", "no"),
    ]  # fmt: skip


@pytest.mark.django_db
def test_commands_take_mapping_files_and_say_what_is_wrong(people_file: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "map.json", json.dumps({"external_id": "id"}))
    call_command("import_profiles", str(people_file), "--map-file", str(file), "--dry-run")
    assert not Profile.objects.exists()
    for arguments in (
        ["--map", "external_id=nope"],
        ["--map", "nonsense"],
        ["--map-file", str(people_file)],
        ["--map", "external_id=id", "--time-zone", "Mars/Crater"],
        ["--map", "external_id=id", "--as", "nobody"],
    ):
        with pytest.raises(CommandError):
            call_command("import_profiles", str(people_file), *arguments)
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_events", str(tmp_path / "none.csv"), stdout=StringIO())


@pytest.mark.django_db
def test_json_paths_nobody_has_stop_the_import(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps([{"id": 1, "address": {"city": "Leeds"}}]))
    with pytest.raises(InvalidInput, match=r"has 'adress\.city'"):
        importing.import_profiles(path=path, mapping={"external_id": "id", "attribute.city": "adress.city"})
    assert Import.objects.get().status == "failed"


def test_the_chunk_reader_is_lazy() -> None:
    endless = iter(int, 1)
    assert next(running.chunked(endless, 3)) == [0, 0, 0]
    assert dialect.delimiter_of(['"a;b;c;d",x']) == ","
