"""The demo brand keeps the rules that the product holds a marketer to."""

from __future__ import annotations

import csv
import re
import runpy
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from campaigns.demo import content

DAY = date(2031, 3, 14)
STOCK_PHRASES = (
    "elevate",
    "unlock",
    "unleash",
    "journey",
    "game-changer",
    "look no further",
    "treat yourself",
)
HOLE = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")


def rows(name: str) -> list[dict[str, str]]:
    with (content.FOLDER / name).open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


@pytest.fixture(scope="module")
def briefs() -> list[content.DemoCampaign]:
    return content.campaigns(day=DAY)


@pytest.fixture(scope="module")
def people() -> list[dict[str, str]]:
    return list(content.profiles(day=DAY))


@pytest.fixture(scope="module")
def happenings() -> list[dict[str, str]]:
    return list(content.events(day=DAY))


def test_what_the_writer_reads_of_a_product_has_no_digit() -> None:
    for product in rows("products.csv"):
        words = " ".join(
            (product["name"], product["noun_phrase"], product["category"], product["description"])
        )
        assert not re.search(r"[\d%£$€]", words), product["sku"]
        assert re.match(r"(a|an) ", product["noun_phrase"]), product["sku"]
        assert product["description"].endswith("."), product["sku"]


def test_products_are_distinct_and_priced() -> None:
    products = rows("products.csv")
    assert len(products) >= 40
    for column in ("sku", "name", "noun_phrase", "url"):
        assert len({product[column] for product in products}) == len(products), column
    assert all(re.fullmatch(r"\d+\.\d\d", product["price"]) for product in products)


def test_every_address_lies_under_example(
    briefs: list[content.DemoCampaign], people: list[dict[str, str]]
) -> None:
    brand = content.brand()
    addresses = [person["email"] for person in people] + [brand["sender_email"], brand["reply_to"]]
    assert all(address.endswith(".example") for address in addresses)
    links = [value.text for brief in briefs for value in brief.values if value.kind == "link"]
    links += [product["url"] for product in rows("products.csv")]
    assert links
    assert all(re.match(r"https://wrenandember\.example/", link) for link in links)


def test_telephone_numbers_are_from_the_range_kept_for_drama(people: list[dict[str, str]]) -> None:
    numbers = [person["phone"] for person in people if person["phone"]]
    assert numbers
    assert all(re.fullmatch(r"\+447700900\d{3}", number) for number in numbers)


def test_facts_hold_no_number_outside_values(briefs: list[content.DemoCampaign]) -> None:
    for brief in briefs:
        for text in (brief.goal, brief.cta, brief.audience, *brief.facts):
            assert not re.search(r"[\d%£$€]|https?:", HOLE.sub("", text)), text
            assert not any(phrase in text.lower() for phrase in STOCK_PHRASES), text


def test_facts_name_only_values_that_exist_and_all_values_are_used(
    briefs: list[content.DemoCampaign],
) -> None:
    for brief in briefs:
        named = {name for fact in brief.facts for name in HOLE.findall(fact)}
        known = {value.name for value in brief.values}
        assert named <= known
        assert known - named == {brief.cta_link}
        assert set(brief.must_mention) <= named
        assert 6 <= len(brief.facts) <= 8


def test_dates_are_ahead_of_the_day_of_loading_and_expire_with_it(briefs: list[content.DemoCampaign]) -> None:
    values = {(brief.slug, value.name): value for brief in briefs for value in brief.values}
    end = values["cast-iron-weeks", "end_date"]
    assert end.text == "11 April"
    assert end.valid_until == datetime(2031, 4, 11, 23, 59, 59, tzinfo=UTC)
    lesson = values["gable-gas-launch", "class_date"]
    assert lesson.valid_until is not None
    assert lesson.valid_until.strftime("%A") == "Saturday"
    assert values["cast-iron-weeks", "code"].valid_until == end.valid_until
    assert values["cast-iron-weeks", "seasoning_price"].valid_until is None


def test_one_campaign_is_launched_by_itself(briefs: list[content.DemoCampaign]) -> None:
    assert [brief.launch for brief in briefs] == [True, False]


def test_the_small_campaign_has_twenty_four_readers_by_mail(people: list[dict[str, str]]) -> None:
    friends = [person for person in people if person["list"] == "friends of the shop"]
    consents = [
        sum(person[f"consent_{channel}"] == "yes" for person in friends)
        for channel in ("email", "sms", "push")
    ]
    assert consents == [24, 5, 4]
    assert len(friends) == 27  # three who said no must be seen to be left out
    assert sum(not person["first_name"] for person in friends) == 1
    assert all(person["phone"] for person in friends if person["consent_sms"] == "yes")


def test_people_are_many_and_unlike_each_other(people: list[dict[str, str]]) -> None:
    assert len(people) >= 200
    assert len({person["external_id"] for person in people}) == len(people)
    assert len({person["email"] for person in people}) == len(people)
    assert any("+" in person["email"] for person in people)
    assert any(not person["first_name"].isascii() for person in people)
    assert any(person["consent_email"] == "no" for person in people)
    assert {"Europe/London", "Europe/Dublin", "America/Los_Angeles"} <= {
        person["time_zone"] for person in people
    }


def test_attributes_that_may_become_traits_hold_no_digit(people: list[dict[str, str]]) -> None:
    for definition in content.rules()["attributes"]:
        assert not any(re.search(r"\d", person[definition["name"]]) for person in people), definition["name"]


def test_events_belong_to_known_people_and_products(
    people: list[dict[str, str]], happenings: list[dict[str, str]]
) -> None:
    assert len(happenings) >= 1500
    assert len({row["message_id"] for row in happenings}) == len(happenings)
    assert {row["external_id"] for row in happenings} == {person["external_id"] for person in people}
    skus = {product["sku"] for product in rows("products.csv")}
    for row in happenings:
        assert (row["sku"] in skus) == (row["event"] != "signed_up"), row["message_id"]
        assert (row["quantity"] != "") == (row["event"] in {"purchased", "cart_left"}), row["message_id"]
    assert {row["event"] for row in happenings} == {
        "signed_up",
        "viewed",
        "purchased",
        "cart_left",
        "asked_about",
    }


def test_signing_up_is_the_first_thing_anybody_did(happenings: list[dict[str, str]]) -> None:
    first: dict[str, dict[str, str]] = {}
    for row in happenings:
        known = first.setdefault(row["external_id"], row)
        if row["occurred_at"] < known["occurred_at"]:
            first[row["external_id"]] = row
    assert {row["event"] for row in first.values()} == {"signed_up"}


def test_times_follow_the_day_of_loading() -> None:
    early, late = next(content.events(day=DAY)), next(content.events(day=date(2031, 3, 15)))
    assert datetime.fromisoformat(late["occurred_at"]) - datetime.fromisoformat(early["occurred_at"]) == (
        datetime(2031, 3, 15) - datetime(2031, 3, 14)
    )


def test_the_generator_writes_the_committed_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = runpy.run_path(str(content.FOLDER / "make_data.py"))
    for name in ("products.csv", "first_names.txt", "last_names.txt"):
        (tmp_path / name).write_bytes((content.FOLDER / name).read_bytes())
    monkeypatch.setitem(maker["main"].__globals__, "HERE", tmp_path)
    maker["main"]()
    for name in ("profiles.csv", "events.csv"):
        assert (tmp_path / name).read_bytes() == (content.FOLDER / name).read_bytes(), name


def test_the_bad_file_has_good_rows_too() -> None:
    bad = rows("profiles_bad.csv")
    assert sum(row["external_id"].startswith("good-") for row in bad) == 2
    assert set(bad[0]) == set(rows("profiles.csv")[0])
