"""What a mailing list's words say of an address: subscribed, unsubscribed, bounced, complained, or nothing. Pure.

In doubt against sending: silence and "not opted out" are no consent, and whatever stands in a column of opt-outs
and is not plainly a no counts as one.
"""

from __future__ import annotations

import re

from campaigns import cleaning
from campaigns.cleaning import Unusable
from campaigns.models import ConsentStatus, SuppressionReason

GIVEN, WITHDRAWN = ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN
_SAYS: dict[str, tuple[str, str]] = {}  # word -> (consent, reason to stop); both may be empty


def _learn(words: str, consent: str = "", stop: str = "") -> None:
    _SAYS.update({word.strip(): (consent, stop) for word in words.split(",")})


_learn(
    "subscribed, active, confirmed, double opt in, single opt in, opted in, opt in, granted, consented, accepted, "
    "enabled, explicit consent, abonniert, angemeldet, abonné, inscrit, suscrito",
    GIVEN,
)
_learn(
    "unsubscribed, opted out, opt out, optout, unsub, inactive unsubscribed, blacklisted, blocklisted, suppressed, "
    "withdrawn, revoked, do not email, do not contact, do not mail, dnc, abgemeldet, abbestellt, désabonné, "
    "désinscrit, desuscrito, dado de baja, baja, disiscritto, uitgeschreven, отписан, отписался",
    WITHDRAWN,
    SuppressionReason.UNSUBSCRIBED,
)
_learn(
    "cleaned, bounced, bounce, hard bounce, hard bounced, hard, invalid, invalid email, undeliverable, undelivered, "
    "dead, dropped, mailbox not found, unknown user",
    "",
    SuppressionReason.BOUNCED,
)
_learn(
    "complained, complaint, spam, spam complaint, spam report, marked as spam, abuse, junk",
    WITHDRAWN,
    SuppressionReason.COMPLAINED,
)
_learn("refused, denied, declined, rejected", WITHDRAWN)  # never agreed, rather than asked to be left alone
# Neither yes nor no: nobody agreed, and nobody asked to be left alone.
_learn(
    "pending, unconfirmed, never subscribed, non subscribed, nonsubscribed, not subscribed, transactional, unknown, "
    "not set, none, null, n/a, archived, soft bounce, soft bounced, soft, not specified, no consent, implicit"
)
# Words that only a mailing list uses: a column that holds one of them is its status, whatever its name.
UNMISTAKABLE = frozenset(
    word
    for word, (_, stop) in _SAYS.items()
    if stop and word not in ("hard", "dead", "invalid", "spam", "baja")
) | {"subscribed", "never subscribed", "non subscribed", "nonsubscribed", "double opt in"}
_NOTHING = frozenset(("0", "0.0", "never", "none", "null", "n/a", "-", "--", "not set", "nan"))


def bare(text: str) -> str:
    return " ".join(re.sub(r"[_\-\s]+", " ", cleaning.plain(text)).lower().split())


def said(text: str) -> tuple[str, str]:
    """(consent, reason to stop) that a cell of a consent or status column means; Unusable if nobody can tell."""
    word = bare(text)
    if word in _SAYS:
        return _SAYS[word]
    try:
        return (GIVEN, "") if cleaning.boolean(text) else (WITHDRAWN, "")
    except Unusable:
        raise Unusable(
            "is none of the words we know: write yes, no, subscribed, unsubscribed, bounced, complained or nothing"
        ) from None


def stops(text: str) -> bool:
    """Does a cell of a column of opt-outs, bounces or complaints say so? A date or a reason does, "no" does not."""
    word = bare(text)
    if not word or word in _NOTHING or "soft" in word.split():
        return False
    if word in _SAYS:
        meant, reason = _SAYS[word]
        return bool(reason) or meant == WITHDRAWN
    try:
        return cleaning.boolean(text)
    except Unusable:
        return True


REASONS = {
    "opt_out": SuppressionReason.UNSUBSCRIBED,
    "bounced": SuppressionReason.BOUNCED,
    "complained": SuppressionReason.COMPLAINED,
}
