"""Approval by sample as people do it: draw, read on the desk, pass or fail, print."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from campaigns.models import Campaign, ReviewPolicy, Run, RunStatus
from generation.models import Piece, SamplePlan, SampleStratum, Status
from generation.review import sampling
from tests import factories

ClientOf = Callable[[str], Client]


@pytest.fixture
def run(db: None) -> Run:
    run = factories.RunFactory(campaign=factories.CampaignFactory(review_policy=ReviewPolicy.BY_SAMPLE))
    factories.PieceFactory.create_batch(24, run=run)
    factories.PieceFactory(run=run, warnings=1)
    return run


def page_of(client: Client, run: Run, query: str = "") -> str:
    response = client.get(f"/admin/generation/sampleplan/of-run/{run.pk}/{query}")
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def draw(client: Client, run: Run, **data: str) -> SampleStratum:
    form = {"confidence": "80", "bad": "30", "taste": "ignored", **data}
    response = client.post(f"/admin/generation/sampleplan/of-run/{run.pk}/draw/", form)
    assert response.status_code == 302
    return SampleStratum.objects.get(plan__run=run)


def told(response: object) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))  # type: ignore[attr-defined]


def test_the_page_tells_what_certainty_costs(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")

    usual = page_of(client, run)
    assert "Read all 24" in usual and "It has a warning" in usual
    chosen = page_of(client, run, "?confidence=80&bad=30")
    read = re.search(r"Read (\d+) of 24\. If all \d+ are good, you can be 80 % sure", chosen)
    assert read and f"Draw {read[1]} to read" in chosen
    assert "fewer than 30 in 100 of the rest are not." in chosen
    for odd in ("?confidence=120", "?confidence=abc", "?bad=0", "?bad=NaN", "?confidence=95.12345"):
        assert 'role="alert"' in page_of(client, run, odd), odd


def test_a_sample_is_drawn_read_on_the_desk_and_passed(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")
    stratum = draw(client, run)
    first = client.get(f"/admin/generation/sampleplan/group/{stratum.pk}/next/")
    for _ in range(stratum.sample_size):
        address = client.get(f"/admin/generation/sampleplan/group/{stratum.pk}/next/")["Location"]
        pk = int(re.search(r"/piece/(\d+)/", address)[1])  # type: ignore[index]
        desk = client.get(address).content.decode()
        assert f"sample={stratum.pk}" in desk
        after = client.post(
            f"/admin/generation/piece/{pk}/approve/",
            {"revision": 1, "_changelist_filters": f"sample={stratum.pk}"},
        )
    assert first.status_code == 302 and f"/admin/generation/piece/?sample={stratum.pk}" in after["Location"]
    back = client.get(after["Location"]).content.decode()
    assert f"/admin/generation/sampleplan/of-run/{run.pk}/" in back

    rest = 24 - stratum.sample_size
    assert f"Pass: approve the other {rest}" in page_of(client, run)
    asked = client.get(f"/admin/generation/sampleplan/group/{stratum.pk}/pass/").content.decode()
    assert f"You approve {rest} pieces that nobody read, in your name: 80 % sure" in asked
    done = client.post(f"/admin/generation/sampleplan/group/{stratum.pk}/pass/", {"note": "good"})

    assert f"Passed: {rest} approved by the sample." in told(done)
    assert Piece.objects.filter(run=run, status=Status.APPROVED).count() == 24
    shown = page_of(client, run)
    assert "Earlier plans of this run" in shown and "There is nothing to draw from" in shown
    again = client.post(f"/admin/generation/sampleplan/group/{stratum.pk}/pass/")
    assert "decided before: passed" in told(again)


def test_the_desk_walks_through_the_sample_alone(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")
    stratum = draw(client, run)
    ids = set(sampling.sample_ids(stratum))
    listed = client.get(f"/admin/generation/piece/?sample={stratum.pk}")
    assert {piece.pk for piece in listed.context["cl"].result_list} == ids
    for odd in ("abc", "9999999", "9" * 30):
        assert client.get(f"/admin/generation/piece/?sample={odd}").status_code in (200, 302)


def test_a_bad_piece_fails_the_group(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")
    stratum = draw(client, run)
    first = sampling.sample_ids(stratum)[0]
    client.post(f"/admin/generation/piece/{first}/reject/", {"revision": 1, "reason": "untrue"})

    shown = page_of(client, run)
    assert (
        "A bad piece was found" in shown
        and f"piece {first}: rejected: says something that is not so" in shown
    )
    asked = client.get(f"/admin/generation/sampleplan/group/{stratum.pk}/pass/").content.decode()
    assert "the rest cannot pass" in asked and "Pass: approve" not in asked
    refused = client.post(f"/admin/generation/sampleplan/group/{stratum.pk}/pass/")
    assert "has a bad piece" in told(refused)
    assert Piece.objects.filter(run=run, status=Status.APPROVED).count() == 0

    fail = f"/admin/generation/sampleplan/group/{stratum.pk}/fail/"
    assert "What becomes of the rest?" in client.get(fail).content.decode()
    assert "Choose what becomes" in told(client.post(fail))
    assert "to be read one by one" in told(client.post(fail, {"reason": "read_all"}))
    stratum.refresh_from_db()
    assert stratum.state == "failed"
    assert "It belongs to a group that failed" in page_of(client, run)


def test_failing_can_send_the_rest_back_to_the_writer(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")
    stratum = draw(client, run)
    fail = f"/admin/generation/sampleplan/group/{stratum.pk}/fail/"
    assert "say in the note why" in told(client.post(fail, {"reason": "write_again"}))
    done = client.post(fail, {"reason": "write_again", "note": "the offer changed"})
    assert "24 pieces went back to the writer" in told(done)
    assert Piece.objects.filter(run=run, status=Status.DRAFT).count() == 24
    assert "still to be written" in page_of(client, run) or "still at work" in page_of(client, run)


def test_what_changed_is_named_when_it_passes(client_of: ClientOf, run: Run) -> None:
    factories.PieceFactory.create_batch(30, run=run)
    client = client_of("Reviewers")
    stratum = draw(client, run)
    ids = sampling.sample_ids(stratum)
    for pk in ids:
        client.post(f"/admin/generation/piece/{pk}/approve/", {"revision": 1})
    other = Piece.objects.filter(run=run, warnings=0).exclude(pk__in=ids)[0]
    client.post(f"/admin/generation/piece/{other.pk}/reject/", {"revision": 1, "reason": "dull"})

    done = client.post(f"/admin/generation/sampleplan/group/{stratum.pk}/pass/")

    assert f"1 had changed since the draw and stayed: {other.pk}." in told(done)


def test_a_plan_is_dropped_and_drawn_again(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")
    stratum = draw(client, run)
    assert "still being read" in told(
        client.post(f"/admin/generation/sampleplan/of-run/{run.pk}/draw/", {"confidence": "90"})
    )
    drop = f"/admin/generation/sampleplan/{stratum.plan_id}/drop/"
    assert "Drop plan" in client.get(drop).content.decode()
    assert "Dropped." in told(client.post(drop))
    client.post(f"/admin/generation/sampleplan/of-run/{run.pk}/draw/", {"confidence": "90", "bad": "30"})
    assert SamplePlan.objects.filter(run=run).count() == 2
    assert "made again" not in page_of(client, run)


def test_the_certificate_says_all_and_shows_no_copy(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")
    address = f"/admin/generation/sampleplan/of-run/{run.pk}/certificate/"
    assert "Nothing was drawn" in client.get(address).content.decode()
    stratum = draw(client, run)
    assert "read so far; nothing is approved by it yet" in client.get(address).content.decode()
    ids = sampling.sample_ids(stratum)
    for pk in ids:
        client.post(f"/admin/generation/piece/{pk}/approve/", {"revision": 1})
    client.post(f"/admin/generation/sampleplan/group/{stratum.pk}/pass/")

    response = client.get(address)
    page = " ".join(response.content.decode().split())

    plan = stratum.plan
    for needed in (str(plan.seed), plan.fingerprint, "80 % sure that fewer than 30 in 100", "@media print"):
        assert needed in page
    stratum.refresh_from_db()
    assert stratum.statement in page
    for pk in ids:
        piece = Piece.objects.get(pk=pk)
        assert re.search(rf">{pk}</td><td><code>{piece.text_hash[:16]}</code>", page)
    assert page.count("reviewer</td>") == len(ids)
    assert f'Approved unread, by a sample</th><td class="num">{24 - len(ids)}<' in page
    assert f'Approved, each read by a person</th><td class="num">{len(ids)}<' in page
    assert "subject" not in page.lower() and "<script" not in page
    for text in Piece.objects.get(pk=ids[0]).fields.values():
        assert str(text) not in page


def test_other_policies_and_cancelled_runs(client_of: ClientOf, run: Run) -> None:
    client = client_of("Reviewers")
    Campaign.objects.update(review_policy="read_all")
    shown = page_of(client, run)
    assert "The review policy of this campaign is" in shown and "to read</button>" not in shown
    assert "not approval by sample" in told(
        client.post(f"/admin/generation/sampleplan/of-run/{run.pk}/draw/")
    )
    Run.objects.update(status=RunStatus.CANCELLED)
    assert "This run was cancelled" in page_of(client, run)
    assert SamplePlan.objects.count() == 0


def test_the_run_page_leads_here(client_of: ClientOf, run: Run, world: SimpleNamespace) -> None:
    client = client_of("Reviewers")
    link = f"/admin/generation/sampleplan/of-run/{run.pk}/"
    assert link in client.get(f"/admin/campaigns/run/{run.pk}/change/").content.decode()
    listed = client.get("/admin/generation/sampleplan/").content.decode()
    assert "95 % sure that fewer than 5 in 100" in listed
    opened = client.get(f"/admin/generation/sampleplan/{world.plan.pk}/change/")
    assert opened["Location"] == f"/admin/generation/sampleplan/of-run/{world.run.pk}/"


def test_a_reader_without_the_right_sees_no_buttons(client_of: ClientOf, run: Run) -> None:
    reviewer = client_of("Reviewers")
    assert "needs the permission to review" in page_of(client_of("Writers"), run)
    draw(reviewer, run)
    shown = page_of(client_of("Writers"), run)
    assert "Read the next one" not in shown and "Drop the plan" not in shown


def test_pages_ask_little_of_the_database(
    client_of: ClientOf, run: Run, django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = client_of("Reviewers")
    stratum = draw(client, run)
    with django_assert_max_num_queries(30):  # type: ignore[attr-defined]
        page_of(client, run)
    with django_assert_max_num_queries(30):  # type: ignore[attr-defined]
        client.get(f"/admin/generation/sampleplan/of-run/{run.pk}/certificate/")
    assert stratum.size == 24


def test_the_policy_can_be_chosen_in_the_form(client_of: ClientOf, world: SimpleNamespace) -> None:
    page = client_of("Writers").get(f"/admin/campaigns/campaign/{world.campaign.pk}/change/").content.decode()
    assert 'value="by_sample"' in page
