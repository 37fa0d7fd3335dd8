"""Reviewing at volume in a real Chromium: thirty by keyboard, five thousand at once, samples passed and failed."""

from __future__ import annotations

import sys
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import expect

from campaigns.models import Profile, ReviewPolicy
from generation import review
from generation.models import Piece, PieceEvent, SampleStratum, Status, StratumState
from tests import factories
from tests.admin.chromium import needs_chromium, status

pytestmark = needs_chromium

LIST = "/admin/generation/piece/"


def many(scene: SimpleNamespace, count: int) -> list[int]:
    """So many clean pieces, each for a reader of its own."""
    one = factories.PieceFactory(run=scene.run)
    readers = Profile.objects.bulk_create(
        Profile(external_id=f"many-{n}", lifecycle="active", traits=one.profile.traits)
        for n in range(count - 1)
    )
    copies = []
    for reader in readers:
        copy = Piece.objects.get(pk=one.pk) if not copies else Piece(**_columns(one))
        copy.pk, copy.profile = None, reader
        copies.append(copy)
    Piece.objects.bulk_create(copies, batch_size=1_000)
    return [one.pk, *(copy.pk for copy in copies)]


def _columns(piece: Piece) -> dict[str, Any]:
    return {f.attname: getattr(piece, f.attname) for f in Piece._meta.concrete_fields if f.name != "id"}


def test_thirty_pieces_by_keyboard_alone(open_desk: Any, scene: SimpleNamespace) -> None:
    """From the sign-in to the last piece without a mouse: 24 approved, 6 rejected for a reason, one taken back."""
    pieces = [factories.PieceFactory(run=scene.run, score=n / 100) for n in range(30)]
    desk = open_desk(scene.Reviewers)
    desk.context.clear_cookies()
    desk.open("/admin/login/")
    desk.page.keyboard.type(scene.Reviewers.username)  # the first field has the focus
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.type("correct horse battery")
    desk.press("Enter")
    desk.open(LIST)
    desk.press("o")
    began = time.monotonic()
    for place, piece in enumerate(pieces):
        assert desk.piece() == piece.pk
        if place % 5 == 4:
            desk.page.keyboard.press("r")
            expect(desk.page.locator("#reject input[name=reason]").first).to_be_visible()
            desk.page.keyboard.press("12456"[place // 5 % 5])
            desk.press("Enter")
        else:
            desk.press("a")
        if place == 7:
            desk.press("u")  # back on the piece just decided
            assert (desk.piece(), status(piece.pk)) == (piece.pk, Status.IN_REVIEW)
            desk.press("a")
    seconds = time.monotonic() - began
    expect(desk.page.locator("body")).to_contain_text("That was the last one here")
    counts = Counter(Piece.objects.values_list("status", flat=True))
    assert counts == {Status.APPROVED: 24, Status.REJECTED: 6}
    reasons = (
        Piece.objects.filter(status=Status.REJECTED).order_by("pk").values_list("reject_reason", flat=True)
    )
    assert list(reasons) == ["untrue", "senseless", "reader", "dull", "creepy", "untrue"]
    events = PieceEvent.objects.filter(actor_id=scene.Reviewers.pk, from_status=Status.IN_REVIEW)
    assert (
        events.count() == 31 and events.filter(seconds=None).count() == 0
    )  # how long each was open is known
    assert desk.strangers == [] and desk.errors == []
    sys.stdout.write(
        f"30 pieces by keyboard: {seconds:.1f} s, {seconds / 31:.2f} s a decision with its next page" + "\n"
    )


def test_an_edit_is_checked_while_it_is_typed_and_shown_word_by_word(
    open_desk: Any, scene: SimpleNamespace
) -> None:
    piece = factories.PieceFactory(run=scene.run)
    desk = open_desk(scene.Writers)
    desk.open(f"{LIST}{piece.pk}/change/")
    desk.page.keyboard.press("e")
    expect(desk.page.locator("#live")).to_contain_text("as it stands in the form")
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.type("A pan for 99 dollars")
    expect(desk.page.locator("#live")).to_contain_text("would block approval")
    expect(desk.page.locator("#live del")).to_have_text(["the", "fire"])
    assert Piece.objects.get(pk=piece.pk).revision == 1  # nothing is stored while typing
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.type("A pan for the oven")
    expect(desk.page.locator("#live ins")).to_have_text(["oven"])
    expect(desk.page.locator("#live")).not_to_contain_text("would block approval")
    desk.press("Control+Enter")
    expect(desk.page.locator("#h-changed ~ .pz-field del")).to_have_text(["fire"])
    expect(desk.page.locator("#h-changed ~ .pz-field ins")).to_have_text(["oven"])
    assert desk.strangers == [] and desk.errors == []


def test_a_stale_revision_is_refused_with_the_name_of_who_changed_it(
    open_desk: Any, scene: SimpleNamespace
) -> None:
    """Two desks show one text; it is edited; neither the approval nor the edit of the other goes through."""
    piece = factories.PieceFactory(run=scene.run)
    reviewer, editor = open_desk(scene.Reviewers), open_desk(scene.superuser)
    reviewer.open(f"{LIST}{piece.pk}/change/")
    editor.open(f"{LIST}{piece.pk}/change/")
    review.edit(
        piece_id=piece.pk,
        revision=1,
        fields={**piece.fields, "subject": "Quite another one"},
        by=scene.Writers,
    )
    reviewer.press("a")
    expect(reviewer.page.locator("body")).to_contain_text("Last change: writer")
    editor.page.keyboard.press("e")
    editor.page.keyboard.press("Control+a")
    editor.page.keyboard.type("Mine")
    editor.press("Control+Enter")
    expect(editor.page.locator("body")).to_contain_text("Last change: writer")
    expect(editor.page.locator("#field_subject")).to_have_value("Mine")  # what was typed is not lost
    piece.refresh_from_db()
    assert (piece.status, piece.revision, piece.fields["subject"]) == (
        Status.IN_REVIEW,
        2,
        "Quite another one",
    )


def test_five_thousand_at_once_with_a_result_for_each(open_desk: Any, scene: SimpleNamespace) -> None:
    """All that the filter matches, not one page; three change and two are blocked while the question stands."""
    ids = many(scene, 5_000)
    outside = factories.PieceFactory(run=scene.run, warnings=1)
    desk = open_desk(scene.Reviewers)
    desk.open(LIST)
    desk.page.click("text=Clean 5,000")
    desk.page.check("#action-toggle")
    desk.page.click(".question a")
    desk.page.select_option("select[name=action]", "approve_all")
    desk.page.click("button[title='Run the selected action']")
    expect(desk.page.locator(".pz-confirm h2")).to_have_text("Approve 5,000 pieces?")
    for pk in ids[10:13]:
        fields = {**Piece.objects.get(pk=pk).fields, "subject": f"Edited {pk % 7 * 'o'}"}
        review.edit(piece_id=pk, revision=1, fields=fields, by=scene.Writers)
    Piece.objects.filter(pk__in=ids[20:22]).update(blocking=1)
    late = factories.PieceFactory(run=scene.run)
    began = time.monotonic()
    desk.page.click("button:has-text('Approve 5,000 pieces')")
    told = "4,995 approved, 3 had changed, 2 blocked by findings"
    expect(desk.page.locator("body")).to_contain_text(told, timeout=120_000)
    seconds = time.monotonic() - began
    expect(desk.page.locator("#h-fared")).to_be_visible()
    expect(desk.page.locator(f"a[href='{LIST}{ids[11]}/change/']")).to_be_visible()
    assert Piece.objects.filter(status=Status.APPROVED).count() == 4_995
    assert {status(pk) for pk in (*ids[10:13], *ids[20:22], outside.pk, late.pk)} == {Status.IN_REVIEW}
    assert PieceEvent.objects.filter(to_status=Status.APPROVED).count() == 4_995
    assert desk.errors == []
    sys.stdout.write(f"bulk over 5,000 in Chromium: {told}; {seconds:.1f} s" + "\n")


@pytest.fixture
def sampled(scene: SimpleNamespace) -> SimpleNamespace:
    scene.campaign.review_policy = ReviewPolicy.BY_SAMPLE
    scene.campaign.save()
    many(scene, 60)
    return scene


def drawn(open_desk: Any, scene: SimpleNamespace) -> tuple[Any, SampleStratum]:
    """A desk on the first drawn piece: 90 % sure of fewer than 10 in 100."""
    desk = open_desk(scene.Reviewers)
    desk.open(f"/admin/campaigns/run/{scene.run.pk}/change/")
    desk.page.click("a:has-text('Approve by sample')")
    desk.page.fill("input[name=confidence]", "80")
    desk.page.fill("input[name=bad]", "20")
    desk.page.click("button:has-text('Show the numbers')")
    desk.page.click("button:has-text('to read')")
    expect(desk.page.locator("body")).to_contain_text("Drawn.")
    desk.page.click("a:has-text('Read the next one')")
    return desk, SampleStratum.objects.get()


def test_a_sample_is_read_and_passed(open_desk: Any, sampled: SimpleNamespace) -> None:
    desk, group = drawn(open_desk, sampled)
    expect(desk.page.locator("#drawn")).to_contain_text("speaks for 60 pieces")
    for _ in range(group.sample_size):
        desk.press("a")
    desk.open(f"/admin/generation/sampleplan/of-run/{sampled.run.pk}/")
    expect(desk.page.locator("body")).to_contain_text("Read and good")
    desk.page.click("a:has-text('Pass: approve the other')")
    desk.page.click("button:has-text('Pass: approve')")
    expect(desk.page.locator("body")).to_contain_text("80 % sure")
    group.refresh_from_db()
    assert group.state == StratumState.PASSED and group.approved == 60 - group.sample_size
    assert Piece.objects.filter(status=Status.APPROVED).count() == 60
    desk.page.click("a:has-text('Certificate')")
    expect(desk.page.locator("body")).to_contain_text(group.fingerprint[:12])
    assert desk.errors == [] and desk.strangers == []
    sys.stdout.write(f"sample passed: {group.sample_size} of 60 read. {group.statement}" + "\n")


def test_a_sample_with_a_bad_piece_fails_its_group(open_desk: Any, sampled: SimpleNamespace) -> None:
    desk, group = drawn(open_desk, sampled)
    desk.press("a")
    desk.page.keyboard.press("r")
    desk.page.keyboard.press("1")
    desk.press("Enter")
    desk.open(f"/admin/generation/sampleplan/of-run/{sampled.run.pk}/")
    expect(desk.page.locator("body")).to_contain_text("A bad piece was found")
    assert desk.page.locator("a:has-text('Pass: approve')").count() == 0
    desk.page.click("a:has-text('Fail…')")
    expect(desk.page.locator(".pz-confirm")).to_contain_text(
        "Look whether a fact or value of the brief is wrong"
    )
    desk.page.check("input[value=read_all]")
    desk.page.click("button:has-text('Fail the group')")
    expect(desk.page.locator("body")).to_contain_text("read one by one")
    group.refresh_from_db()
    assert group.state == StratumState.FAILED
    counts = Counter(Piece.objects.values_list("status", flat=True))
    assert counts == {Status.APPROVED: 1, Status.REJECTED: 1, Status.IN_REVIEW: 58}
    assert desk.errors == []
    sys.stdout.write(f"sample failed: {group.statement}" + "\n")
