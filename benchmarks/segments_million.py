"""How long it takes to say who is in a segment, over a million people and their events.

    DATABASE_URL=… python benchmarks/segments_million.py [--people 1000000] [--explain]

Makes a database of its own beside the one DATABASE_URL names, fills it in SQL, and drops it. `--explain` prints the
plan of every question that takes longer than a second.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from run_support import scratch_database, timed  # sets the path and the environment

PEOPLE_SQL = """
INSERT INTO campaigns_profile (external_id, email, phone, first_name, last_name, locale, time_zone, email_hash,
    phone_hash, id_hash, attributes, lifecycle, traits, traits_hash, traits_at, created_at, updated_at)
SELECT 'crm-' || lpad(n::text, 7, '0'), 'reader-' || n || '@postbox.example', '', 'Ada', 'Yarrow',
    (ARRAY['en-GB', 'de-DE', 'fr-FR', 'nl-NL'])[1 + n %% 4], 'Europe/London', md5(n::text) || md5('h' || n), '',
    md5('i' || n) || md5('j' || n),
    jsonb_build_object('city', 'city ' || (power(random(), 2) * 400)::int, 'spend', round((random() * 900)::numeric, 2),
        'club', random() < 0.2, 'since', (date '2015-01-01' + (random() * 3600)::int)::text),
    (ARRAY['new', 'active', 'active', 'loyal', 'lapsed'])[1 + (random() * 4)::int],
    ARRAY['likes the kind ' || n %% 50], md5((n %% 50)::text) || md5('t'), now(),
    now() - random() * interval '3 years', now()
FROM generate_series(1, %s) n
"""
CONSENT_SQL = """
INSERT INTO campaigns_consent ({columns})
SELECT id, 'email', CASE WHEN random() < 0.9 THEN 'given' ELSE 'withdrawn' END, 'benchmark', now(), now(){purpose}
FROM campaigns_profile WHERE random() < 0.8
"""
EVENT_SQL = """
INSERT INTO campaigns_event (profile_id, message_id, name, occurred_at, product_id, quantity, amount,
    properties, received_at)
SELECT p.lo + (power(random(), 1.6) * (p.hi - p.lo))::bigint, 'm-' || n,
    (ARRAY['viewed', 'viewed', 'viewed', 'purchased', 'cart_left'])[1 + (random() * 4)::int],
    now() - power(random(), 1.4) * interval '3 years', q.lo + (random() * (q.hi - q.lo))::bigint, 1, 20, '{}', now()
FROM generate_series(1, %s) n, (SELECT min(id) lo, max(id) hi FROM campaigns_profile) p,
    (SELECT min(id) lo, max(id) hi FROM campaigns_product) q
"""
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("everybody", {}),
    ("lifecycle is lapsed", {"field": "lifecycle", "op": "is", "value": "lapsed"}),
    ("city is one of three", {"field": "attributes.city", "op": "one_of", "value": ["city 3", "city 90", "city 200"]}),
    ("city is not", {"field": "attributes.city", "op": "is_not", "value": "city 3"}),
    ("spend at least 500", {"field": "attributes.spend", "op": "at_least", "value": 500}),
    ("member since before 2018", {"field": "attributes.since", "op": "before", "value": "2018-01-01"}),
    ("consent to e-mail given", {"field": "consent.email", "op": "is", "value": "given"}),
    ("never asked for e-mail", {"field": "consent.email", "op": "is", "value": "never asked"}),
    ("bought in the last 90 days", {"did": "purchased", "days": 90}),
    ("bought at least twice in a year", {"did": "purchased", "at_least": 2, "days": 365}),
    ("bought three to five times", {"did": "purchased", "at_least": 3, "at_most": 5}),
    ("did not buy for 180 days", {"did_not": "purchased", "days": 180}),
    ("did not buy twice", {"did_not": "purchased", "at_least": 2}),
    ("bought coffee", {"did": "purchased", "category": "category 3"}),
    ("a tenth of all people", {"bucket": "spring", "from": 0, "to": 10}),
    (
        "lapsed, agreed, bought once, not lately, no hold-out",
        {
            "all": [
                {"field": "lifecycle", "op": "is", "value": "lapsed"},
                {"field": "consent.email", "op": "is", "value": "given"},
                {"did": "purchased"},
                {"did_not": "purchased", "days": 365},
                {"bucket": "spring", "from": 10, "to": 100},
            ]
        },
    ),
    (
        "any of: bought coffee twice, spends, or viewed today",
        {
            "any": [
                {"did": "purchased", "at_least": 2, "category": "category 3"},
                {"field": "attributes.spend", "op": "more_than", "value": 850},
                {"did": "viewed", "days": 1},
            ]
        },
    ),
    ("none of: lapsed, bought within a year", {"not": {"any": [{"field": "lifecycle", "op": "is", "value": "lapsed"},
        {"did": "purchased", "days": 365}]}}),
]  # fmt: skip


@contextmanager
def indexes_made_last(cursor: Any) -> Iterator[None]:
    """The rows come in without the indexes that are no constraints, which are built once they are all there."""
    cursor.execute(
        "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename IN ('campaigns_profile', "
        "'campaigns_consent', 'campaigns_event') AND NOT EXISTS "
        "(SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)"
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    with timed(f"{len(found)} indexes built"):
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for _, definition in found:
            cursor.execute(definition)


def fill(people: int, events: int) -> None:
    from django.db import connection

    from campaigns.models import Consent, Profile
    from tests.factories import AttributeDefinitionFactory, ProductFactory

    for name, kind in (("city", "text"), ("spend", "number"), ("club", "boolean"), ("since", "date")):
        AttributeDefinitionFactory(name=name, kind=kind)
    for n in range(200):
        ProductFactory(sku=f"sku-{n}", category=f"category {n % 12}")
    has_purpose = any(field.name == "purpose" for field in Consent._meta.get_fields())
    columns = "profile_id, channel, status, source, recorded_at, updated_at" + (
        ", purpose" if has_purpose else ""
    )
    with connection.cursor() as cursor, indexes_made_last(cursor):
        with timed("people made", people):
            cursor.execute(PEOPLE_SQL, [people])
        with timed("consents made"):
            cursor.execute(
                CONSENT_SQL.format(columns=columns, purpose=", 'marketing'" if has_purpose else "")
            )
        with timed("events made", events):
            cursor.execute(EVENT_SQL, [events])
    with connection.cursor() as cursor, timed("vacuum and analyze"):
        cursor.execute("VACUUM ANALYZE campaigns_profile, campaigns_consent, campaigns_event")
    assert Profile.objects.count() == people


def ask(explain: bool) -> None:
    from campaigns import segments
    from campaigns.models import Profile
    from campaigns.segments import looking

    print(f"\n{'':<56} {'people':>10} {'count':>8} {'one person':>11}", flush=True)
    for words, tree in QUESTIONS:
        people = Profile.objects.filter(segments.to_query(tree))
        started = time.monotonic()
        found = people.count()
        counted = time.monotonic() - started
        one = Profile.objects.order_by("pk").values_list("pk", flat=True)[777]
        started = time.monotonic()
        people.filter(pk=one).exists()
        single = time.monotonic() - started
        print(f"{words:<56} {found:>10,} {counted:>6.2f} s {single * 1000:>8.1f} ms", flush=True)
        if explain and (counted > 1 or single > 0.1):
            print(people.explain(analyze=True, buffers=True))
            if single > 0.1:
                print(people.filter(pk=one).explain(analyze=True))
    for words, tree in (("look at everybody", {}), ("look at the long one", QUESTIONS[-3][1])):
        with timed(words):
            look = looking.look(tree)
        print(f"    {look.count.people:,}, exact: {look.count.exact}; e-mail {look.reachable[0][1]}")
    with timed("names of events"):
        print("   ", looking.event_names())
    with timed("suggested cities"):
        print("   ", looking.values_of("attributes.city")[:6])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=0, help="default: three for each person")
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    with scratch_database():
        fill(options.people, options.events or 3 * options.people)
        ask(options.explain)


if __name__ == "__main__":
    main()
