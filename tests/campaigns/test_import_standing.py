"""Opt-outs, bounces and complaints of a list are heard, whatever else is wrong; nobody is subscribed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns import consent, importing
from campaigns.importing import Options, standing
from campaigns.models import Channel, Consent, Import, Profile, Suppression
from tests.factories import ConsentFactory, ProfileFactory

ALL = {
    "external_id": "id", "email": "email", "phone": "phone", "consent.email": "consent", "opt_out.email": "out",
    "bounced.email": "bounced", "complained.email": "complained", "opt_out.sms": "no_sms",
}  # fmt: skip
HEAD = "id,email,phone,consent,out,bounced,complained,no_sms\n"


def take_in(tmp_path: Path, *rows: str, lenient: bool = True, dry_run: bool = False, **more: str) -> Import:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return importing.import_profiles(
        path=path, mapping={**ALL, **more}, options=Options(lenient=lenient, region="GB"), dry_run=dry_run
    )


def may_mail() -> set[str]:
    return set(
        consent.may_receive(Profile.objects.all(), channel=Channel.EMAIL).values_list(
            "external_id", flat=True
        )
    )


def suppressed() -> dict[str, str]:
    known = {consent.address_hash(text): text for text in [f"p{n}@mail.example" for n in range(20)]}
    known[consent.address_hash("+447700900001")] = "phone"
    return {known[row.address_hash]: row.reason for row in Suppression.objects.all()}


@pytest.mark.django_db
def test_each_kind_of_no_stops_the_address(tmp_path: Path) -> None:
    record = take_in(
        tmp_path,
        "1,p1@mail.example,,yes,,,,",
        "2,p2@mail.example,,yes,2024-05-01 10:00,,,",
        "3,p3@mail.example,,yes,,mailbox full,,",
        "4,p4@mail.example,,SUBSCRIBED,no,0,TRUE,",
        "5,p5@mail.example,,Unsubscribed,,,,",
        "6,p6@mail.example,,cleaned,,,,",
        "7,p7@mail.example,,pending,,,,",
        "8,p8@mail.example,,no,,,,",
        "9,p9@mail.example,,yes,never,soft bounce,FALSE,",
        "10,p10@mail.example,07700 900001,yes,,,,1",
    )
    assert (record.created, record.refused, record.stopped) == (10, 0, 6)
    assert may_mail() == {"1", "9", "10"}
    assert suppressed() == {
        "p2@mail.example": "unsubscribed", "p3@mail.example": "bounced", "p4@mail.example": "complained",
        "p5@mail.example": "unsubscribed", "p6@mail.example": "bounced", "phone": "unsubscribed",
    }  # fmt: skip
    assert not Consent.objects.filter(profile__external_id="7").exists()


@pytest.mark.django_db
def test_a_row_that_is_refused_still_says_no(tmp_path: Path) -> None:
    known = ProfileFactory(external_id="2", email="p2@mail.example")
    ConsentFactory(profile=known, channel=Channel.EMAIL, status="given")
    record = take_in(tmp_path, "1,p1@mail.example,12,,yes,,,", "2,p2@mail.example,12,no,,,,", lenient=False)
    assert record.refused == 2
    assert suppressed() == {"p1@mail.example": "unsubscribed"}
    assert Consent.objects.get(profile=known).status == "withdrawn"


@pytest.mark.django_db
def test_a_dry_run_counts_the_stopped_and_stops_nobody(tmp_path: Path) -> None:
    rows = ("1,p1@mail.example,,,yes,,,", "2,p1@mail.example,,,yes,,,", "3,p2@mail.example,,,,1,,")
    assert take_in(tmp_path, *rows, dry_run=True).stopped == 2
    assert not Suppression.objects.exists()
    assert take_in(tmp_path, *rows).stopped == 2
    assert take_in(tmp_path, *rows, dry_run=True).stopped == 0


@pytest.mark.django_db
@pytest.mark.parametrize("no", ["out", "consent", "mapped", "by hand"])
@pytest.mark.parametrize("again", ["same id", "other id", "other id, same file"])
def test_no_import_subscribes_anybody_again(no: str, again: str, tmp_path: Path) -> None:
    match no:
        case "out":
            first = "1,p1@mail.example,,yes,yes,,,"
        case "consent" | "mapped":
            first = "1,p1@mail.example,,no,,,,"
        case _:
            first = "1,p1@mail.example,,yes,,,,"
    new_id = "1" if again == "same id" else "2"
    second = f"{new_id},P1@mail.example,,subscribed,no,,,"
    if again == "other id, same file" and no in ("out", "mapped"):
        take_in(tmp_path, first if no == "out" else "1,p1@mail.example,,unsubscribed,,,,", second)
    else:
        take_in(tmp_path, first)
        if no == "by hand":
            profile = Profile.objects.get()
            consent.record(profile_id=profile.pk, channel="email", status="withdrawn", source="link")
        take_in(tmp_path, second)
    assert may_mail() == set()
    take_in(tmp_path, second, second.replace("2,", "3,", 1))
    assert may_mail() == set()


@pytest.mark.django_db
def test_a_no_is_in_force_though_it_was_said_before_a_yes_came_in(tmp_path: Path) -> None:
    """Files bring consents without their day: an opt-out of last month must not lose against today's import."""
    take_in(tmp_path, "1,p1@mail.example,,yes,,,,")
    assert may_mail() == {"1"}
    take_in(tmp_path, "1,p1@mail.example,,,2020-01-01,,,")
    assert may_mail() == set()


@pytest.mark.django_db
def test_a_whole_file_may_be_a_list_of_noes(tmp_path: Path) -> None:
    take_in(tmp_path, "1,p1@mail.example,,,,,,", **{"consent.email": ":=bounced"})
    assert suppressed() == {"p1@mail.example": "bounced"}


def test_words_of_lists() -> None:
    for word, said in {
        "Subscribed": ("given", ""), "DOUBLE_OPT-IN": ("given", ""), "yes": ("given", ""), "0": ("withdrawn", ""),
        "NEVER_SUBSCRIBED": ("", ""), "Non-Subscribed": ("", ""), "hard_bounced": ("", "bounced"),
        "spam complaint": ("withdrawn", "complained"), "Abgemeldet": ("withdrawn", "unsubscribed"),
    }.items():  # fmt: skip
        assert standing.said(word) == said, word
    with pytest.raises(standing.Unusable, match="none of the words"):
        standing.said("perhaps")


def test_what_is_not_plainly_a_no_in_a_column_of_opt_outs_is_one() -> None:
    for word in ("", "no", "0", "FALSE", "n/a", "never", "subscribed", "pending", "soft_bounce"):
        assert not standing.stops(word), word
    for word in (
        "yes",
        "1",
        "TRUE",
        "2024-05-01",
        "content no longer relevant",
        "unsubscribed",
        "Hard",
        "x",
        "refused",
    ):
        assert standing.stops(word), word
