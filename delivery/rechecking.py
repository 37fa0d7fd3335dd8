"""What is looked at again, in the transaction that claims, before anything leaves: may it, is it true, is it time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from campaigns import consent, timing
from campaigns.models import Channel, Consent, ConsentStatus, Fact, Profile, Run, Value
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.models.privacy import MARKETING
from delivery import caps, rendering
from delivery.models import Hold, HoldReason, Transport
from generation.models import Finding, Piece, Severity, Status
from generation.texts import text_hash
from generation.transitions import advance_many
from personalize.core.errors import InvalidInput

STALE = "facts.changed"  # the rule of a finding: what the text was approved for has changed


def may_receive(pieces: Sequence[Piece], channel: Channel) -> set[int]:
    if channel not in PERSONAL_CHANNELS:
        return set()
    ids = [piece.profile_id for piece in pieces if piece.profile_id is not None]
    people = Profile.objects.filter(pk__in=ids)
    return set(consent.may_receive(people, channel=channel).values_list("pk", flat=True))


def why_not_sent(piece: Piece, channel: Channel, allowed: Collection[int]) -> str:
    """Why this reader may not get it, in a fixed sentence, or ''."""
    if channel not in PERSONAL_CHANNELS:
        return ""
    if piece.profile is None:
        return "it has no reader"
    if piece.profile_id in allowed:
        return ""
    address = consent.address_of(piece.profile, channel)
    if not address:
        return "the reader has no address for this channel"
    try:
        if consent.is_suppressed(address=address, channel=channel):
            return "the address is suppressed"
    except InvalidInput:
        return "what is on file for this channel is no address"
    given = Consent.objects.filter(
        profile=piece.profile, channel=channel, purpose=MARKETING, status=ConsentStatus.GIVEN
    )
    return "the reader may not be sent to now" if given.exists() else "the reader's consent is not given"


class Facts:
    """The campaign's facts and values as they are now, against those that the run froze."""

    def __init__(self, run: Run) -> None:
        self._frozen = rendering.run_values(run.brief)
        self._current = {value.name: value for value in Value.objects.filter(campaign_id=run.campaign_id)}
        self._told = {fact["id"]: fact["text"] for fact in run.brief["facts"]}
        self._true = dict(Fact.objects.filter(campaign_id=run.campaign_id).values_list("text", "valid_until"))

    def why_stale(self, piece: Piece, at: datetime) -> str:
        """Why its text is not the approved one, or not true at that time, or ''."""
        if text_hash(piece.fields) != piece.approved_hash:
            return "The text is not the one that was approved."
        return self.why_untrue(piece, at)

    def why_untrue(self, piece: Piece, at: datetime) -> str:
        """Why what it says is not true at that time, whoever approved it, or ''."""
        sources = {source for line in piece.ledger for source in line.get("sources", ())}
        for source in sorted(sources & self._told.keys()):
            text = self._told[source]
            if text not in self._true:
                return f"Facts changed: the campaign no longer says what fact {source[1:]} of this run said."
            if (until := self._true[text]) is not None and until <= at:
                return f"Facts changed: fact {source[1:]} was true until {until:%d %B %Y, %H:%M} UTC."
        for name in sorted(rendering.used_values(piece)):
            current = self._current.get(name)
            if name not in self._frozen:
                return f"Facts changed: this run has no value {name}."
            if current is None:
                return f"Facts changed: the campaign no longer has the value {name}."
            if current.text != self._frozen[name]:
                return f"Facts changed: the value {name} is another now."
            if current.valid_until is not None and current.valid_until <= at:
                return f"Facts changed: the value {name} was valid until {current.valid_until:%d %B %Y, %H:%M} UTC."
        return ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a piece may leave only later, and when."""

    until: datetime
    reason: HoldReason


class Timing:
    """Whether it is time for each reader. Read before the pieces are looked at: `read_at` says as of when."""

    def __init__(self, run: Run, channel: Channel, transport: Transport, now: datetime) -> None:
        self.read_at = timezone.now()
        self._now = now
        # A file has no hour: whoever uploads it chooses that. Ads are for nobody in particular.
        by_hour = channel in PERSONAL_CHANNELS and transport != Transport.FILE
        self._rules = timing.rules_of(run.campaign) if by_hour else None
        self._caps = timing.caps_on(channel) if channel in PERSONAL_CHANNELS else []
        self._full: Mapping[int, datetime] = {}

    def lock(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The pieces whose readers may be looked at now. With caps, each reader is locked until the claim is made."""
        if not self._caps:
            return list(pieces)
        mine = caps.lock(piece.profile_id for piece in pieces if piece.profile_id is not None)
        self._full = caps.full_until(sorted(mine), caps=self._caps, now=self._now)
        return [piece for piece in pieces if piece.profile_id is None or piece.profile_id in mine]

    def wait(self, piece: Piece) -> Wait | None:
        """None: it may leave now."""
        now, reason = self._now, None
        if piece.profile_id is not None and (full := self._full.get(piece.profile_id)):
            now, reason = full, HoldReason.CAP
        if self._rules is not None and piece.profile is not None:
            slot = self._rules.slot(piece.profile.time_zone, now)
            if slot.at is None:  # never: look again tomorrow, in case somebody changes the rules' days
                return Wait(self._now + timedelta(days=1), HoldReason(slot.why or HoldReason.WINDOW))
            if slot.why is not None:
                return Wait(slot.at, reason or HoldReason(slot.why))
        return Wait(now, reason) if reason else None


def store_waits(waits: Mapping[int, Wait], read_at: datetime) -> None:
    Hold.objects.bulk_create(
        [
            Hold(piece_id=piece_id, until=wait.until, reason=wait.reason, made_at=read_at)
            for piece_id, wait in waits.items()
        ],
        update_conflicts=True,
        unique_fields=["piece"],
        update_fields=["until", "reason", "made_at"],
        batch_size=1000,
    )


def return_to_review(reasons: Mapping[int, str]) -> None:
    """Back to a person, each with its reason as a finding. The approval ends with the way back."""
    for reason, ids in _by_reason(reasons):
        marked = set(
            Finding.objects.filter(piece__in=ids, rule=STALE, revision=F("piece__revision")).values_list(
                "piece_id", flat=True
            )
        )
        for group, more in ((set(ids) - marked, 1), (marked, 0)):
            moved = advance_many(
                Piece.objects.filter(pk__in=group),
                Status.IN_REVIEW,
                was=Status.APPROVED,
                note=reason,
                approved_hash="",
                reviewed_at=None,
                reviewed_by=None,
                retry_after=None,
                warnings=F("warnings") + more,
            )
            _write_findings(moved, reason)
            Hold.objects.filter(piece__in=moved).delete()


def _write_findings(piece_ids: Sequence[int], reason: str) -> None:
    """One finding each, replacing an older one about the same text."""
    Finding.objects.filter(piece__in=piece_ids, rule=STALE, revision=F("piece__revision")).delete()
    revisions = Piece.objects.filter(pk__in=piece_ids).values_list("pk", "revision")
    Finding.objects.bulk_create(
        Finding(
            piece_id=piece_id, revision=revision, rule=STALE, severity=Severity.WARNING, message=reason[:300]
        )
        for piece_id, revision in revisions
    )


def withdraw(reasons: Mapping[int, str]) -> None:
    for reason, ids in _by_reason(reasons):
        moved = advance_many(
            Piece.objects.filter(pk__in=ids),
            Status.WITHDRAWN,
            was=Status.APPROVED,
            note=f"Not sent: {reason}.",
        )
        Hold.objects.filter(piece__in=moved).delete()


def _by_reason(reasons: Mapping[int, str]) -> Iterable[tuple[str, list[int]]]:
    """Moves by reason, so that each is one statement."""
    grouped: dict[str, list[int]] = defaultdict(list)
    for piece_id, reason in reasons.items():
        grouped[reason].append(piece_id)
    return grouped.items()
