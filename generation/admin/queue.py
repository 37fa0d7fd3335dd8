"""The list of pieces: what waits, the riskiest first; filters; decisions over a selection or over all that match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db import connection
from django.db.models import F, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from campaigns import brand_access
from campaigns.models import Campaign, Channel, Run
from generation.admin import bulk, texts
from generation.models import Finding, Piece, SampleStratum, Severity, Status, StratumState
from generation.review import sampling
from personalize.core.admin_pages import Page, badge, stack

_RULE = re.compile(r"[\w.-]{1,40}")
MANY = 10_000  # counting stops here: "10,000+" is enough to know

TONE = {
    Status.DRAFT: "quiet",
    Status.GENERATING: "info",
    Status.IN_REVIEW: "warn",
    Status.APPROVED: "good",
    Status.DELIVERING: "info",
    Status.DELIVERED: "good",
    Status.REJECTED: "plain",
    Status.FAILED: "bad",
    Status.UNKNOWN: "bad",
    Status.WITHDRAWN: "quiet",
}


BRAND = "run__campaign__brand"


def waiting(by: brand_access.Person = None) -> str:
    """How many pieces are in review for this person, in words; empty for none."""
    found = brand_access.visible(Piece.everything.filter(status=Status.IN_REVIEW), by, BRAND)
    count = found.order_by()[: MANY + 1].count()
    return "" if not count else f"{MANY:,}+" if count > MANY else f"{count:,}"


def _numbered(field: str) -> Callable[[QuerySet[Piece], str], QuerySet[Piece]]:
    def narrow(pieces: QuerySet[Piece], value: str) -> QuerySet[Piece]:
        fits = value.isascii() and value.isdecimal() and len(value) < 19
        return pieces.filter(**{field: int(value)}) if fits else pieces.none()

    return narrow


def _by_campaign(pieces: QuerySet[Piece], value: str) -> QuerySet[Piece]:
    fits = value.isascii() and value.isdecimal() and len(value) < 19
    # The ids themselves, not a join: the planner knows how many pieces each run has, and keeps to the queue's index.
    runs = list(Run.objects.filter(campaign=int(value)).values_list("pk", flat=True)) if fits else []
    return pieces.filter(run__in=runs) if runs else pieces.none()


def _by_channel(pieces: QuerySet[Piece], value: str) -> QuerySet[Piece]:
    return pieces.filter(channel=value) if value in Channel.values else pieces.none()


def _by_findings(pieces: QuerySet[Piece], value: str) -> QuerySet[Piece]:
    if value == "blocking":
        return pieces.filter(blocking__gt=0)
    if value == "warning":
        return pieces.filter(warnings__gt=0)
    return pieces.filter(blocking=0, warnings=0) if value == "clean" else pieces.none()


def _by_rule(pieces: QuerySet[Piece], value: str) -> QuerySet[Piece]:
    if not _RULE.fullmatch(value):
        return pieces.none()
    flagged = Finding.objects.filter(rule=value, revision=F("piece__revision"))
    return pieces.filter(pk__in=flagged.values("piece_id"))


def _by_sample(pieces: QuerySet[Piece], value: str) -> QuerySet[Piece]:
    """The drawn pieces of one group of a sample, `generation.review.sampling`."""
    fits = value.isascii() and value.isdecimal() and len(value) < 19
    stratum = SampleStratum.objects.select_related("plan").filter(pk=int(value)).first() if fits else None
    return pieces.filter(pk__in=sampling.sample_ids(stratum)) if stratum else pieces.none()


def _by_status(pieces: QuerySet[Piece], value: str) -> QuerySet[Piece]:
    if value == "all":
        return pieces
    return pieces.filter(status=value) if value in Status.values else pieces.none()


# The only names that an address may narrow the list by. Without a status: what waits for a decision.
NARROW: Mapping[str, Callable[[QuerySet[Piece], str], QuerySet[Piece]]] = {
    "campaign": _by_campaign,
    "run": _numbered("run"),
    "channel": _by_channel,
    "findings": _by_findings,
    "rule": _by_rule,
    "sample": _by_sample,
    "status": _by_status,
}


def in_review(chosen: Mapping[str, Any]) -> bool:
    """Whether these address parameters show what waits; anything else is a look back."""
    return str(chosen.get("status") or Status.IN_REVIEW) == Status.IN_REVIEW


def order_of(chosen: Mapping[str, Any]) -> tuple[str, ...]:
    """What waits comes by risk, what is looked back at the newest first. Each order has its index."""
    return RISKIEST_FIRST if in_review(chosen) else NEWEST_FIRST


def narrowed(pieces: QuerySet[Piece], chosen: Mapping[str, Any]) -> QuerySet[Piece]:
    """The pieces that the list shows for these address parameters; names not in NARROW are ignored."""
    for name, narrow in NARROW.items():
        value = str(chosen.get(name) or (Status.IN_REVIEW if name == "status" else ""))
        if value:
            pieces = narrow(pieces, value)
    return pieces


class _Filter(SimpleListFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Piece]) -> QuerySet[Piece]:
        assert self.parameter_name is not None
        value = self.value()
        return NARROW[self.parameter_name](queryset, value) if value else queryset


class CampaignFilter(_Filter):
    title = "campaign"
    parameter_name = "campaign"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        newest = Campaign.objects.filter(runs__isnull=False).distinct().order_by("-id")
        newest = brand_access.visible(newest, request.user, "brand")
        return [(str(pk), name) for pk, name in newest.values_list("pk", "name")[:50]]


class RunFilter(_Filter):
    title = "run"
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        newest = brand_access.visible(Run.objects.order_by("-created_at"), request.user, "campaign__brand")
        rows = newest.values_list("pk", "campaign__name", "scheduled_for")[:30]
        return [(str(pk), f"{name}, {when:%d %b %H:%M}") for pk, name, when in rows]


class ChannelFilter(_Filter):
    title = "channel"
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return Channel.choices


class FindingsFilter(_Filter):
    title = "findings"
    parameter_name = "findings"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("blocking", "Blocked"), ("warning", "Warnings"), ("clean", "Clean")]


# From one rule to the next by the index: a DISTINCT would read every finding there is.
_RULES = """
WITH RECURSIVE found AS (
    SELECT min(rule) AS rule FROM generation_finding
    UNION ALL
    SELECT (SELECT min(rule) FROM generation_finding WHERE rule > found.rule) FROM found WHERE found.rule IS NOT NULL
)
SELECT rule FROM found WHERE rule IS NOT NULL
"""


def _rules() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_RULES)
        return [row[0] for row in cursor.fetchall()]


class RuleFilter(_Filter):
    title = "rule"
    parameter_name = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(rule, rule_in_words(rule)) for rule in _rules()]


class SampleFilter(_Filter):
    """Groups that are being read. The page of a sample links here."""

    title = "sample"
    parameter_name = "sample"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        chosen = request.GET.get("sample", "")
        shown = Q(state=StratumState.OPEN)
        if chosen.isascii() and chosen.isdecimal() and len(chosen) < 19:
            shown |= Q(pk=int(chosen))
        groups = brand_access.visible(
            SampleStratum.objects.filter(shown).order_by("-pk"), request.user, f"plan__{BRAND}"
        )[:20]
        return [
            (str(g.pk), f"{Channel(g.channel).label}: {g.segment}, {g.get_risk_display().lower()}")
            for g in groups
        ]


class StatusFilter(_Filter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        others = [(str(s), label) for s, label in Status.choices if s != Status.IN_REVIEW]
        return [*others, ("all", "Every status")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        every = list(super().choices(changelist))
        every[0]["display"] = Status.IN_REVIEW.label
        yield from every

    def queryset(self, request: HttpRequest, queryset: QuerySet[Piece]) -> QuerySet[Piece]:
        return _by_status(queryset, self.value() or Status.IN_REVIEW)


FILTERS = (CampaignFilter, RunFilter, ChannelFilter, FindingsFilter, RuleFilter, SampleFilter, StatusFilter)
RISKIEST_FIRST = ("-blocking", "-warnings", "score", "id")
NEWEST_FIRST = ("-id",)


def rule_in_words(rule: str) -> str:
    """`claims.number_word` -> `Claims: number word`."""
    group, _, name = rule.partition(".")
    return f"{group.capitalize()}: {name.replace('_', ' ')}" if name else rule.replace("_", " ").capitalize()


def _chips(request: HttpRequest) -> list[dict[str, Any]]:
    """The findings filter as buttons with their numbers, beside whatever else is chosen."""
    others = {name: request.GET[name] for name in NARROW if name != "findings" and request.GET.get(name)}
    pieces = brand_access.visible(Piece.everything.all(), request.user, BRAND)
    chips = []
    for value, label in (("", "All"), ("blocking", "Blocked"), ("warning", "Warnings"), ("clean", "Clean")):
        chosen = others | ({"findings": value} if value else {})
        told = ""
        if in_review(request.GET):  # there an index counts them
            count = narrowed(pieces, chosen).order_by()[: MANY + 1].count()
            told = f"{MANY:,}+" if count > MANY else f"{count:,}"
        chips.append(
            {
                "label": label,
                "count": told,
                "link": f"?{urlencode(chosen)}",
                "on": request.GET.get("findings", "") == value,
            }
        )
    return chips


def _sample_url(request: HttpRequest) -> str:
    """Where a sample's pieces came from, for who has read them."""
    given = request.GET.get("sample", "")
    fits = given.isascii() and given.isdecimal() and len(given) < 19
    run = (
        SampleStratum.objects.filter(pk=int(given)).values_list("plan__run", flat=True).first()
        if fits
        else None
    )
    return reverse("admin:generation_sampleplan_of_run", args=[run]) if run else ""


class QueuePage(Page):
    """The list half of a piece's pages; the desk (desk.py) is the other."""

    list_display = ("told", "text", "channel_badge", "found", "model_score", "status_badge")
    list_display_links = ("text",)
    list_filter = FILTERS
    list_before_template = "admin/generation/piece/chips.html"
    list_filter_sheet = True
    list_fullwidth = True
    ordering = RISKIEST_FIRST
    sortable_by = ()
    actions = ("approve_all", "reject_all")
    search_fields = ()
    empty_title = "Nothing waits for a decision"
    empty_help = (
        "Pieces appear here as the writer finishes them, the riskiest first. "
        "Launch a campaign, or choose another status in the filters to see what was decided."
    )
    empty_link = ("Open the campaigns", "admin:campaigns_campaign_changelist")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        current = Finding.objects.filter(revision=F("piece__revision")).order_by("id")
        # With the planted ones: on these pages they look like any other.
        pieces = brand_access.visible(Piece.everything.all(), request.user, BRAND)
        return (
            pieces.order_by(*order_of(request.GET))
            .select_related("run__campaign", "profile", "model_version")
            .defer("candidates", "profile__attributes")
            .prefetch_related(Prefetch("findings", queryset=current, to_attr="current_findings"))
        )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return order_of(request.GET)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {
            "chips": _chips(request),
            "sample_url": _sample_url(request),
            "first_url": self._first_url(request),
            "groups_url": reverse("admin:generation_piece_kinds")
            + "?"
            + urlencode({name: request.GET[name] for name in NARROW if request.GET.get(name)}),
        }
        return super().changelist_view(request, {**(extra_context or {}), **context})

    def _first_url(self, request: HttpRequest) -> str:
        """The desk of the first piece of this list; from there the desk walks on."""
        chosen = {name: request.GET[name] for name in NARROW if request.GET.get(name)}
        waiting = brand_access.visible(Piece.everything.all(), request.user, BRAND)
        first = narrowed(waiting, chosen).order_by(*order_of(chosen)).values_list("pk", flat=True).first()
        if first is None:
            return ""
        address = reverse("admin:generation_piece_change", args=[first])
        return f"{address}?{urlencode({'_changelist_filters': urlencode(chosen)})}" if chosen else address

    def has_review_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("generation.review_piece")

    @admin.display(description="Reader")
    def told(self, piece: Piece) -> SafeString:
        known = piece.reader or {}
        traits = [str(t) for t in known.get("traits", [])]
        who = str(known.get("lifecycle") or "").capitalize() or (
            "Audience" if piece.profile_id is None else "Reader"
        )
        words = (
            "; ".join(traits[:2])
            if traits
            else piece.run.campaign.audience
            if piece.profile_id is None
            else ""
        )
        more = f" +{len(traits) - 2}" if len(traits) > 2 else ""
        return stack(who, f"{words}{more}")

    @admin.display(description="Text")
    def text(self, piece: Piece) -> SafeString:
        known = texts.mapping(piece)
        return stack(
            texts.first_line(piece, known) or f"{Status(piece.status).label}: piece {piece.pk}",
            texts.second_line(piece, known) or piece.run.campaign.name,
        )

    @admin.display(description="Channel")
    def channel_badge(self, piece: Piece) -> SafeString:
        return badge(Channel(piece.channel).label, "plain")

    @admin.display(description="Findings")
    def found(self, piece: Piece) -> SafeString | str:
        found: list[Finding] = getattr(piece, "current_findings", [])
        if not found:
            return badge("Clean", "good") if piece.status == Status.IN_REVIEW else "—"
        tone = {Severity.BLOCKING: "bad", Severity.WARNING: "warn", Severity.NOTE: "quiet"}
        worst_first = sorted(found, key=lambda f: list(Severity.values).index(f.severity))
        shown = format_html_join(
            "",
            "{}",
            (
                (badge(rule_in_words(f.rule), tone[Severity(f.severity)], title=f.message),)
                for f in worst_first[:3]
            ),
        )
        more = badge(f"+{len(found) - 3}", "quiet") if len(found) > 3 else ""
        return format_html('<span class="pz-badges">{}{}</span>', shown, more)

    @admin.display(description="Score")
    def model_score(self, piece: Piece) -> str:
        return "—" if piece.score is None else f"{piece.score:.2f}"

    @admin.display(description="Status")
    def status_badge(self, piece: Piece) -> SafeString:
        status = Status(piece.status)
        return badge(status.label, TONE[status])

    @admin.action(description="Approve…", permissions=["review"])
    def approve_all(self, request: HttpRequest, queryset: QuerySet[Piece]) -> HttpResponse | None:
        return bulk.decide(self, request, queryset, verdict="approve")

    @admin.action(description="Reject…", permissions=["review"])
    def reject_all(self, request: HttpRequest, queryset: QuerySet[Piece]) -> HttpResponse | None:
        return bulk.decide(self, request, queryset, verdict="reject")

    def tell(self, request: HttpRequest, level: int, text: str) -> None:
        messages.add_message(request, level, text)
