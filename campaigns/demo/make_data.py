"""Write profiles.csv and events.csv of the demo brand again, the same to the byte each time.

    python campaigns/demo/make_data.py

Every person here is invented: names and phrases come from the lists beside and below, addresses
lie under `.example`, and telephone numbers in the range that Ofcom keeps free for drama. Times are
stored as days before the data is loaded (`days_ago`), so that the demo never grows old.
"""

from __future__ import annotations

import csv
import random
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED = 20_240_317
PEOPLE = 240
FRIENDS = 24  # "friends of the shop" who agreed to e-mail: the readers of the small campaign
FRIENDS_OPTED_OUT = 3  # friends who did not: they must never get it

FIRST_NAMES = (HERE / "first_names.txt").read_text(encoding="utf-8").split()
LAST_NAMES = (HERE / "last_names.txt").read_text(encoding="utf-8").split()

# Place, country, locale, time zone and share of the readers. The shop writes English to all.
PLACES = [
    ("Ottersby", "GB", "en-GB", "Europe/London", 30),
    ("Leeds", "GB", "en-GB", "Europe/London", 18),
    ("Bristol", "GB", "en-GB", "Europe/London", 16),
    ("Glasgow", "GB", "en-GB", "Europe/London", 14),
    ("Cardiff", "GB", "en-GB", "Europe/London", 12),
    ("Norwich", "GB", "en-GB", "Europe/London", 10),
    ("Falmouth", "GB", "en-GB", "Europe/London", 10),
    ("Belfast", "GB", "en-GB", "Europe/London", 8),
    ("Galway", "IE", "en-IE", "Europe/Dublin", 12),
    ("Cork", "IE", "en-IE", "Europe/Dublin", 8),
    ("Utrecht", "NL", "en-GB", "Europe/Amsterdam", 4),
    ("Gdańsk", "PL", "en-GB", "Europe/Warsaw", 4),
    ("Aarhus", "DK", "en-GB", "Europe/Copenhagen", 4),
    ("Portland", "US", "en-US", "America/Los_Angeles", 4),
    ("Adelaide", "AU", "en-AU", "Australia/Adelaide", 3),
]
MAIL_HOSTS = [
    "postbox.example",
    "inkpost.example",
    "mail.fernhill.example",
    "letterbox.example",
    "hearth.example",
]

# Each phrase completes the name of its attribute: "lives near the coast", "cooks on a balcony".
LIVES_NEAR = [
    "the coast",
    "the hills",
    "the moors",
    "a river",
    "a canal",
    "the woods",
    "a lake",
    "the market square",
    "a harbour",
]
COOKS = [
    "on a balcony",
    "on a terrace",
    "on a narrowboat",
    "at campsites",
    "on an allotment",
    "on the beach",
    "in a back yard",
    "in a small garden",
]
COOKS_FOR = [
    "a big family",
    "friends at weekends",
    "the children",
    "a scout group",
    "a small household",
    "the neighbours",
    "a walking club",
]
PREFERS = {
    "early mornings": (6, 9),
    "lunchtimes": (12, 14),
    "evenings": (18, 22),
    "weekends": (9, 20),
}
SIGNED_UP_VIA = [
    "the website",
    "the website",
    "the website",
    "the Saturday fire at the shop",
    "a friend",
    "the county show",
    "the recipe letter",
    "a bread-baking workshop",
    "the harbour market",
]
CONSENT_SOURCE = {"the website": "checkout box", "a friend": "invitation form"}
CRM_NOTES = [
    "rang about a dented lid",
    "wants the invoice on paper",
    "parcel goes to the neighbour",
    "asked for a call back",
]

STARTS_WITH = {  # what people of a category buy first, and what later
    "fire pits": (
        ["WE-FIRE-01", "WE-FIRE-02", "WE-FIRE-03", "WE-FIRE-04"],
        ["WE-FIRE-05", "WE-FIRE-06", "WE-TOOL-02", "WE-TOOL-04"],
    ),
    "pizza": (
        ["WE-PIZZA-01", "WE-PIZZA-05", "WE-PIZZA-04"],
        ["WE-PIZZA-03", "WE-PIZZA-06", "WE-TABLE-02", "WE-TOOL-02"],
    ),
    "cast iron": (
        ["WE-IRON-01", "WE-IRON-03", "WE-IRON-02"],
        ["WE-IRON-05", "WE-IRON-06", "WE-IRON-04", "WE-TOOL-01"],
    ),
    "camp cooking": (
        ["WE-CAMP-01", "WE-CAMP-02", "WE-CAMP-03"],
        ["WE-CAMP-04", "WE-CAMP-05", "WE-CAMP-06", "WE-TABLE-04"],
    ),
    "campfire coffee": (
        ["WE-COFFEE-01", "WE-COFFEE-02", "WE-COFFEE-04"],
        ["WE-COFFEE-03", "WE-TABLE-01", "WE-CAMP-04", "WE-TABLE-03"],
    ),
    "wood and charcoal": (
        ["WE-WOOD-01", "WE-WOOD-02"],
        ["WE-FIRE-04", "WE-TOOL-05", "WE-TOOL-01", "WE-WOOD-03"],
    ),
    "rubs and salts": (
        ["WE-RUB-01", "WE-RUB-02", "WE-RUB-03"],
        ["WE-TOOL-03", "WE-WOOD-03", "WE-IRON-01", "WE-FIRE-04"],
    ),
}
AGAIN = {
    "fire pits": ["WE-WOOD-02", "WE-WOOD-04"],
    "pizza": ["WE-WOOD-02", "WE-RUB-01"],
    "cast iron": ["WE-IRON-07", "WE-RUB-01", "WE-WOOD-01"],
    "camp cooking": ["WE-WOOD-04", "WE-COFFEE-05"],
    "campfire coffee": ["WE-COFFEE-05"],
    "wood and charcoal": ["WE-WOOD-01", "WE-WOOD-02", "WE-WOOD-04"],
    "rubs and salts": ["WE-RUB-01", "WE-RUB-02", "WE-RUB-03"],
}

HABITS = ["new", "browsing", "basket", "active", "loyal", "lapsed", "once"]
HABIT_WEIGHTS = [34, 22, 26, 58, 42, 40, 18]


@dataclass
class Person:
    number: int
    first_name: str
    email: str
    place: tuple[str, str, str, str, int]
    category: str
    prefers: str
    habit: str
    known_days: int  # days since they signed up
    friend: bool = False
    consents: dict[str, bool] = field(default_factory=dict)

    @property
    def external_id(self) -> str:
        return f"we-{self.number:04d}"


def ascii_letters(text: str) -> str:
    """`Łukasz` to `lukasz`: what people with such names write in an address."""
    plain = text.translate(str.maketrans("łŁøØ", "lLoO"))
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return plain.lower()


def email_of(rng: random.Random, first: str, last: str, taken: set[str]) -> str:
    host = rng.choice(MAIL_HOSTS)
    shapes = [
        f"{first}.{last}",
        f"{first}{last}",
        f"{first[0]}.{last}",
        f"{last}.{first}",
        f"{first}_{last}",
    ]
    tags = ["", "", "", "", "", "", "+shops", "+fire"]
    for _ in range(20):
        address = f"{rng.choice(shapes)}{rng.choice(tags)}@{host}"
        if address not in taken:
            taken.add(address)
            return address
    raise RuntimeError(f"no free address for {first} {last}")


def people(rng: random.Random) -> list[Person]:
    firsts = rng.sample(FIRST_NAMES, len(FIRST_NAMES))
    firsts += rng.sample(FIRST_NAMES, PEOPLE - len(firsts))
    lasts = rng.sample(LAST_NAMES, len(LAST_NAMES))
    lasts += rng.sample(LAST_NAMES, PEOPLE - len(lasts))
    habits = [h for h, n in zip(HABITS, HABIT_WEIGHTS, strict=True) for _ in range(n)]
    rng.shuffle(habits)
    known = {
        "new": (4, 25),
        "browsing": (20, 200),
        "basket": (10, 400),
        "active": (150, 500),
        "loyal": (420, 760),
        "lapsed": (330, 760),
        "once": (120, 300),
    }
    taken: set[str] = set()
    found = []
    for i in range(PEOPLE):
        found.append(
            Person(
                number=i + 1,
                first_name=firsts[i],
                email=email_of(rng, ascii_letters(firsts[i]), ascii_letters(lasts[i]), taken),
                place=rng.choices(PLACES, weights=[p[4] for p in PLACES])[0],
                category=rng.choices(list(STARTS_WITH), weights=[5, 4, 6, 5, 5, 2, 2])[0],
                prefers=rng.choice(list(PREFERS)),
                habit=habits[i],
                known_days=rng.randint(*known[habits[i]]),
            )
        )
    for person in found:
        person.consents = {
            "email": rng.random() < 0.9,
            "sms": rng.random() < 0.15,
            "push": rng.random() < 0.2,
        }
    choose_friends(rng, found)
    return found


def choose_friends(rng: random.Random, found: list[Person]) -> None:
    """Mark the readers of the small campaign: every habit among them, some with SMS or push."""
    by_habit = {habit: [p for p in rng.sample(found, len(found)) if p.habit == habit] for habit in HABITS}
    friends = [by_habit[HABITS[i % len(HABITS)]].pop() for i in range(FRIENDS + FRIENDS_OPTED_OUT)]
    for i, person in enumerate(friends):
        person.friend = True
        person.consents = {"email": i < FRIENDS, "sms": i % 6 == 2, "push": i % 6 == 4}
    friends[7].first_name = ""  # one of them must be greeted without a name


def profile_row(rng: random.Random, person: Person) -> dict[str, str]:
    city, country, locale, time_zone, _ = person.place
    told = 0.75 if person.friend else 0.5  # friends of the shop have told it more about themselves
    nameless = not person.friend and rng.random() < 0.05
    via = (
        "the Saturday fire at the shop" if person.friend and rng.random() < 0.3 else rng.choice(SIGNED_UP_VIA)
    )
    return {
        "external_id": person.external_id,
        "email": person.email,
        "phone": f"+447700900{person.number:03d}" if person.consents["sms"] or rng.random() < 0.1 else "",
        "first_name": "" if nameless else person.first_name,
        "locale": locale,
        "time_zone": time_zone,
        "city": city,
        "country": country,
        "favourite_category": person.category if rng.random() < 0.8 or person.friend else "",
        "prefers": person.prefers if rng.random() < told + 0.1 else "",
        "lives_near": rng.choice(LIVES_NEAR) if rng.random() < told else "",
        "cooks": rng.choice(COOKS) if rng.random() < told else "",
        "cooks_for": rng.choice(COOKS_FOR) if rng.random() < told else "",
        "signed_up_via": via,
        "list": "friends of the shop" if person.friend else "the letter",
        "consent_email": "yes" if person.consents["email"] else "no",
        "consent_sms": "yes" if person.consents["sms"] else "no",
        "consent_push": "yes" if person.consents["push"] else "no",
        "consent_source": CONSENT_SOURCE.get(via, "sign-up card"),
        "consent_days_ago": str(person.known_days),
        "crm_note": rng.choice(CRM_NOTES) if rng.random() < 0.08 else "",
    }


def purchases(rng: random.Random, person: Person) -> list[tuple[int, str, int]]:
    """(days ago, sku, quantity) of what one person bought, by habit."""
    first, later = STARTS_WITH[person.category]
    again = AGAIN[person.category]
    known = person.known_days
    start = known - rng.randint(0, min(10, known - 1))
    bought: list[tuple[int, str, int]] = []
    if person.habit == "new" and rng.random() < 0.6:
        bought.append((rng.randint(1, start), rng.choice(first), 1))
    elif person.habit == "basket" and rng.random() < 0.5 and known > 60:
        bought.append((rng.randint(30, start), rng.choice(first), 1))
    elif person.habit == "once":
        bought.append((start, rng.choice(first), 1))
    elif person.habit == "active":
        bought.append((start, rng.choice(first), 1))
        for sku in rng.sample(later, rng.randint(1, 3)):
            bought.append((rng.randint(8, start), sku, 1))
        for _ in range(rng.randint(1, 4)):
            bought.append((rng.randint(5, start), rng.choice(again), rng.randint(1, 3)))
    elif person.habit == "loyal":
        bought.append((start, rng.choice(first), 1))
        for sku in rng.sample(later, rng.randint(2, 4)):
            bought.append((rng.randint(10, start), sku, 1))
        rhythm = rng.choice([21, 28, 35, 45])
        day = start - rng.randint(10, 30)
        while day > rhythm // 3:
            bought.append((day, rng.choice(again), rng.randint(1, 3)))
            day -= rhythm + rng.randint(-4, 4)
    elif person.habit == "lapsed":
        stop = rng.randint(190, 300)
        bought.append((start, rng.choice(first), 1))
        for _ in range(rng.randint(1, 4)):
            bought.append((rng.randint(stop, start), rng.choice(later + again), 1))
    return bought


def events_of(
    rng: random.Random, person: Person, skus: dict[str, list[str]]
) -> list[tuple[int, str, str, str, str]]:
    """(days ago, time, event, sku, quantity), the newest last."""
    low, high = PREFERS[person.prefers]

    def at() -> str:
        return f"{rng.randint(low, high):02d}:{rng.randint(0, 59):02d}"

    rows = [(person.known_days, at(), "signed_up", "", "")]
    first_day = (
        person.known_days - 1
    )  # nothing else on the day of signing up, so that it stays the first event
    bought = purchases(rng, person)
    rows += [(min(day, first_day), at(), "purchased", sku, str(quantity)) for day, sku, quantity in bought]
    for day, sku, _ in bought:
        if rng.random() < 0.45:
            rows.append((min(day + rng.randint(0, 6), first_day), at(), "viewed", sku, ""))
    others = [sku for sku in skus[person.category] if sku not in {b[1] for b in bought}]
    others = others or skus[person.category]
    looks = {"new": 3, "browsing": 5, "basket": 3, "active": 3, "loyal": 2, "lapsed": 0, "once": 1}[
        person.habit
    ]
    for _ in range(looks):
        day = rng.randint(1, min(first_day, 60))
        rows.append((day, at(), "viewed", rng.choice(others), ""))
    if person.habit == "basket":
        day, sku = rng.randint(1, 9), rng.choice(others)
        rows.append((day, at(), "viewed", sku, ""))
        rows.append((day, at(), "cart_left", sku, "1"))
    if rng.random() < 0.14 and person.habit != "lapsed":
        rows.append((rng.randint(1, min(first_day, 45)), at(), "asked_about", rng.choice(others), ""))
    return sorted(rows, key=lambda r: (-r[0], r[1]))


def write(path: Path, header: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    rng = random.Random(SEED)
    skus: dict[str, list[str]] = {}
    with (HERE / "products.csv").open(encoding="utf-8", newline="") as source:
        for product in csv.DictReader(source):
            skus.setdefault(product["category"], []).append(product["sku"])
    found = people(rng)
    profiles = [profile_row(rng, person) for person in found]
    write(HERE / "profiles.csv", list(profiles[0]), profiles)
    events = []
    for person in found:
        for i, (day, time, name, sku, quantity) in enumerate(events_of(rng, person, skus), start=1):
            events.append(
                {
                    "message_id": f"{person.external_id}-{i:03d}",
                    "external_id": person.external_id,
                    "event": name,
                    "days_ago": str(day),
                    "time": time,
                    "sku": sku,
                    "quantity": quantity,
                }
            )
    write(HERE / "events.csv", list(events[0]), events)


if __name__ == "__main__":
    main()
