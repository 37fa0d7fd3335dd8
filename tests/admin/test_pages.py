"""Campaigns, runs, brands, segments, rules, people, imports and keys, as a marketer meets them."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from campaigns.models import (
    Brand,
    Campaign,
    CampaignStatus,
    Import,
    ImportSource,
    Profile,
    Run,
    RunStatus,
    Segment,
    SendPolicy,
    Suppression,
    Upload,
    Value,
)
from campaigns.tasks import run_import
from generation.models import Piece, Status
from personalize.core import api_keys
from personalize.core.models import ApiKey
from tests import factories
from tests.factories import ImportSourceFactory

ClientOf = Callable[[str], Client]


def told(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def form_of(client: Client, url: str) -> dict[str, Any]:
    """The form of a change page as a browser would send it back unchanged."""
    response = client.get(url)
    assert response.status_code == 200
    data: dict[str, Any] = {}
    forms = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for bound in form:
            value = bound.value()
            names = getattr(bound.field.widget, "widgets_names", None)
            if names:
                for suffix, part in zip(names, bound.field.widget.decompress(value), strict=True):
                    data[bound.html_name + suffix] = "" if part is None else part
            elif isinstance(value, bool):
                data |= {bound.html_name: "on"} if value else {}
            else:
                shown = bound.field.prepare_value(value)
                data[bound.html_name] = "" if shown is None else shown
    return data


# -- campaigns ---------------------------------------------------------------------------------------


def test_a_campaign_says_what_keeps_it_from_launching(client_of: ClientOf, db: None) -> None:
    bare = factories.CampaignFactory(whole=False)
    shown = client_of("Writers").get(f"/admin/campaigns/campaign/{bare.pk}/change/").content.decode()
    assert "Before it can be launched" in shown and "Add at least one fact" in shown
    asked = client_of("Writers").get(f"/admin/campaigns/run/launch/{bare.pk}/").content.decode()
    assert "cannot be launched yet" in asked and "Launch: write" not in asked


def test_launch_shows_numbers_first_and_then_makes_exactly_them(client_of: ClientOf, db: None) -> None:
    for _ in range(3):
        factories.ProfileFactory(consents=["email"])
    factories.ProfileFactory()  # never asked
    gone = factories.ProfileFactory(consents=["email"])
    factories.SuppressionFactory(address=gone.email)
    campaign = factories.CampaignFactory(channels=["email", "google_rsa"])
    client = client_of("Senders")
    url = f"/admin/campaigns/run/launch/{campaign.pk}/"
    shown = client.get(url).content.decode()
    assert "Launch: write 4 pieces" in shown and "no consent" in shown
    assert "no address, or suppressed" in shown and not Run.objects.exists()
    client.post(url)
    assert Piece.objects.filter(status=Status.DRAFT).count() == 4
    client.post(url)  # a second click in the same minute
    assert Run.objects.count() == 1
    page = client.get(f"/admin/campaigns/run/{Run.objects.get().pk}/change/").content.decode()
    assert "0 of 4 written" in page and "E-mail: no consent" in page


def test_the_form_saves_facts_values_and_words(client_of: ClientOf, db: None) -> None:
    campaign = factories.CampaignFactory()
    client = client_of("Writers")
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    data = form_of(client, url)
    data |= {"must_mention": "discount, end_date", "channels": ["email", "sms"], "goal": "say hello"}
    data["facts-0-text"] = "all cast iron is {{discount}} off"
    assert client.post(url, data).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.must_mention, campaign.channels) == (["discount", "end_date"], ["email", "sms"])
    assert campaign.facts.filter(text="all cast iron is {{discount}} off").exists()
    assert Value.objects.filter(campaign=campaign).count() == 3


def test_sending_as_approved_is_for_senders_to_choose(client_of: ClientOf, db: None) -> None:
    campaign = factories.CampaignFactory()
    client = client_of("Writers")
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    response = client.post(url, form_of(client, url) | {"send_policy": SendPolicy.WHEN_APPROVED})
    assert response.status_code == 200 and "may not let pieces go out" in response.content.decode()
    assert Campaign.objects.get().send_policy == SendPolicy.RELEASE


def test_a_schedule_is_checked_and_shown(client_of: ClientOf, db: None) -> None:
    campaign = factories.CampaignFactory(status=CampaignStatus.ACTIVE)
    client = client_of("Writers")
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    data = form_of(client, url) | {"schedule": "cron", "schedule_cron": "61 9 * * MON"}
    assert "cannot be read" in client.post(url, data).content.decode()
    data |= {"schedule_cron": "0 9 * * MON", "schedule_time_zone": "Europe/Berlin"}
    assert client.post(url, data).status_code == 302
    campaign.refresh_from_db()
    assert campaign.next_run_at is not None  # an active campaign's next time follows its schedule
    shown = client.get(url).content.decode()
    assert len(re.findall(r"<li>Monday, [^<]*09:00 \(CE(?:S)?T\)", shown)) == 5


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [("start", "paused", "active"), ("pause", "active", "paused"), ("archive", "active", "archived")],
)
def test_starting_and_stopping(verb: str, before: str, after: str, client_of: ClientOf, db: None) -> None:
    campaign = factories.CampaignFactory(status=before)
    client = client_of("Senders")
    assert client.get(f"/admin/campaigns/campaign/{campaign.pk}/{verb}/").status_code == 200
    client.post(f"/admin/campaigns/campaign/{campaign.pk}/{verb}/")
    assert Campaign.objects.get().status == after


# -- runs --------------------------------------------------------------------------------------------


def test_a_run_is_paused_resumed_released_and_cancelled(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Senders"), f"/admin/campaigns/run/{world.run.pk}"

    def status() -> str:
        return Run.objects.get(pk=world.run.pk).status

    client.post(f"{url}/pause/")
    assert status() == RunStatus.PAUSED
    client.post(f"{url}/resume/")
    assert status() == RunStatus.OPEN
    assert "1 approved piece may go out" in client.get(f"{url}/release/").content.decode()
    client.post(f"{url}/release/")
    run = Run.objects.get(pk=world.run.pk)
    assert run.released_by is not None and run.released_by.username == "sender"
    client.post(f"{url}/cancel/")
    assert status() == RunStatus.CANCELLED
    assert Piece.objects.get(pk=world.piece.pk).status == Status.WITHDRAWN


def test_clean_pieces_are_approved_together_where_the_policy_says_so(
    client_of: ClientOf, world: SimpleNamespace
) -> None:
    factories.PieceFactory(run=world.run, warnings=1)
    client, url = client_of("Reviewers"), f"/admin/campaigns/run/{world.run.pk}/approve-clean/"
    assert "Approve 1 clean piece?" in client.get(url).content.decode()
    shown = client.get(url).context["confirmation"].hidden
    other = factories.PieceFactory(run=world.run)  # comes while the page is open: not what was shown
    assert "Look again" in told(client.post(url, {"seen": "made up"}))
    assert "1 approved" in told(client.post(url, dict(shown)))
    assert Piece.objects.get(pk=other.pk).status == Status.IN_REVIEW
    elsewhere = factories.PieceFactory(run=factories.RunFactory(campaign=world.campaign))
    theirs = (
        client.get(f"/admin/campaigns/run/{elsewhere.run_id}/approve-clean/").context["confirmation"].hidden
    )
    assert "Look again" in told(client.post(url, dict(theirs)))
    assert Piece.objects.get(pk=elsewhere.pk).status == Status.IN_REVIEW
    Campaign.objects.update(review_policy="read_all")
    assert "wants every piece read" in client.get(url).content.decode()


def test_progress_is_told_as_json(client_of: ClientOf, world: SimpleNamespace) -> None:
    factories.PieceFactory(run=world.run, status=Status.DRAFT)
    answer = client_of("Writers").get(f"/admin/campaigns/run/{world.run.pk}/progress/").json()
    assert answer["busy"] is True and "3 of 4 written" in answer["html"]


# -- delivery ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("delivered", Status.DELIVERED), ("send_again", Status.APPROVED), ("withdraw", Status.WITHDRAWN)],
)
def test_an_uncertain_delivery_is_settled_by_a_person(
    verdict: str, status: str, client_of: ClientOf, world: SimpleNamespace
) -> None:
    client, url = client_of("Senders"), f"/admin/delivery/delivery/settle/{world.unknown.pk}/"
    assert "Did piece" in client.get(url).content.decode()
    client.post(url)  # without a choice nothing happens
    assert Piece.objects.get(pk=world.unknown.pk).status == Status.UNKNOWN
    client.post(url, {"reason": verdict})
    assert Piece.objects.get(pk=world.unknown.pk).status == status


def test_an_exported_file_stays_below_the_output_folder(client_of: ClientOf, world: SimpleNamespace) -> None:
    world.export.path = "../../../etc/passwd"
    world.export.save()
    assert (
        client_of("Senders").get(f"/admin/delivery/delivery/export/file/{world.export.pk}/").status_code
        == 404
    )


# -- brands, segments, rules -------------------------------------------------------------------------


def test_a_brand_keeps_its_versions(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Writers"), f"/admin/campaigns/brand/{world.brand.pk}/change/"
    assert client.post(url, form_of(client, url) | {"avoid": "hurry, ultimate"}).status_code == 302
    assert client.post(url, form_of(client, url)).status_code == 302  # nothing changed: no new version
    brand = Brand.objects.get(pk=world.brand.pk)
    assert brand.avoid == ["hurry", "ultimate"]
    assert brand.versions.count() == 1 and brand.versions.get().created_by.username == "writer"
    assert "Saved states" in client.get(url).content.decode()


def test_a_segment_reads_as_a_sentence_and_refuses_unknown_fields(
    client_of: ClientOf, world: SimpleNamespace
) -> None:
    client, url = client_of("Writers"), f"/admin/campaigns/segment/{world.segment.pk}/change/"
    form = {
        "name": "x",
        "slug": "x",
        "like_count": "9",
        "n.r.mode": "all",
        "n.r.0.op": "is",
        "do": "save_and_stay",
    }
    bad = client.post(url, form | {"n.r.0.what": "password", "n.r.0.value": "x"}).content.decode()
    assert "is not a field that people may be chosen by" in bad
    good = form | {"n.r.0.what": "lifecycle", "n.r.0.value": "nowhere"}
    assert client.post(url, good).status_code == 302
    assert Segment.objects.get(pk=world.segment.pk).filter["all"][0]["value"] == "nowhere"
    shown = client.get(url).content.decode()
    assert "nowhere" in shown and ">0</b> people" in shown


def test_a_rule_that_could_say_too_much_is_refused(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Operators"), f"/admin/campaigns/traitrule/{world.rule.pk}/change/"
    response = client.post(url, form_of(client, url) | {"phrase": "owes {iban}"})
    assert response.status_code == 200 and response.context["adminform"].form.errors


# -- people ------------------------------------------------------------------------------------------


def test_a_profile_shows_only_what_may_be_kept(client_of: ClientOf, world: SimpleNamespace) -> None:
    Profile.objects.filter(pk=world.profile.pk).update(
        attributes={"prefers": "gas", "password": "hunter2", "card_number": "4111111111111111"}
    )
    shown = (
        client_of("Reviewers").get(f"/admin/campaigns/profile/{world.profile.pk}/change/").content.decode()
    )
    assert "gas" in shown and "hunter2" not in shown and "4111" not in shown


def test_a_person_is_found_by_id_or_address(client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("Reviewers")
    for term, count in ((world.profile.external_id, 1), (world.profile.email.upper(), 1), ("postbox", 0)):
        shown = client.get("/admin/campaigns/profile/", {"q": term}).content.decode()
        assert len(set(re.findall(r"/admin/campaigns/profile/(\d+)/change/", shown))) == count, term


def test_erasing_needs_a_confirmation(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Operators"), f"/admin/campaigns/profile/{world.profile.pk}/erase/"
    before = Suppression.objects.count()
    assert "Erase this person" in client.get(url).content.decode()
    assert "Erased" in told(client.post(url))
    assert not Profile.objects.filter(pk=world.profile.pk).exists()
    assert Suppression.objects.count() > before


# -- imports -----------------------------------------------------------------------------------------

CSV = b"id,Email Address,First,password\nc-1,yara@postbox.example,Yara,hunter2\nc-2,not an address,Jo,x\n"


def test_a_file_is_mapped_tried_and_taken_in(client_of: ClientOf, db: None) -> None:
    client = client_of("Operators")
    response = client.post(
        "/admin/campaigns/import/upload/",
        {"kind": "profiles", "source": "HubSpot", "file": SimpleUploadedFile("my contacts.csv", CSV)},
    )
    url = response["Location"]
    shown = client.get(url).content.decode()
    assert re.search(r'value="Email Address" selected', shown) and "never stored, whatever is chosen" in shown
    assert 'value="password"' not in shown and "hunter2" not in shown
    assert Upload.objects.get().source == "HubSpot"
    mapping = {
        "to_external_id": "id",
        "to_email": "Email Address",
        "to_first_name": "First",
        "to_phone": "password2",
        "source": "HubSpot",
        "lenient": "yes",
    }
    tried = client.post(url, {**mapping, "go": "dry"})["Location"]
    assert "waiting for a worker" in client.get(tried).content.decode()
    work()
    shown = client.get(tried).content.decode()
    assert "Import for real" in shown and "row refused" in shown and not Profile.objects.exists()
    assert "Yara" not in shown
    assert re.search(r'value="First" selected', client.get(url).content.decode())  # what was chosen stays
    pk = Import.objects.get(dry_run=True).pk
    done = client.post(f"/admin/campaigns/import/{pk}/take-in/")["Location"]
    work()
    assert Profile.objects.get(external_id="c-1").first_name == "Yara"
    record = Import.objects.get(dry_run=False)
    assert (record.status, record.created, record.refused) == ("done", 1, 1)
    assert "1 rows" not in client.get(done).content.decode() and not Upload.objects.exists()
    assert client.get(url).status_code == 404  # personal data does not lie about
    answer = client.get(f"/admin/campaigns/import/{record.pk}/progress/").json()
    assert answer["busy"] is False and "100 %" in answer["html"]
    problems = b"".join(
        client.get(f"/admin/campaigns/import/{record.pk}/problems.csv").streaming_content
    ).decode()
    assert "2,email,yes,is not an e-mail address" in problems
    source = ImportSource.objects.get()
    assert (source.name, source.mapping["email"], source.options) == (
        "HubSpot", "Email Address", {"lenient": True},
    )  # fmt: skip


def work() -> None:
    """What a worker does with the imports that wait."""
    for pk in Import.objects.filter(status="queued").values_list("pk", flat=True):
        run_import(import_id=pk)


def test_the_next_file_of_a_source_is_proposed_the_same(client_of: ClientOf, db: None) -> None:
    ImportSourceFactory(
        name="Till",
        mapping={"external_id": "nr", "email": "Gone", "last_name": "First"},
        options={"region": "DE"},
    )
    client = client_of("Operators")
    url = client.post(
        "/admin/campaigns/import/upload/",
        {"kind": "profiles", "source": "Till", "file": SimpleUploadedFile("b.csv", b"nr,First\n1,Jo\n")},
    )["Location"]
    shown = client.get(url).content.decode()
    assert "As it was confirmed" in shown and "no longer there: Gone" in shown and 'value="DE"' in shown
    assert re.search(r'name="to_last_name">.*?value="First" selected', shown, re.DOTALL)


def test_an_import_is_stopped_and_goes_on(client_of: ClientOf, db: None) -> None:
    client = client_of("Operators")
    url = client.post(
        "/admin/campaigns/import/upload/",
        {"kind": "profiles", "file": SimpleUploadedFile("b.csv", b"id\n1\n2\n")},
    )["Location"]
    page = client.post(url, {"to_external_id": "id", "go": "import"})["Location"]
    pk = Import.objects.get().pk
    client.post(f"/admin/campaigns/import/{pk}/cancel/")
    work()
    assert "Go on where it ended" in client.get(page).content.decode() and not Profile.objects.exists()
    client.post(f"/admin/campaigns/import/{pk}/resume/")
    work()
    assert Profile.objects.count() == 2
    assert "no longer kept" in told(client.post(f"/admin/campaigns/import/{pk}/resume/"))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"region": "XX"}, "two letters"),
        ({"time_zone": "../etc/passwd"}, "There is no time zone"),
        ({"to_external_id": ""}, "Say which column holds external_id"),
    ],
)
def test_what_cannot_work_is_said_beside_the_columns(
    changed: dict[str, str], says: str, client_of: ClientOf, db: None
) -> None:
    client = client_of("Operators")
    url = client.post(
        "/admin/campaigns/import/upload/",
        {"kind": "profiles", "file": SimpleUploadedFile("b.csv", b"id\n1\n")},
    )["Location"]
    answer = client.post(url, {"to_external_id": "id", "go": "dry", **changed})
    assert answer.status_code == 200 and says in answer.content.decode()
    assert not Import.objects.exists()


@pytest.mark.parametrize("token", ["..", "a" * 31, "a" * 32])
def test_an_upload_is_found_by_its_token_alone(token: str, client_of: ClientOf, db: None) -> None:
    assert client_of("Operators").get(f"/admin/campaigns/import/upload/profiles/{token}/").status_code == 404


# -- keys --------------------------------------------------------------------------------------------


def test_a_key_is_shown_once(client_of: ClientOf, roles: dict[str, User]) -> None:
    client = client_of("superuser")
    data = {"name": "CRM", "scopes": ["pieces:read"], "acts_as": roles["Reviewers"].pk}
    response = client.post("/admin/core/apikey/add/", data)
    plain = re.search(r"pk_[A-Za-z0-9]+", response.content.decode())
    assert plain is not None and api_keys.verify(plain=plain.group()).name == "CRM"
    assert "no-store" in response["Cache-Control"]
    key = ApiKey.objects.get()
    for url in ("/admin/core/apikey/", f"/admin/core/apikey/{key.pk}/change/"):
        assert plain.group() not in client.get(url).content.decode()
    client.post(f"/admin/core/apikey/{key.pk}/revoke/")
    key.refresh_from_db()
    assert key.revoked_at is not None


# -- today -------------------------------------------------------------------------------------------


def test_a_newcomer_sees_the_road(client_of: ClientOf, db: None) -> None:
    shown = client_of("superuser").get("/admin/").content.decode()
    assert "Describe your brand" in shown and "No run yet" in shown and "Nothing waits for you" in shown


def test_today_says_what_waits(client_of: ClientOf, world: SimpleNamespace) -> None:
    factories.FindingFactory(piece=world.piece)
    shown = client_of("superuser").get("/admin/").content.decode()
    assert "1 piece waits for a decision" in shown and "1 delivery is uncertain" in shown
    assert "Avoided word" in shown
    assert re.search(r"Review queue</span>\s*<span[^>]*>\s*1\s*</span>", shown)
