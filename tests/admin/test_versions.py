"""The pages of writer versions: measures side by side, the decision, the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from generation import promotion
from generation.admin import comparing
from generation.models import ModelVersion, VersionEvent
from tests.factories import ModelVersionFactory
from tests.generation.test_promotion import states, version

ClientOf = Callable[[str], Client]
pytestmark = pytest.mark.django_db


def piece(brand: str, subject: str, **told: Any) -> dict[str, Any]:
    return {
        "brand": brand,
        "channel": "email",
        "lifecycle": "new",
        "traits": ["likes quiet mornings"],
        "fields": {"subject": subject, "body": "Come early."},
        **told,
    }


@pytest.fixture
def two(tmp_path: Path) -> tuple[ModelVersion, ModelVersion]:
    by_channel = {"clean_rate_by_channel": {"email": 0.88, "sms": 1.0}}
    old = version(
        tmp_path, "old", "active", clean_rate=0.9, **by_channel, pieces=[piece("Lake", "Words of before")]
    )
    new = version(
        tmp_path,
        "new",
        clean_rate=0.953,
        grammar_ratio=1.25,
        **by_channel,
        pieces=[piece("Hill", "Of the hill alone"), piece("Lake", "<b>Words of now</b>")],
    )
    return old, new


def page(client: Client, row: ModelVersion, at: str = "change") -> str:
    response = client.get(f"/admin/generation/modelversion/{row.pk}/{at}/")
    assert response.status_code == 200
    return response.content.decode()


def test_the_list_shows_states_and_measures(client_of: ClientOf, two: Any) -> None:
    shown = client_of("Operators").get("/admin/generation/modelversion/").content.decode()
    assert shown.index(">old<") < shown.index(">new<"), "the active one first"
    for words in ("Active", "Candidate", "95.3\u00a0%", "90.0\u00a0%", "1.25", "Reader found", "never"):
        assert words in shown


def test_measures_and_pieces_beside_the_active_version(client_of: ClientOf, two: Any) -> None:
    shown = page(client_of("Operators"), two[1])
    for words in ("+5.3 pt", "+0.05", "Clean: SMS", "The rule lets it be promoted", "Promote…"):
        assert words in shown
    assert "&lt;b&gt;Words of now&lt;/b&gt;" in shown and "<b>Words of now" not in shown
    assert shown.index("Words of now") < shown.index("Words of before") < shown.index("Of the hill alone")
    assert "Nothing for this reader" in shown
    assert shown.index(">Subject<") < shown.index(">Body<"), "in the channel's order"


def test_pages_say_what_is_not_there_yet(client_of: ClientOf) -> None:
    bare = ModelVersionFactory(kind="builtin", model_hash="")
    shown = page(client_of("Operators"), bare)
    for words in ("Never evaluated", "Nothing measured yet", "No pieces to read yet", "never been active"):
        assert words in shown
    ModelVersion.objects.all().delete()
    assert "No writer yet" in client_of("Operators").get("/admin/generation/modelversion/").content.decode()


def test_who_may_only_look_sees_no_button(client_of: ClientOf, two: Any) -> None:
    assert "Promote…" not in page(client_of("Reviewers"), two[1])
    assert "Roll back…" not in page(client_of("Reviewers"), two[0])


def test_promote_and_roll_back(client_of: ClientOf, two: Any) -> None:
    old, new = two
    client = client_of("Operators")
    asked = page(client, new, "promote")
    assert f'name="instead_of" value="{old.pk}"' in asked and "restart them" in asked
    assert states() == {"old": "active", "new": "candidate"}, "asking changes nothing"

    client.post(f"/admin/generation/modelversion/{new.pk}/promote/", {"instead_of": old.pk, "note": "better"})
    assert states() == {"old": "retired", "new": "active"}
    event = VersionEvent.objects.get()
    assert (event.actor_name, event.reason, event.forced) == ("operator", "better", False)
    assert LogEntry.objects.filter(object_id=str(new.pk), change_message="Promoted.").exists()

    shown = page(client, new)
    assert "Roll back…" in shown and "the version before" in shown and "instead of old" in shown
    assert "old becomes the version that writes again" in page(client, new, "roll-back")
    client.post(f"/admin/generation/modelversion/{new.pk}/roll-back/", {"note": "dull"})
    assert states() == {"old": "active", "new": "retired"}
    assert "There is nothing to roll back" not in page(client, old, "roll-back")
    assert "No version was active before" in page(client, old, "roll-back")


def test_against_the_rule_only_knowingly(client_of: ClientOf, two: Any) -> None:
    old, new = two
    client = client_of("Operators")
    promotion.promote(version=new, by=None)
    address = f"/admin/generation/modelversion/{old.pk}/promote/"
    asked = page(client, old, "promote")
    assert (
        "against the rule?" in asked
        and 'name="force" value="yes"' in asked
        and "90.0 % after 95.3 %" in asked
    )

    seen = {"instead_of": new.pk}
    for posted, told in (
        (seen, "is not promoted"),
        ({**seen, "force": "yes"}, "needs a reason"),
        ({"force": "yes", "note": "voice", "instead_of": old.pk}, "Another version is active"),
    ):
        assert told in client.post(address, posted, follow=True).content.decode()
        assert states() == {"old": "retired", "new": "active"}
    client.post(address, {**seen, "force": "yes", "note": "voice"})
    assert states() == {"old": "active", "new": "retired"}
    assert "against the rule" in page(client, old)


def test_what_cannot_be_loaded_has_no_button(client_of: ClientOf, two: Any, tmp_path: Path) -> None:
    (tmp_path / "new" / "manifest.json").unlink()
    shown = page(client_of("Operators"), two[1])
    assert "Workers cannot write with it" in shown
    asked = page(client_of("Operators"), two[1], "promote")
    assert "no complete adapter" in asked and ">Promote</button>" not in asked


def test_an_adapter_set_by_hand_is_said(client_of: ClientOf, two: Any, settings: Any) -> None:
    settings.WRITER_ADAPTER = "/srv/mine"
    for at in ("change", "promote"):
        assert "/srv/mine" in page(client_of("Operators"), two[1], at)


def test_pairs_take_each_piece_once_and_stop_at_ten() -> None:
    mine = {"pieces": [piece("A", f"mine {n}") for n in range(12)]}
    other = {"pieces": [piece("A", "other 0"), piece("A", "other 1"), piece("A", "x", traits=["another"])]}
    rows, alike = comparing.pairs(mine, other)
    assert len(rows) == comparing.PAIRS and not alike
    assert [row["other"] and row["other"][0][1] for row in rows][:3] == [["other 0"], ["other 1"], None]
    assert comparing.pairs({}, other) == ([], False)
    for odd in ({"pieces": "no"}, {"pieces": ["no", {}]}, {"pieces": [{"fields": 3, "traits": None}]}):
        comparing.pairs(odd, odd)
