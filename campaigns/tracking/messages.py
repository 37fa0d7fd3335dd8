"""One tracking call, as a client sent it, to what it says. Pure: no database, and no value is ever quoted."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from campaigns import cleaning, events, people
from campaigns.cleaning import Problem, Unusable
from campaigns.consent import ConsentInput
from campaigns.events import EventInput
from campaigns.models import ConsentStatus, TrackedKind
from campaigns.models.channels import PERSONAL_CHANNELS, Channel
from campaigns.people import ProfileInput
from campaigns.sensitive import word_set
from campaigns.tracking import names

MOST_BYTES = 32 * 1024  # of one call
_LONGEST_ID = 110  # of a message: behind it, the lines of an order are numbered
# Ids that programs write when they have none. One of them would be everybody at once.
_NOBODY = word_set(
    "null undefined none nil nan anonymous guest unknown n/a na false true 0 -1 00000000-0000-0000-0000-000000000000"
) | {"[object object]"}


@dataclass(frozen=True, slots=True)
class Message:
    """`at` is by our clock. `events` and `person` bear no external id yet: whose they are is decided on storing."""

    message_id: str
    kind: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    previous_id: str = ""
    at: datetime | None = None
    events: tuple[EventInput, ...] = ()
    person: ProfileInput | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def refused(self) -> bool:
        return any(problem.refuses for problem in self.problems)


def read(
    raw: object, *, defined: Mapping[str, str], received_at: datetime, sent_at: object = None, kind: str = ""
) -> Message:
    """`kind`: what the address said, "" in a batch. `sent_at`: the batch's, for a call without its own."""
    if not isinstance(raw, dict):
        return unreadable()
    message = Message(message_id_of(raw))
    if len(json.dumps(raw, ensure_ascii=False, separators=(",", ":")).encode()) > MOST_BYTES:
        return replace(
            message, problems=(Problem("message", "is larger than the 32 KB that one call may have"),)
        )
    kind = kind or str(raw.get("type") or "")
    if kind not in TrackedKind.values:
        kinds = ", ".join(TrackedKind.values)
        return replace(message, problems=(Problem("type", f"is missing or not one of {kinds}"),))
    problems: list[Problem] = []
    message = replace(
        message,
        kind=kind,
        user_id=_id(raw, "userId", problems),
        anonymous_id=_id(raw, "anonymousId", problems),
        previous_id=_id(raw, "previousId", problems) if kind == TrackedKind.ALIAS else "",
    )
    if not message.user_id and not message.anonymous_id and not any(p.refuses for p in problems):
        problems.append(Problem("userId", "is missing, and anonymousId too: one of them says who it was"))
    if kind == TrackedKind.ALIAS and not (message.user_id and message.previous_id):
        problems.append(Problem("previousId", "and userId are both needed: which id became which"))
    try:
        at = happened_at(raw, sent_at=sent_at, received_at=received_at)
        message = replace(message, at=at)
    except Unusable as error:
        problems.append(Problem("timestamp", str(error)))
        at = received_at
    for name in ("properties", "traits", "context"):
        if raw.get(name) is not None and not isinstance(raw[name], dict):
            problems.append(Problem(name, "is not a JSON object: left out", refuses=False))
    if kind in (TrackedKind.TRACK, TrackedKind.PAGE, TrackedKind.SCREEN):
        message = replace(message, events=_events(raw, message, at, received_at, problems))
    elif kind in (TrackedKind.IDENTIFY, TrackedKind.GROUP):
        message = replace(message, person=_person(raw, kind, at, defined, problems))
    return replace(message, problems=tuple(problems))


def unreadable() -> Message:
    return Message(_made_id(), problems=(Problem("message", "is not a readable JSON object"),))


# -- ids ---------------------------------------------------------------------------------------------


def message_id_of(raw: Mapping[str, Any]) -> str:
    """The client's messageId; without one, one made of the content if that tells the time, else a new one.

    A client that repeats a call without an id is recognised so, and two equal calls without a time stay two.
    """
    given = raw.get("messageId")
    if isinstance(given, (str, int)) and not isinstance(given, bool) and str(given).strip():
        text = str(given).strip()
        if len(text) <= _LONGEST_ID and text.isprintable():
            return text
        return "sha256-" + hashlib.sha256(text.encode()).hexdigest()
    if raw.get("timestamp") or raw.get("originalTimestamp"):
        same = {name: value for name, value in raw.items() if name not in ("sentAt", "writeKey")}
        canonical = json.dumps(same, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return "made-" + hashlib.sha256(canonical.encode()).hexdigest()
    return _made_id()


def _made_id() -> str:
    return f"made-{uuid.uuid4()}"


def _id(raw: Mapping[str, Any], name: str, problems: list[Problem]) -> str:
    value = raw.get(name)
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        problems.append(Problem(name, "is neither a text nor a number"))
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = cleaning.plain(str(value))
    if text.casefold() in _NOBODY:
        problems.append(Problem(name, "is a placeholder and nobody's id: left out", refuses=False))
        return ""
    try:
        return cleaning.identifier(text)
    except Unusable as error:
        problems.append(Problem(name, str(error)))
        return ""


# -- times -------------------------------------------------------------------------------------------


def happened_at(raw: Mapping[str, Any], *, sent_at: object, received_at: datetime) -> datetime:
    """timestamp = originalTimestamp + (receivedAt - sentAt): the client's clock need not be right, only even.

    A call that was relayed, with a receivedAt of its own, was corrected there.
    """
    original = raw.get("originalTimestamp") or raw.get("timestamp")
    if original is None or original == "":
        return received_at
    relayed = bool(raw.get("receivedAt") and raw.get("timestamp"))
    try:
        at = cleaning.moment(str(raw["timestamp"] if relayed else original))
        if not relayed and (sent := _sent(raw.get("sentAt")) or _sent(sent_at)):
            at += received_at - sent
        return at
    except OverflowError:
        raise Unusable("is a date outside the years 1900 to 2200") from None


def _sent(value: object) -> datetime | None:
    """None for a missing or unreadable time: then the client's clock is taken to be right."""
    if not isinstance(value, str) or not value:
        return None
    try:
        return cleaning.moment(value)
    except (Unusable, OverflowError):
        return None


# -- what people did ---------------------------------------------------------------------------------


def _events(
    raw: Mapping[str, Any], message: Message, at: datetime, received_at: datetime, problems: list[Problem]
) -> tuple[EventInput, ...]:
    properties = _object(raw, "properties")
    if message.kind == TrackedKind.TRACK:
        given = raw.get("event")
        if not isinstance(given, str) or not given.strip():
            problems.append(Problem("event", "is missing: say what was done, such as 'Order Completed'"))
            return ()
        try:
            lines = names.lines(given, properties)
        except Unusable as error:
            problems.append(Problem("event", str(error)))
            return ()
    else:
        name = raw.get("name") or properties.get("name")
        lines = [names.view(message.kind, name, raw.get("category"), properties)]
    found = []
    for place, line in enumerate(lines):
        item = EventInput(
            message_id=message.message_id if len(lines) == 1 else f"{message.message_id}#{place + 1}",
            external_id="x",
            name=line.name,
            occurred_at=at,
            sku=line.sku,
            quantity=line.quantity,
            amount=line.amount,
            properties=line.properties,
        )
        cleaned, wrong = events.clean(item, now=received_at)
        for problem in wrong:
            if problem.field in ("sku", "quantity", "amount"):  # of the line: the event itself is right
                cleaned = _without(cleaned, problem.field)
                problems.append(replace(problem, refuses=False))
            else:
                field = "timestamp" if problem.field == "occurred_at" else problem.field
                problems.append(replace(problem, field=field))
        found.append(cleaned)
    return tuple(found)


def _without(item: EventInput, field: str) -> EventInput:
    if field == "sku":
        return replace(item, sku="")
    return replace(item, quantity=None) if field == "quantity" else replace(item, amount=None)


# -- who people are ----------------------------------------------------------------------------------

_FIELDS: Mapping[str, str] = {
    "email": "email", "phone": "phone", "first_name": "first_name", "firstname": "first_name",
    "last_name": "last_name", "lastname": "last_name", "locale": "locale", "timezone": "time_zone",
    "time_zone": "time_zone",
}  # fmt: skip


def _person(
    raw: Mapping[str, Any], kind: str, at: datetime, defined: Mapping[str, str], problems: list[Problem]
) -> ProfileInput:
    traits = _object(raw, "traits")
    fields: dict[str, str] = {}
    attributes: dict[str, object] = {}
    consents: list[ConsentInput] = []
    if kind == TrackedKind.GROUP:
        group = raw.get("groupId")
        if isinstance(group, (str, int)) and not isinstance(group, bool) and str(group):
            attributes["group_id"] = str(group)
        else:
            problems.append(Problem("groupId", "is missing: say which group"))
        attributes |= {f"group_{name}": value for name, value in _flat(traits).items()}
    else:
        for key, value in _flat(traits).items():
            if _is_consent(key) or value == "" or (key in _FIELDS and value is None):
                continue  # empty says nothing: what is known stays
            if key in _FIELDS and isinstance(value, (str, int)) and not isinstance(value, bool):
                fields[_FIELDS[key]] = str(value)
            elif key != "name":
                attributes[key] = value
        whole = traits.get("name")
        if isinstance(whole, str) and not {"first_name", "last_name"} & fields.keys():
            both = zip(("first_name", "last_name"), cleaning.split_name(whole), strict=True)
            fields |= {name: part for name, part in both if part}
        context = _object(raw, "context")
        for theirs, ours in (("locale", "locale"), ("timezone", "time_zone")):
            if ours not in fields and isinstance(context.get(theirs), str) and context[theirs]:
                fields[ours] = context[theirs]
        consents = _consents(traits, at, problems)
    cleaned = people.clean(
        ProfileInput(external_id="x", attributes=attributes, consents=consents, **fields),
        defined=defined,
        lenient=True,
    )
    # A bad value costs itself; what makes a call unusable was said before.
    problems += [replace(problem, refuses=False) for problem in cleaned.problems]
    problems += [
        Problem(f"attribute.{name}", "is not among the kept attributes: define it to keep it", refuses=False)
        for name in sorted(cleaned.ignored)
    ]
    return cleaned.item


_SNAKE = re.compile(r"[^a-z0-9]+")


def _snake(key: object) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cleaning.plain(str(key)))
    return _SNAKE.sub("_", spaced.lower()).strip("_")[:64]


def _flat(traits: Mapping[str, Any]) -> dict[str, object]:
    """Names as ours are written. {"address": {"city": …}} gives `address_city` and, where free, `city`."""
    found: dict[str, object] = {}
    nested: dict[str, object] = {}
    for key, value in traits.items():
        name = _snake(key)
        if not name:
            continue
        if isinstance(value, dict):
            if name == "consents":
                continue
            for inner_key, inner in value.items():
                if inner_name := _snake(inner_key):
                    found[f"{name}_{inner_name}"[:64]] = inner
                    if name == "address":
                        nested[inner_name] = inner
        else:
            found[name] = value
    return {**nested, **found}


# -- what people agreed to ---------------------------------------------------------------------------


def _is_consent(name: str) -> bool:
    return name in ("consents", "unsubscribed") or name.startswith("consent_")


def _consents(traits: Mapping[str, Any], at: datetime, problems: list[Problem]) -> list[ConsentInput]:
    """Only from fields that say so: `consents: {"email": true}`, `consent_email`, and `unsubscribed: true`.

    Never `explicit`: a 'yes' that a client repeats undoes no 'no'.
    """
    said: dict[str, object] = {}
    for key, value in traits.items():
        name = _snake(key)
        if name == "consents":
            if isinstance(value, dict):
                said |= {_snake(channel): word for channel, word in value.items()}
            else:
                problems.append(Problem("consents", "is an object such as {email: true}", refuses=False))
        elif name.startswith("consent_"):
            said[name.removeprefix("consent_")] = value
    if any(_snake(key) == "unsubscribed" and _yes_no(value) for key, value in traits.items()):
        said[Channel.EMAIL] = False  # beside a 'yes' the 'no' counts
    found = []
    for channel, word in said.items():
        given = _yes_no(word)
        if channel not in PERSONAL_CHANNELS:
            known = ", ".join(PERSONAL_CHANNELS)
            problems.append(Problem("consents", f"are asked for {known}: another is left out", refuses=False))
        elif given is None:
            problems.append(Problem(f"consents.{channel}", "is neither yes nor no: left out", refuses=False))
        else:
            status = ConsentStatus.GIVEN if given else ConsentStatus.WITHDRAWN
            found.append(ConsentInput(channel=channel, status=status, at=at))
    return found


def _yes_no(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    try:
        return cleaning.boolean(value) if isinstance(value, str) else None
    except Unusable:
        return None


def _object(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}
