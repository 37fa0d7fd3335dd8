"""The desk: decisions on exactly the text that was seen, by whoever may take them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client

from generation import review
from generation.admin import texts, walking
from generation.admin.queue import RISKIEST_FIRST
from generation.models import Piece, PieceEvent, Status
from tests import factories

ClientOf = Callable[[str], Client]


def told(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def page(client: Client, piece: Piece, **query: str) -> str:
    response = client.get(f"/admin/generation/piece/{piece.pk}/change/", query)
    assert response.status_code == 200
    return response.content.decode()


def act(client: Client, piece: Piece, verb: str, **data: Any) -> HttpResponse:
    return client.post(f"/admin/generation/piece/{piece.pk}/{verb}/", {"revision": piece.revision, **data})  # type: ignore[return-value]


def test_shows_what_a_decision_rests_on(client_of: ClientOf, world: SimpleNamespace) -> None:
    Piece.objects.filter(pk=world.piece.pk).update(
        ledger=[
            {
                "label": "1",
                "text": "All cast iron is {{discount}} off.",
                "sources": ["f1", "r1"],
                "logprob": -1,
            },
            {"label": "2", "text": "It will change your life.", "sources": [], "logprob": -2},
        ],
        blocking=1,
    )
    factories.FindingFactory(
        piece=world.piece, rule="claims.proof", severity="blocking", field="subject", end=5, message="no fact says so"
    )  # fmt: skip
    shown = page(client_of("Reviewers"), world.piece)
    assert (
        "no fact says so" in shown
        and '<mark class="pz-mark-blocking" title="no fact says so">A pan</mark>' in shown
    )
    assert "All cast iron is 15% off." in shown and "rests on no fact or trait" in shown
    assert "Untuned base model" in shown and "Not sent to the writer" in shown
    assert "e-mail address" in shown and world.profile.email not in shown  # named, not shown
    assert 'sandbox=""' in shown and 'id="edit"' not in shown  # a reviewer does not edit


def test_traits_that_the_text_rests_on_are_told_apart(world: SimpleNamespace) -> None:
    world.piece.ledger = [{"label": "1", "text": "x", "sources": ["r2"], "logprob": -1}]
    assert [used for _, used in texts.used_traits(world.piece)] == [False, True]


def test_approves_and_goes_on_to_the_next(client_of: ClientOf, world: SimpleNamespace) -> None:
    other = factories.PieceFactory(run=world.run, score=0.9)
    client = client_of("Reviewers")
    response = act(client, world.piece, "approve", _changelist_filters=f"run={world.run.pk}")
    assert (
        f"/piece/{other.pk}/change/" in response["Location"]
        and f"decided={world.piece.pk}" in response["Location"]
    )
    world.piece.refresh_from_db()
    assert world.piece.status == Status.APPROVED and world.piece.reviewed_by.username == "reviewer"
    assert LogEntry.objects.filter(object_id=str(world.piece.pk), change_message="Approved.").exists()
    shown = client.get(response["Location"]).content.decode()
    assert "Undo" in shown
    act(client, world.piece, "reopen")
    world.piece.refresh_from_db()
    assert world.piece.status == Status.IN_REVIEW


def test_a_rejection_needs_a_reason(client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("Reviewers")
    assert "Choose a reason" in told(act(client, world.piece, "reject"))
    act(client, world.piece, "reject", reason="dull", note="nothing in it")
    world.piece.refresh_from_db()
    assert (world.piece.status, world.piece.reject_reason) == (Status.REJECTED, "dull")


def test_a_stale_text_is_refused_and_says_who_changed_it(
    client_of: ClientOf, roles: dict[str, User], world: SimpleNamespace
) -> None:
    seen = world.piece.revision
    fields = {**world.piece.fields, "subject": "Another subject"}
    review.edit(piece_id=world.piece.pk, revision=seen, fields=fields, by=roles["Writers"])
    response = act(client_of("Reviewers"), world.piece, "approve", revision=seen)
    assert "new text since you opened it" in told(response) and "Last change: writer" in told(response)
    world.piece.refresh_from_db()
    assert world.piece.status == Status.IN_REVIEW


@pytest.mark.parametrize("revision", ["", "-1", "abc", "99999999999999999999", "0"])
def test_an_odd_revision_decides_nothing(revision: str, client_of: ClientOf, world: SimpleNamespace) -> None:
    act(client_of("Reviewers"), world.piece, "approve", revision=revision)
    world.piece.refresh_from_db()
    assert world.piece.status == Status.IN_REVIEW


def test_the_author_cannot_approve_their_own_edit(
    client_of: ClientOf, roles: dict[str, User], world: SimpleNamespace
) -> None:
    client = client_of("superuser")
    data = {f"field_{name}": value for name, value in world.piece.fields.items()}
    act(client, world.piece, "edit", **{**data, "field_subject": "A pan for the garden"})
    world.piece.refresh_from_db()
    assert world.piece.fields["subject"] == "A pan for the garden" and world.piece.revision == 2
    assert world.piece.fields["body"].startswith("Hello {{first_name}},\n\nYour moka pot")
    assert "somebody else must approve it" in page(client, world.piece)
    response = act(client, world.piece, "approve")
    assert told(response) != "" and Piece.objects.get(pk=world.piece.pk).status == Status.IN_REVIEW
    act(client_of("Reviewers"), world.piece, "approve")
    assert Piece.objects.get(pk=world.piece.pk).status == Status.APPROVED


def test_an_edit_that_is_refused_keeps_what_was_typed(client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("Writers")
    response = act(client, world.piece, "edit", revision=0, field_subject="My long thought", field_body="x")
    assert response.status_code == 409
    assert "My long thought" in response.content.decode()
    assert Piece.objects.get(pk=world.piece.pk).fields["subject"] != "My long thought"


def test_blocking_findings_stop_the_page_too(client_of: ClientOf, world: SimpleNamespace) -> None:
    Piece.objects.filter(pk=world.piece.pk).update(blocking=1)
    response = act(client_of("Reviewers"), world.piece, "approve")
    assert told(response) and Piece.objects.get(pk=world.piece.pk).status == Status.IN_REVIEW


def test_writes_again_with_a_hint(client_of: ClientOf, world: SimpleNamespace) -> None:
    act(client_of("Reviewers"), world.piece, "write-again", steer="shorter, please")
    piece = Piece.objects.get(pk=world.piece.pk)
    assert (piece.status, piece.steer) == (Status.DRAFT, "shorter, please")


def test_a_failed_piece_goes_back_to_the_writer(client_of: ClientOf, world: SimpleNamespace) -> None:
    failed = factories.PieceFactory(run=world.run, status=Status.FAILED, error="the model ran out of memory")
    client = client_of("Operators")
    assert "ran out of memory" in page(client, failed) and "Write it once more" in page(client, failed)
    act(client, failed, "retry")
    assert Piece.objects.get(pk=failed.pk).status == Status.DRAFT


def test_every_decision_leaves_its_event(client_of: ClientOf, world: SimpleNamespace) -> None:
    before = PieceEvent.objects.count()
    act(client_of("Reviewers"), world.piece, "approve", note="good")
    event = PieceEvent.objects.order_by("-pk")[0]
    assert PieceEvent.objects.count() == before + 1
    assert (event.actor_name, event.note, event.to_status) == ("reviewer", "good", Status.APPROVED)


def test_next_and_previous_follow_the_queue(world: SimpleNamespace) -> None:
    """Keyset steps agree with the sorted list, for every combination of risk, score and missing score."""
    for blocking in (0, 1):
        for warnings in (0, 2):
            for score in (None, 0.1, 0.1, 0.7):
                factories.PieceFactory(run=world.run, blocking=blocking, warnings=warnings, score=score)
    queue = Piece.objects.filter(run=world.run, status=Status.IN_REVIEW)
    ordered = list(queue.order_by(*RISKIEST_FIRST))
    ids = [piece.pk for piece in ordered]
    for place, piece in enumerate(ordered):
        behind = ids[place + 1] if place + 1 < len(ids) else None
        assert walking.following(queue, piece, {}) == behind
        assert walking.previous(queue, piece, {}) == (ids[place - 1] if place else None)
        # Also when it has left the queue meanwhile: its place is still known.
        others = queue.exclude(pk=piece.pk)
        assert walking.following(others, piece, {}) == behind
    looked_back = {"status": "all"}
    newest = sorted(ids, reverse=True)
    for place, piece in enumerate(sorted(ordered, key=lambda p: -p.pk)):
        behind = newest[place + 1] if place + 1 < len(ids) else None
        assert walking.following(queue, piece, looked_back) == behind
        assert walking.previous(queue, piece, looked_back) == (newest[place - 1] if place else None)
    assert walking.following(queue.none(), ordered[0], {}) is None


@pytest.mark.parametrize("channel", ["google_rsa", "meta_ad", "linkedin_ad"])
def test_ads_have_a_lookalike(channel: str, client_of: ClientOf, world: SimpleNamespace) -> None:
    ad = factories.AdPieceFactory(run=world.run, channel=channel)
    shown = client_of("Reviewers").get(f"/admin/delivery/delivery/preview/{ad.pk}/").content.decode()
    assert "15%" in shown and "Cast iron that lasts" in shown
    assert "no person's data reached the writer" in page(client_of("Reviewers"), ad).replace("&#x27;", "'")


@pytest.mark.parametrize("channel", ["sms", "push"])
def test_short_messages_have_a_lookalike(channel: str, client_of: ClientOf, world: SimpleNamespace) -> None:
    piece = factories.PieceFactory(run=world.run, channel=channel)
    shown = client_of("Reviewers").get(f"/admin/delivery/delivery/preview/{piece.pk}/").content.decode()
    assert "15%" in shown and "5 July" in shown
