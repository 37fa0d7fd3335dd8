"""Secrets that come with people are nowhere: not in any table, not in any log."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from campaigns import events, importing, people, sensitive, traits
from campaigns.events import EventInput
from campaigns.importing import Options
from campaigns.models import Import, Profile
from campaigns.people import ProfileInput
from tests.factories import AttributeDefinitionFactory, TraitRuleFactory

# Field names as in exports of demo shops; every value is made up, those with a checksum pass it.
SECRETS = {
    "password": "plainpass-Qx81",
    "ssn": "912-640-318",
    "ein": "648-271",
    "bank.cardNumber": "4929831749382741",
    "bank.cardExpire": "11/97",
    "bank.iban": "GB33BUKB20201555555555",
    "crypto.wallet": "0x52908400098527886E0F7030069857D2E4169EE7",
    "crypto.coin": "Dogelikecoin",
    "apiKey": "sk_live_9aQ27bTz61pLwXc04m",
    "passportNumber": "X77310942",
}


def user(number: int) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": number,
        "firstName": "Emily",
        "lastName": "Yarrow",
        "email": f"emily{number}@b.example",
        "phone": "+44 7700 900123",
        "hair": {"color": "Brown"},
        "address": {"city": "Leeds", "country": "United Kingdom"},
    }
    for path, secret in SECRETS.items():
        at = record
        *above, last = path.split(".")
        for step in above:
            at = at.setdefault(step, {})
        at[last] = secret
    # The same values again where nobody would look for them.
    record["notes"] = {
        name.replace(".", "_"): value for name, value in SECRETS.items() if sensitive.secret_in(value)
    }
    return record


def whole_database() -> str:
    """Everything in every table of ours, as text."""
    text = []
    with connection.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f'SELECT string_agg(t::text, chr(10)) FROM "{model._meta.db_table}" AS t')
            text.append(cursor.fetchone()[0] or "")
    return "\n".join(text)


@pytest.mark.django_db
def test_no_secret_is_stored_or_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("city", "hair", "note_d", "note_e", "note_b", "note_c"):
        AttributeDefinitionFactory(name=name)
    TraitRuleFactory(kind="attribute", settings={"attribute": "note_d", "phrase": "likes {value}"})
    path = tmp_path / "users.json"
    path.write_text(json.dumps([user(number) for number in range(1, 4)]))
    mapped = importing.propose_mapping(importing.headers_of(path), attributes=["city", "hair"])
    assert not [column for column in mapped.values() if column in SECRETS]
    problems = tmp_path / "problems.csv"
    mapped |= {
        "attribute.city": "address.city",
        "attribute.hair": "hair.color",
        # A hand that slips: harmless names for columns that hold secrets.
        "attribute.note_d": "notes.jotting",
        "attribute.note_e": "notes.scribble",
    }
    slips = [user(number) for number in range(1, 4)]
    for record in slips:
        record["notes"] = {"jotting": SECRETS["bank.cardNumber"], "scribble": SECRETS["bank.iban"]}
        record["extra"] = {"w": SECRETS["crypto.wallet"], "k": SECRETS["apiKey"]}
    path.write_text(json.dumps(slips))
    mapped |= {"attribute.note_b": "extra.w", "attribute.note_c": "extra.k"}
    told: list[str] = []
    record = importing.import_profiles(
        path=path, mapping=mapped, options=Options(define_attributes=True),
        on_problem=lambda row, problem: told.append(f"{problem.field} {problem.message}"),
    )  # fmt: skip
    assert record.created == 3
    assert record.problem_count >= 9
    people.upsert(
        items=[ProfileInput("direct", attributes={"password": SECRETS["password"], **SECRETS})], source="api"
    )
    events.record(
        items=[
            EventInput(
                "m1",
                "direct",
                "purchased",
                Profile.objects.latest("pk").created_at,
                properties={**SECRETS, "size": "L"},
            )
        ]
    )
    call_command("import_profiles", str(path), "--problems", str(problems))
    traits.derive()
    shown = capsys.readouterr()
    seen = "\n".join([whole_database(), caplog.text, shown.out, shown.err, problems.read_text(), *told])
    assert "Leeds" in seen  # the search does find what is there
    assert [name for name, secret in SECRETS.items() if secret in seen] == []
    assert Profile.objects.filter(attributes__hair="Brown").count() == 3


@pytest.mark.django_db
def test_a_mapping_of_a_secret_column_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text(json.dumps([user(1)]))
    for column in SECRETS:
        with pytest.raises(people.InvalidInput, match="names a secret"):
            importing.import_profiles(path=path, mapping={"external_id": "id", "attribute.city": column})
    assert not Import.objects.exists()


@pytest.mark.parametrize("name", [*SECRETS, "Password", "user_password", "SSN", "Card Number", "card_number", "CVV",
                                  "bankAccountNumber", "sort code", "privateKey", "seed_phrase", "PIN", "api_key",
                                  "accessToken", "driver's license", "tax-id"])  # fmt: skip
def test_names_that_are_secret(name: str) -> None:
    assert sensitive.is_secret_name(name)


@pytest.mark.parametrize("name", ["city", "favourite_category", "company", "shopping", "rolling_pin", "frying_pan",
                                  "biscuit_tin", "recipe_card", "spine", "business", "protein", "loyalty_card",
                                  "keyboard", "accountant"])  # fmt: skip
def test_names_that_are_not(name: str) -> None:
    assert not sensitive.is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("4929 8317 4938 2741", "card"),
        ("pays with 4929-8317-4938-2741 always", "card"),
        ("GB33 BUKB 2020 1555 5555 55", "account"),
        ("send to DE89370400440532013000 please", "account"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "wallet"),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "wallet"),
        ("0x52908400098527886E0F7030069857D2E4169EE7", "wallet"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("078-05-1120", "social"),
        ("AB 12 34 56 C", "social"),
        ("$2b$12$abcdefghijklmnopqrstuv", "token"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123", "token"),
    ],
)
def test_values_that_look_secret(text: str, kind: str) -> None:
    assert kind in sensitive.secret_in(text)


@pytest.mark.parametrize("text", ["a moka pot", "+44 7700 900123", "2024-04-03T10:00:00Z", "4929831749382740",
                                  "GB00BUKB20201555555555", "WE-COFFEE-03", "0x12", "1234567890123",
                                  "0f8fad5b-d9cd-469f-a165-70867728950e"])  # fmt: skip
def test_values_that_do_not(text: str) -> None:
    assert sensitive.secret_in(text) == ""


@given(st.text(max_size=80))
def test_looking_for_secrets_never_fails(text: str) -> None:
    assert isinstance(sensitive.secret_in(text), str)
    assert isinstance(sensitive.is_secret_name(text), bool)
