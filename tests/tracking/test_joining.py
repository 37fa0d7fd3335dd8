"""Several ids of one person: nothing is lost, nothing overwritten, and no consent grows."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from campaigns import consent, events, people, segments
from campaigns.events import EventInput
from campaigns.models import (
    ConsentStatus,
    Entry,
    Event,
    Identity,
    Profile,
    Segment,
    Suppression,
    SuppressionReason,
    TrackedMessage,
)
from campaigns.people import ProfileInput
from tests.factories import (
    AttributeDefinitionFactory,
    ConsentFactory,
    EntryFactory,
    EventFactory,
    ProfileFactory,
)
from tests.tracking.sender import Sender, agreed, call, did, person, statuses

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Sender:
    return Sender()


def mailable(external_id: str) -> bool:
    people_of = Profile.objects.filter(external_id=external_id)
    return consent.may_receive(people_of, channel="email").exists()


def test_what_a_visitor_did_waits_and_becomes_the_persons(shop: Sender) -> None:
    shop.send("page", call("page", "m1", anonymousId="a1", name="Home"))
    shop.send("track", call("track", "m2", anonymousId="a1", event="Product Viewed"))
    assert (statuses(), Profile.objects.count(), Event.objects.count()) == ({"waiting": 2}, 0, 0)

    shop.send("identify", call("identify", "m3", userId="u1", anonymousId="a1"))

    assert did("u1") == ["page_viewed", "viewed"]
    assert statuses() == {"stored": 3}
    assert not TrackedMessage.objects.exclude(payload={}).exists()
    # From now on the anonymous id is theirs, and what waited is not stored again when it is sent again.
    shop.send("track", call("track", "m4", anonymousId="a1", event="read"))
    shop.send("page", call("page", "m1", anonymousId="a1", name="Home"))
    assert did("u1") == ["page_viewed", "viewed", "read"]


def test_within_one_batch_too(shop: Sender) -> None:
    shop.batch(
        call("track", "m1", anonymousId="a1", event="one"),
        call("identify", "m2", userId="u1", anonymousId="a1"),
        call("track", "m3", anonymousId="a1", event="two"),
        call("track", "m4", anonymousId="a2", event="three"),
        call("alias", "m5", previousId="a2", userId="u1"),
    )
    assert sorted(did("u1")) == ["one", "three", "two"]
    assert statuses() == {"stored": 5}


def test_track_with_both_ids_joins_nothing(shop: Sender) -> None:
    shop.send("track", call("track", "m1", anonymousId="a1", event="one"))
    shop.send("track", call("track", "m2", anonymousId="a1", userId="u1", event="two"))
    assert (did("u1"), statuses()) == (["two"], {"waiting": 1, "stored": 1})


def test_a_visitors_words_complete_a_person_and_overwrite_nothing(shop: Sender) -> None:
    AttributeDefinitionFactory(name="plan", kind="text")
    AttributeDefinitionFactory(name="city", kind="text")
    ProfileFactory(
        external_id="u1", email="ada@example.com", first_name="Ada", last_name="", attributes={"plan": "gold"}
    )
    shop.send(
        "identify",
        call("identify", "m1", anonymousId="a1", traits={
            "email": "other@example.com", "firstName": "Eve", "lastName": "Byron", "plan": "free", "city": "Leeds",
        }),
    )  # fmt: skip
    shop.send("identify", call("identify", "m2", userId="u1", anonymousId="a1"))

    ada = person("u1")
    assert (ada.email, ada.first_name, ada.last_name) == ("ada@example.com", "Ada", "Byron")
    assert ada.attributes == {"plan": "gold", "city": "Leeds"}


@pytest.mark.parametrize(
    ("known", "visitor", "said", "expected"),
    [
        ("", "v@example.com", True, {"email": "given"}),  # the address comes along with its yes
        ("v@example.com", "V@example.com", True, {"email": "given"}),
        ("ada@example.com", "v@example.com", True, {}),  # a yes for another address
        ("ada@example.com", "", True, {}),  # a yes for nobody knows which
        ("ada@example.com", "v@example.com", False, {"email": "withdrawn"}),
        ("", "", False, {"email": "withdrawn"}),
    ],
)
def test_a_visitors_yes_holds_for_its_address_and_a_no_for_all(
    shop: Sender, known: str, visitor: str, said: bool, expected: dict[str, str]
) -> None:
    ProfileFactory(external_id="u1", email=known)
    traits: dict[str, Any] = {"consents": {"email": said, "push": True}}
    if visitor:
        traits["email"] = visitor
    shop.send("identify", call("identify", "m1", anonymousId="a1", traits=traits))
    shop.send("identify", call("identify", "m2", userId="u1", anonymousId="a1"))
    assert agreed("u1") == expected


def test_an_anonymous_id_of_two_people_is_nobodys_from_then_on(shop: Sender) -> None:
    """A family's tablet: what the first did stays theirs, and the second is not told of it."""
    shop.send("track", call("track", "m1", anonymousId="a1", event="one"))
    shop.send("identify", call("identify", "m2", userId="u1", anonymousId="a1"))
    shop.send("identify", call("identify", "m3", userId="u2", anonymousId="a1"))
    shop.send("track", call("track", "m4", anonymousId="a1", event="two"))
    shop.send("identify", call("identify", "m5", userId="u1", anonymousId="a1"))

    assert (did("u1"), did("u2")) == (["one"], [])
    assert TrackedMessage.objects.get(status="waiting").occurred_at


def test_alias_of_two_people_makes_one_and_loses_nothing(shop: Sender) -> None:
    AttributeDefinitionFactory(name="plan", kind="text")
    AttributeDefinitionFactory(name="city", kind="text")
    old = ProfileFactory(
        external_id="old",
        email="old@example.com",
        phone="+442079460958",
        attributes={"plan": "free", "city": "Leeds"},
    )
    new = ProfileFactory(external_id="new", email="new@example.com", phone="", attributes={"plan": "gold"})
    EventFactory(profile=old, message_id="e1", name="viewed")
    EventFactory(profile=new, message_id="e2", name="purchased")
    ConsentFactory(profile=old, channel="email", status=ConsentStatus.GIVEN)
    ConsentFactory(profile=old, channel="sms", status=ConsentStatus.GIVEN)
    ConsentFactory(profile=old, channel="push", status=ConsentStatus.WITHDRAWN)
    ConsentFactory(profile=new, channel="push", status=ConsentStatus.GIVEN)

    shop.send("alias", call("alias", "m1", previousId="old", userId="new"))

    now = person("new")
    assert (now.email, now.phone, now.attributes) == (
        "new@example.com",
        "+442079460958",
        {"plan": "gold", "city": "Leeds"},
    )
    assert sorted(did("new")) == ["purchased", "viewed"]
    # sms came along with its number; the yes for old@ is no yes for new@; the no to push holds on both sides.
    assert agreed("new") == {"sms": "given", "push": "withdrawn"}
    old.refresh_from_db()
    assert (old.merged_into, old.email) == (now, "old@example.com")
    assert not mailable("old") and not mailable("new")
    assert segments.count(Segment(filter={})) == 1


def test_after_an_alias_the_old_id_means_the_new_person_everywhere(shop: Sender) -> None:
    ProfileFactory(external_id="old", email="")
    shop.send("alias", call("alias", "m1", previousId="old", userId="new"))
    shop.send("track", call("track", "m2", userId="old", event="by_tracking"))
    events.record(items=[EventInput("m3", "old", "by_import", datetime.now(UTC))])
    people.upsert(items=[ProfileInput("old", email="ada@example.com")], source="import")

    assert sorted(did("new")) == ["by_import", "by_tracking"]
    assert (person("new").email, person("old").email) == ("ada@example.com", "")


def test_aliases_in_chains_and_circles(shop: Sender) -> None:
    for name in ("a", "b", "c"):
        shop.send("track", call("track", f"m-{name}", userId=name, event=name))
    shop.send("alias", call("alias", "m1", previousId="a", userId="b"))
    shop.send("alias", call("alias", "m2", previousId="b", userId="c"))
    shop.send("alias", call("alias", "m3", previousId="c", userId="a"))
    shop.send("alias", call("alias", "m4", previousId="c", userId="c"))
    for name in ("a", "b", "c"):
        shop.send("track", call("track", f"n-{name}", userId=name, event=name))

    assert sorted(did("c")) == ["a", "a", "b", "b", "c", "c"]
    assert set(Profile.objects.values_list("external_id", "merged_into__external_id")) == {
        ("a", "c"), ("b", "c"), ("c", None),
    }  # fmt: skip


def test_alias_of_an_id_nobody_knew_names_it(shop: Sender) -> None:
    shop.send("alias", call("alias", "m1", previousId="a1", userId="u1"))
    shop.send("track", call("track", "m2", anonymousId="a1", event="one"))
    shop.send("track", call("track", "m3", userId="a1", event="two"))
    assert (did("u1"), Profile.objects.count()) == (["one", "two"], 1)


def test_erasure_takes_all_ids_and_what_waits_and_is_not_undone_by_a_retry(shop: Sender) -> None:
    late = call("track", "m-u1", userId="u1", event="a")
    shop.batch(
        call("identify", "m1", userId="u0", traits={"email": "zero@example.com"}),
        late,
        call("identify", "m2", userId="u1", anonymousId="a1", traits={"email": "one@example.com"}),
        call("alias", "m3", previousId="u0", userId="u1"),
        call("track", "u1-bad", userId="u1"),
    )
    people.erase(external_id="u0", by=None)

    assert Profile.objects.count() == Event.objects.count() == Identity.objects.count() == 0
    assert statuses() == {"forgotten": 5}
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(t::text, ' ') FROM campaigns_trackedmessage t")
        dump = cursor.fetchone()[0]
    assert not any(word in dump for word in ("u0", "u1", "example", "a1"))
    # The client's queue sends it again; then something new of the same id.
    shop.batch(late)
    assert shop.batch(call("track", "m9", userId="u1", event="b"))["refused"][0]["field"] == "userId"
    assert Profile.objects.count() == 0
    reasons = Suppression.objects.values_list("reason", flat=True)
    assert set(reasons) == {SuppressionReason.ERASED} and len(reasons) == 4
    # Who comes back by the CRM is a person again.
    people.upsert(items=[ProfileInput("u1")], source="crm")
    shop.batch(call("track", "m10", userId="u1", event="b"))
    assert did("u1") == ["b"]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_store_each_once_and_lose_no_visitor() -> None:
    """Eight clients send the same messages in other orders while the visitors become known."""
    shop = Sender()
    at = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    visits = [call("track", f"t{n}", anonymousId=f"a{n % 6}", event="seen", timestamp=at) for n in range(48)]
    known = [call("identify", f"i{n}", userId=f"u{n}", anonymousId=f"a{n}", timestamp=at) for n in range(6)]
    wrong: list[BaseException] = []

    def client(seed: int) -> None:
        import random

        mine = [*visits, *known]
        random.Random(seed).shuffle(mine)
        sender = Sender(plain=shop.plain)
        try:
            for start in range(0, len(mine), 9):
                sender.batch(*mine[start : start + 9])
        except BaseException as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert statuses() == {"stored": 54}
    assert [len(did(f"u{n}")) for n in range(6)] == [8] * 6


def test_a_no_to_a_former_id_is_a_no_of_the_person(shop: Sender) -> None:
    old = ProfileFactory(external_id="old", email="old@example.com")
    new = ProfileFactory(external_id="new", email="new@example.com", consents=["email"])
    shop.send("alias", call("alias", "m1", previousId="old", userId="new"))
    assert mailable("new")

    consent.record(profile_id=old.pk, channel="email", status="withdrawn", source="api")

    assert agreed("new") == {"email": "withdrawn"} and not mailable("new")
    assert new.pk == person("new").pk


def test_an_always_on_campaign_is_had_once_under_all_ids(shop: Sender) -> None:
    old, new = ProfileFactory(external_id="old"), ProfileFactory(external_id="new")
    once, again, fresh = (EntryFactory(profile=old).campaign for _ in range(3))
    now = datetime.now(UTC)
    Entry.objects.filter(campaign__in=[once, again]).update(times=1, started_at=now - timedelta(days=40))
    type(again).objects.filter(pk=again.pk).update(reentry_days=30)
    for campaign in (once, again):
        EntryFactory(campaign=campaign, profile=new, waits_since=now)

    shop.send("alias", call("alias", "m1", previousId="old", userId="new"))

    found = {entry.campaign_id: entry for entry in Entry.objects.filter(profile=new)}
    assert not Entry.objects.filter(profile=old).exists() and len(found) == 3
    assert {key: (entry.times, entry.waits_since) for key, entry in found.items()} == {
        once.pk: (1, None),
        again.pk: (1, now),  # the forty days are over: it may reach them again
        fresh.pk: (0, None),
    }
