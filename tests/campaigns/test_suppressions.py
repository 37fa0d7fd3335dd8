"""The suppression list takes what mail tools export, keeps only hashes, and gives back only what it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from campaigns import consent, suppressions
from campaigns.models import Suppression
from personalize.core.errors import InvalidInput
from tests.factories import SuppressionFactory, UserFactory

pytestmark = pytest.mark.django_db

TWO = ["ada@postbox.example", "bo@postbox.example"]


@pytest.mark.parametrize(
    "content",
    [
        b"ada@postbox.example\nbo@postbox.example\n",
        b"Email\r\nada@postbox.example\r\n\r\nbo@postbox.example\r\n",
        b"\xef\xbb\xbfname;E-Mail\nAda;ada@postbox.example\nBo;bo@postbox.example\n",
        "Name\tReason\tWho\nAda\tbounced\tada@postbox.example\nBö\tleft\tbo@postbox.example\n".encode(
            "utf-16"
        ),
        "Ünal,ada@postbox.example\nBö,bo@postbox.example".encode("cp1252"),
    ],
)
def test_lists_of_other_tools_are_read(content: bytes) -> None:
    assert suppressions.addresses_in(content, channel="email") == TWO


def test_good_ones_are_taken_whatever_the_bad_ones_are() -> None:
    given = ["ADA@Postbox.Example", "nobody", "", "ada@postbox.example", "=cmd()|x", "bo@postbox.example"]
    result = suppressions.add(addresses=given, channel="email", reason="bounced")
    assert (result.added, result.known, result.bad) == (2, 0, 3)
    assert [number for number, _ in result.refused] == [2, 3, 5]
    assert all(consent.is_suppressed(address=each, channel="email") for each in TWO)
    assert "postbox" not in str(list(Suppression.objects.values()))
    again = suppressions.add(addresses=TWO, channel="email", reason="manual")
    assert (again.added, again.known) == (0, 2)


@pytest.mark.parametrize(("channel", "reason"), [("meta_ad", "bounced"), ("email", "dislike")])
def test_unknown_channels_and_reasons_are_refused(channel: str, reason: str) -> None:
    with pytest.raises(InvalidInput):
        suppressions.add(addresses=TWO, channel=channel, reason=reason)


def test_only_what_may_come_off_comes_off() -> None:
    dora = UserFactory()
    bounced, complained = SuppressionFactory(reason="bounced"), SuppressionFactory(reason="complained")
    assert suppressions.take_off(pk=bounced.pk, by=dora)
    assert not suppressions.take_off(pk=bounced.pk, by=dora)
    with pytest.raises(InvalidInput):
        suppressions.take_off(pk=complained.pk, by=dora)
    assert Suppression.objects.get() == complained


def test_the_command_counts(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "list.csv"
    file.write_text("email\nada@postbox.example\nx\n")
    call_command("import_suppressions", str(file), "--reason", "bounced")
    told = capsys.readouterr()
    assert "1 added, 0 known before, 1 refused" in told.out and "address 2" in told.err
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_suppressions", str(tmp_path / "none.csv"))
