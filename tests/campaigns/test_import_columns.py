"""Which column is what: names in many languages, contents, sources; and files as tools really write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from campaigns import importing
from campaigns.importing import dialect, guessing
from campaigns.importing.reading import Row, Source
from personalize.core.errors import InvalidInput


def proposed(text: str, tmp_path: Path, **more: Any) -> dict[str, str]:
    path = tmp_path / more.pop("name", "a.csv")
    path.write_bytes(text.encode(more.pop("encoding", "utf-8")))
    headers, rows = importing.sample_of(path)
    return importing.propose_mapping(headers, rows=rows, file_name=path.name, **more)


def cells(path: Path) -> list[dict[str, object]]:
    with Source(path) as source:
        return [dict(row.cells) for row in source.rows() if isinstance(row, Row)]


# -- names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "targets"),
    [
        ("الاسم,البريد الإلكتروني,رقم الهاتف", "full_name email phone"),
        ("\u200fשם מלא,דוא״ל,טלפון נייד", "full_name email"),
        ("Имя,Фамилия,Электронная почта,Телефон", "first_name last_name email phone"),
        ("姓名,邮箱,手机号", "full_name email phone"),
        ("お名前,メールアドレス,電話番号", "full_name email phone"),
        ("Vorname,Nachname,E-Mail-Adresse,Telefonnummer", "first_name last_name email phone"),
        ("Prénom,Nom,Adresse e-mail,Téléphone", "first_name last_name email phone"),
        ("नाम,ईमेल,फ़ोन", "full_name email phone"),
        ("E-mail 1 - Value,Phone 1 - Value,First Name", "email phone first_name"),
        ("EMAIL,FNAME,LNAME,SMS,EMAIL_BLACKLIST", "email first_name last_name phone opt_out.email"),
        ("Email,Email Opt Out,Email Bounced Date", "email opt_out.email bounced.email"),
        ("Email,Unsubscribed from all email,Email hard bounce reason", "email opt_out.email bounced.email"),
        ("Email,Accepts Email Marketing,Accepts SMS Marketing", "email consent.email consent.sms"),
    ],
)
def test_columns_are_known_in_the_languages_of_their_makers(headers: str, targets: str) -> None:
    found = importing.propose_mapping(headers.split(","))
    names = headers.replace("\u200f", "").split(",")
    assert [found[target] for target in targets.split()] == [
        header
        for header in headers.split(",")
        if guessing.words_of(header) in {guessing.words_of(found[target]) for target in targets.split()}
    ] or set(targets.split()) <= set(found)
    assert len(names) == len(headers.split(","))
    assert set(targets.split()) <= set(found)


def test_names_that_differ_by_invisible_marks_stay_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\u200fשם,שם\u200e,\u202aEmail\u202c\nא,ב,c@mail.example\n", encoding="utf-8")
    assert cells(path) == [{"שם": "א", "שם (2)": "ב", "Email": "c@mail.example"}]


# -- contents ----------------------------------------------------------------------------------------


def test_columns_are_known_by_their_contents_where_names_say_nothing(tmp_path: Path) -> None:
    text = "a,b,c,d\n" + "".join(
        f"{n},p{n}@mail.example,+44 7700 9000{n},{'unsubscribed' if n % 2 else 'subscribed'}\n"
        for n in range(10, 20)
    )
    assert proposed(text, tmp_path) == {
        "email": "b", "phone": "c", "consent.email": "d", "external_id": ":=contact",
    }  # fmt: skip


def test_contents_overrule_a_misleading_name(tmp_path: Path) -> None:
    text = "Email,Contact,Phone\n" + "".join(f"yes,p{n}@mail.example,office {n}\n" for n in range(9))
    found = proposed(text, tmp_path)
    assert found["email"] == "Contact" and "phone" not in found and "full_name" not in found


def test_of_namesakes_the_filled_one_is_taken(tmp_path: Path) -> None:
    text = "Name,Email,Email\nAda,,ada@mail.example\nBo,,bo@mail.example\n"
    assert proposed(text, tmp_path)["email"] == "Email (2)"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unsubscribed_members_export_1a2b.csv", ":=unsubscribed"),
        ("cleaned_members_export_1a2b.csv", ":=bounced"),
        ("subscribed_members_export_1a2b.csv", None),  # a name is no proof of consent
        ("contacts.csv", None),
    ],
)
def test_lists_whose_standing_is_in_their_file_name(name: str, said: str | None, tmp_path: Path) -> None:
    assert proposed("Email Address\na@mail.example\n", tmp_path, name=name).get("consent.email") == said


def test_likeness_of_meaning_is_the_last_word() -> None:
    likeness = {
        "Ruf": ["phone", 0.9],
        "Mail": ["phone", 0.99],
        "Firm": ["country", 0.1],
        "x": ["nonsense", 1],
        "y": [],
    }
    found = {g.target: g for g in importing.propose(["Mail", "Ruf", "Firm", "x", "y"], likeness=likeness)}
    assert (found["email"].why, found["phone"].column, found["phone"].why) == ("name", "Ruf", "meaning")
    assert "country" not in found


# -- dialects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
def test_a_line_for_excel_names_the_delimiter(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{mark}\r\nName, private;Email, private\r\nAda;a@mail.example\r\n", encoding="utf-8")
    assert cells(path) == [{"Name, private": "Ada", "Email, private": "a@mail.example"}]


def test_a_tab_may_be_the_delimiter_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sep=\t\na\tb\n1\t2\n")
    assert cells(path) == [{"a": "1", "b": "2"}]


def test_the_title_of_a_report_is_passed_over_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('Leads of May\n"1 May - 31 May"\n\nName,Email,Phone\nAda,a@mail.example,1\n,,\nBo,,\n')
    assert cells(path) == [
        {"Name": "Ada", "Email": "a@mail.example", "Phone": "1"},
        {"Name": "Bo", "Email": "", "Phone": ""},
    ]
    path.write_text("email\na@mail.example\nb@mail.example\n")
    assert len(cells(path)) == 2
    path.write_text('Name,Email,Phone\nAda,"two\nlines",1\n' + "Bo,x,2\n" * 40)
    assert len(cells(path)) == 41


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_scripts_whose_bytes_hold_few_zeros_are_told_from_windows(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("名前,電話\n" + "田中太郎,東京都\n" * 30).encode(encoding))
    assert cells(path)[0] == {"名前": "田中太郎", "電話": "東京都"}


def test_one_bad_byte_is_no_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"name\n" + "Zoë\n".encode() * 500 + b"Zo\xeb\n" + b"Ann\n")
    with Source(path) as source:
        rows = list(source.rows())
    assert len(rows) == 502 and [row.number for row in rows if not isinstance(row, Row)] == [501]


def test_semicolons_win_over_commas_in_their_names() -> None:
    assert dialect.delimiter_of(["Name, first;Mail, work;x", "Ada;a;1", "Bo;b;2"]) == ";"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"PK\x03\x04rest", "workbook of Excel or a zip"),
        (b"\xd0\xcf\x11\xe0rest", "old workbook"),
        (b"%PDF-1.7", "PDF"),
        (b"PAR1 but no table", "damaged Parquet"),
    ],
)
def test_what_is_no_table_is_refused_with_advice(raw: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(raw)
    with pytest.raises(InvalidInput, match=says):
        Source(path)


def test_parquet_comes_in_like_any_table(tmp_path: Path) -> None:
    import datetime

    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "people.parquet"
    table = pyarrow.table(
        {
            "id": list(range(5_000)),
            "Email": [f"p{n}@mail.example" for n in range(5_000)],
            "since": [datetime.date(2024, 5, 1)] * 5_000,
            "opted in": [True, None] * 2_500,
            "tags": [["a", "b"]] * 5_000,
        }
    )
    parquet.write_table(table, path)
    headers, rows = importing.sample_of(path)
    found = importing.propose_mapping(headers, rows=rows)
    assert found == {"external_id": "id", "email": "Email", "consent.email": "opted in"}
    with Source(path) as source:
        read = list(source.rows())
        assert source.bytes_read == source.bytes_total
    assert len(read) == 5_000 and isinstance(read[-1], Row)
    assert (read[-1].cells["since"], read[-1].cells["opted in"]) == ("2024-05-01", None)
