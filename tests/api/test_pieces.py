"""Reading pieces and deciding on them, over the API."""

from __future__ import annotations

import pytest

from generation.models import Piece, PieceEvent
from tests.api.world import EDITED
from tests.factories import FindingFactory, PieceFactory, ProfileFactory

pytestmark = pytest.mark.django_db


def test_piece_shows_text_as_written_and_as_it_leaves(api, world):
    FindingFactory(piece=world.piece)
    FindingFactory(piece=world.piece, revision=0, message="of an older text")

    piece = api.get(f"pieces/{world.piece.pk}").json()

    assert "{{discount}}" in piece["fields"]["body"] and "{{" not in str(piece["filled"])
    assert piece["filled"]["body"].startswith("Hello Ada,") and "15%" in piece["filled"]["body"]
    assert [finding["message"] for finding in piece["findings"]] == ["The brand never says this word."]
    assert (piece["profile"], piece["campaign"], piece["status"]) == ("c-0", "spring", "in_review")
    assert piece["delivery"] is None
    assert api.get("pieces/999999").status_code == 404


def test_piece_that_cannot_be_filled_says_why(api, world):
    Piece.objects.filter(pk=world.piece.pk).update(fields={**EDITED, "body": "It costs {{nothing}}."})

    piece = api.get(f"pieces/{world.piece.pk}").json()

    assert piece["filled"] is None and "nothing" in piece["filled_problem"]


def test_lists_filter_by_allow_listed_names(api, world):
    def ids(query):
        return {item["id"] for item in api.get(f"pieces?{query}").json()["items"]}

    assert ids("status=in_review&campaign=spring") == {world.piece.pk}
    assert ids("status=approved&channel=email") == {world.approved.pk}
    assert ids("profile=c-0&campaign=spring") == {world.piece.pk}
    assert ids(f"run={world.run.pk}&channel=email&campaign=spring") == set(
        Piece.objects.filter(run=world.run, channel="email").values_list("pk", flat=True)
    )
    assert ids("campaign=other") == set()
    assert len(api.get(f"runs/{world.run.pk}/pieces?limit=2").json()["items"]) == 2
    assert api.get("runs/999999/pieces").status_code == 404


def test_approval_is_of_the_text_that_was_seen(api, world):
    path = f"pieces/{world.piece.pk}"
    edited = api.post(f"{path}/edit", {"revision": 1, "fields": EDITED})
    assert edited.status_code == 200 and edited.json()["revision"] == 2

    stale = api.post(f"{path}/approve", {"revision": 1})
    own = api.post(f"{path}/approve", {"revision": 2})

    assert (stale.status_code, stale.json()["type"]) == (409, "/problems/stale_piece")
    assert (own.status_code, own.json()["type"]) == (403, "/problems/own_edit")


def test_decisions_are_the_persons_whose_key_it_is(api, world):
    path = f"pieces/{world.piece.pk}"

    approved = api.post(f"{path}/approve", {"revision": 1, "note": "read"})

    assert approved.json()["status"] == "approved"
    event = PieceEvent.objects.filter(piece_id=world.piece.pk).latest("id")
    assert (event.actor_id, event.note) == (api.key.acts_as_id, "read")
    assert api.get(path).json()["reviewed_by"] == api.key.acts_as.username
    assert api.post(f"{path}/approve", {"revision": 1}).json()["type"] == "/problems/not_in_review"
    assert api.post(f"{path}/reopen", {"revision": 1}).json()["status"] == "in_review"


def test_blocked_text_is_not_approved(api, world):
    Piece.objects.filter(pk=world.piece.pk).update(blocking=1)

    refused = api.post(f"pieces/{world.piece.pk}/approve", {"revision": 1})

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/blocked")


def test_rejection_needs_a_reason_of_the_list(api, world):
    path = f"pieces/{world.piece.pk}/reject"

    assert api.post(path, {"revision": 1}).status_code == 400
    assert api.post(path, {"revision": 1, "reason": "ugly"}).status_code == 400
    assert api.post(path, {"revision": 1, "reason": "creepy"}).json()["reject_reason"] == "creepy"


@pytest.mark.parametrize(
    "fields",
    [{}, {**EDITED, "footer": "x"}, {**EDITED, "body": 7}, {**EDITED, "subject": ["x"]}, {"subject": "x"},
     {**EDITED, "body": "x" * 6_000}],
)  # fmt: skip
def test_edits_that_are_no_text_of_the_channel_are_refused(fields, api, world):
    response = api.post(f"pieces/{world.piece.pk}/edit", {"revision": 1, "fields": fields})

    assert response.status_code == 400
    assert Piece.objects.get(pk=world.piece.pk).revision == 1


def test_edit_that_breaks_a_rule_is_kept_with_its_finding(api, world):
    fields = {**EDITED, "body": "Only $9 today, see www.example.com"}

    edited = api.post(f"pieces/{world.piece.pk}/edit", {"revision": 1, "fields": fields}).json()

    assert edited["blocking"] > 0
    assert api.get(f"pieces/{world.piece.pk}").json()["findings"]


def test_write_again_goes_back_to_the_writer_with_the_hint(api, world, writer):
    again = api.post(f"pieces/{world.piece.pk}/write-again", {"revision": 1, "steer": "shorter"}).json()

    assert again["status"] == "draft"
    assert Piece.objects.get(pk=world.piece.pk).steer == "shorter"


def test_deciding_together_names_each_that_was_not_decided(api, world):
    good = PieceFactory(run=world.run, profile=ProfileFactory())
    blocked = PieceFactory(run=world.run, profile=ProfileFactory(), blocking=1)
    pieces = [{"id": pk, "revision": revision}
              for pk, revision in ((good.pk, 1), (world.piece.pk, 7), (blocked.pk, 1), (10**9, 1))]  # fmt: skip

    answer = api.post("pieces/decide", {"verdict": "approve", "pieces": pieces}).json()

    assert (answer["approved"], answer["changed"], answer["blocked"]) == (1, 2, 1)
    assert {refusal["id"] for refusal in answer["refused"]} == {world.piece.pk, blocked.pk, 10**9}
    rejected = api.post("pieces/decide", {"verdict": "reject", "reason": "dull",
                                          "pieces": [{"id": world.piece.pk, "revision": 1}]})  # fmt: skip
    assert rejected.json()["rejected"] == 1
    no_reason = api.post("pieces/decide", {"verdict": "reject", "pieces": pieces})
    assert no_reason.status_code == 400
    too_many = [{"id": n + 1, "revision": 1} for n in range(1001)]
    assert api.post("pieces/decide", {"verdict": "approve", "pieces": too_many}).status_code == 400


def test_clean_pieces_are_approved_together_only_where_the_policy_says_so(api, world):
    path = f"runs/{world.run.pk}/approve-clean"
    world.campaign.review_policy = "read_all"
    world.campaign.save()
    refused = api.post(path, {})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/policy_forbids")

    world.campaign.review_policy = "clean_together"
    world.campaign.save()

    assert api.post(path, {}).json() == {"approved": 1, "changed": 0, "blocked": 0}
