"""Values to their normal form, or a sentence that quotes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import cleaning
from campaigns.cleaning import Unusable


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Zoë-Mae", "Zoë-Mae"), ("O’Neil", "O’Neil"), ("Nguyễn Văn An", "Nguyễn Văn An"), ("محمد علي", "محمد علي"),
        ("李小龍", "李小龍"), ("Sarah ✨", "Sarah"), ('John "Johnny" Doe', "John Johnny Doe"), ("=Joan", "Joan"),
        ("  Ada \t Lovelace\n", "Ada Lovelace"), ("J. R.", "J. R."), ("A\u200bda\x07", "Ada"), ("Jose\u0301", "José"),
    ],
)  # fmt: skip
def test_names(text: str, name: str) -> None:
    assert cleaning.name(text) == name


@pytest.mark.parametrize(
    "text", ["<b>Ada</b>", "{{first_name}}", "{% if %}", "=SUM(A1:A10)", "+1234567890", "✨", "-", "a@b.example",
             "http://x.example", "${jndi}", "A" * 81, "Ada\\Lovelace"],
)  # fmt: skip
def test_no_names(text: str) -> None:
    with pytest.raises(Unusable):
        cleaning.name(text)


@given(st.text(max_size=100))
def test_a_clean_name_holds_nothing_but_letters_and_joints(text: str) -> None:
    try:
        name = cleaning.name(text)
    except Unusable:
        return
    assert 0 < len(name) <= 80
    assert not set(name) & set('<>{}[]$%@#/\\=&;:|"\n\r\t0123456789')
    assert cleaning.name(name) == name


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Ada.L+x@Postbox.EXAMPLE ", "Ada.L+x@postbox.example"),
        ("hans@müller.de", "hans@xn--mller-kva.de"),
        ("o'neil@b.example", "o'neil@b.example"),
        ("a/b=c@b.example", "a/b=c@b.example"),
    ],
)
def test_email_addresses(text: str, address: str) -> None:
    assert cleaning.email(text) == address
    assert cleaning.email(address) == address


@pytest.mark.parametrize(
    "text", ["plain", "a@", "@b.example", "a@b", "a@@b.example", "a..b@c.example", ".a@b.example", "a@b..example",
             "a@-b.example", "a b@c.example", "a@b.example\nBcc: x@y.example", "ü@b.example", "a@b.test", "a@localhost",
             f"{'a' * 65}@b.example", f"a@{'b' * 64}.example", f"a@{'b.' * 130}example", "a@[127.0.0.1]",
             "Ada <a@b.example>", "a@b.example,c@d.example"],
)  # fmt: skip
def test_no_email_addresses(text: str) -> None:
    with pytest.raises(Unusable) as caught:
        cleaning.email(text)
    assert text not in str(caught.value)


@given(st.from_regex(r"[A-Za-z0-9._+-]{1,70}@[A-Za-z0-9.-]{1,80}", fullmatch=True))
def test_the_quick_way_agrees_with_the_validator(text: str) -> None:
    def outcome(check: object) -> str:
        try:
            return str(check(text))  # type: ignore[operator]
        except Unusable:
            return ""

    assert outcome(cleaning.email) == outcome(cleaning._checked_email)


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+44 7700 900001", "", "+447700900001"), ("07700 900001", "GB", "+447700900001"),
        ("(212) 555-0123", "US", "+12125550123"), ("06 12 34 56 78", "FR", "+33612345678"),
        ("0044 7700 900001", "DE", "+447700900001"), ("٠٧٧٠٠٩٠٠٠٠١", "GB", "+447700900001"),
    ],
)  # fmt: skip
def test_telephone_numbers(text: str, region: str, number: str) -> None:
    assert cleaning.phone(text, region=region) == number


@pytest.mark.parametrize(
    ("text", "region"),
    [("555-0101", ""), ("555-0101", "US"), ("12", "GB"), ("phone", "GB"), ("+1 555-0100", ""), ("+999 1234567", ""),
     ("07700 900001 ext 7", "GB"), ("+4477009000011234567", "")],
)  # fmt: skip
def test_no_telephone_numbers(text: str, region: str) -> None:
    with pytest.raises(Unusable):
        cleaning.phone(text, region=region)


@pytest.mark.parametrize(
    ("text", "day_first", "moment"),
    [
        ("2024-03-15T09:12:00Z", None, datetime(2024, 3, 15, 9, 12, tzinfo=UTC)),
        ("2024-03-15 09:12:00", None, datetime(2024, 3, 15, 9, 12, tzinfo=UTC)),
        ("2024-03-15", None, datetime(2024, 3, 15, 12, tzinfo=UTC)),
        ("03/15/2024 9:12 AM", None, datetime(2024, 3, 15, 9, 12, tzinfo=UTC)),
        ("15/03/2024", None, datetime(2024, 3, 15, 12, tzinfo=UTC)),
        ("03/04/2024", True, datetime(2024, 4, 3, 12, tzinfo=UTC)),
        ("03/04/2024", False, datetime(2024, 3, 4, 12, tzinfo=UTC)),
        ("03.04.2024", None, datetime(2024, 4, 3, 12, tzinfo=UTC)),
        ("15-Jan-2024", None, datetime(2024, 1, 15, 12, tzinfo=UTC)),
        ("1996-5-30", None, datetime(1996, 5, 30, 12, tzinfo=UTC)),
        ("March 5, 2024", None, datetime(2024, 3, 5, 12, tzinfo=UTC)),
    ],
)
def test_moments(text: str, day_first: bool | None, moment: datetime) -> None:
    assert cleaning.moment(text, day_first=day_first) == moment


def test_times_without_an_offset_are_in_the_zone_given() -> None:
    found = cleaning.moment("2024-07-01 12:00", zone=ZoneInfo("Europe/London"))
    assert found.astimezone(UTC).hour == 11


@pytest.mark.parametrize(
    "text", ["soon", "03/04/2024", "2024-13-01", "31/31/2024", "", "0001-01-01", "99999"]
)
def test_no_moments(text: str) -> None:
    with pytest.raises(Unusable):
        cleaning.moment(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,234.56", "1234.56"), ("1.234,56", "1234.56"), ("£12", "12"), ("3,5", "3.5"), ("1,200", "1200"),
     ("-7", "-7"), ("1 000", "1000"), ("1e3", "1000")],
)  # fmt: skip
def test_numbers(text: str, number: str) -> None:
    assert cleaning.number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "abc", "NaN", "inf", "1e400", "1.2.3"])
def test_no_numbers(text: str) -> None:
    with pytest.raises(Unusable):
        cleaning.number(text)


@given(st.text(max_size=40))
def test_no_reader_fails_in_any_other_way(text: str) -> None:
    for reader in (
        cleaning.email, cleaning.phone, cleaning.name, cleaning.locale, cleaning.time_zone, cleaning.identifier,
        cleaning.boolean, cleaning.number, cleaning.moment, cleaning.text_value,
    ):  # fmt: skip
        try:
            reader(text)
        except Unusable as error:
            assert str(error)


@pytest.mark.parametrize(("country", "locale", "region"), [
    ("GB", "", "GB"), ("UK", "", "GB"), ("United Kingdom", "", "GB"), ("vietnam", "", "VN"), ("+44", "en-IE", "IE"),
    ("", "en_US", "US"), ("", "en", ""), ("Atlantis", "", ""),
])  # fmt: skip
def test_regions(country: str, locale: str, region: str) -> None:
    assert cleaning.region(country=country, locale=locale) == region
