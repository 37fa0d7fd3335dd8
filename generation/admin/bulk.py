"""Decisions over many pieces: first a page that spells out how many and which, then one call."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.http import urlencode

from campaigns.models import Channel, ReviewPolicy, Run
from generation import review
from generation.admin import seen, texts
from generation.models import Piece, RejectReason, Status
from personalize.core.admin_pages import log, need, person
from personalize.core.errors import DomainError

if TYPE_CHECKING:
    from generation.admin.queue import QueuePage

NAMED = 50  # of the pieces that stayed, for each reason
SHOWN = 8  # openings shown on the page: enough to notice a wrong filter

_COUNTED = ("total", "blocked", "warned", "spotless", "mine")


def decide(
    page: QueuePage, request: HttpRequest, queryset: QuerySet[Piece], *, verdict: str
) -> HttpResponse | None:
    """First POST: the confirmation. Second, with what was shown: the decision on that, and how each piece fared."""
    need(request, "generation.review_piece")
    given, reason = request.POST.get("seen", ""), request.POST.get("reason", "")
    pieces = Piece.everything.filter(pk__in=queryset.order_by().values("pk"), status=Status.IN_REVIEW)
    if not given:
        return _ask(page, request, pieces, verdict)
    revisions = seen.unpacked(given, person(request), question=verdict)
    if revisions is None:
        messages.warning(request, "What you were shown cannot be made out any more. Look again, then decide.")
        return _ask(page, request, pieces, verdict)
    if reason not in RejectReason.values and verdict == "reject":
        messages.error(request, "Choose a reason: it tells the writer what to do better.")
        return _ask(page, request, pieces, verdict)
    note = request.POST.get("note", "").strip()[:500]
    return _do(page, request, revisions, verdict=verdict, reason=reason, note=note)


def _ask(page: QueuePage, request: HttpRequest, pieces: QuerySet[Piece], verdict: str) -> HttpResponse | None:
    # Before anything that is shown: a text edited while the page is made is one that was not shown.
    revisions = dict(pieces.order_by().values_list("pk", "revision")[: seen.MOST + 1])
    rows: list[Any] = list(
        pieces.order_by()
        .values("channel", "run__campaign__review_policy")
        .annotate(
            total=Count("pk"),
            blocked=Count("pk", filter=Q(blocking__gt=0)),
            warned=Count("pk", filter=Q(blocking=0, warnings__gt=0)),
            spotless=Count("pk", filter=Q(blocking=0, warnings=0)),
            mine=Count("pk", filter=Q(edited_by=request.user.pk)),
        )
    )
    counted = {name: sum(row[name] for row in rows) for name in _COUNTED}
    counted["to_read"] = sum(
        row["total"] for row in rows if row["run__campaign__review_policy"] != ReviewPolicy.CLEAN_TOGETHER
    )
    if not counted["total"]:
        messages.warning(request, "None of the chosen pieces is in review: there is nothing to decide.")
        return None
    if len(revisions) > seen.MOST:
        messages.error(
            request,
            f"These are {counted['total']:,} pieces; {seen.MOST:,} can be decided at once. "
            "Choose a run in the filters.",
        )
        return None
    by_channel: Counter[str] = Counter()
    for row in rows:
        by_channel[row["channel"]] += row["total"]
    sample = pieces.select_related("run__campaign", "profile").order_by(
        "-blocking", "-warnings", "score", "id"
    )
    shown = [
        {
            "pk": p.pk,
            "text": texts.first_line(p, texts.mapping(p)),
            "blocked": p.blocking,
            "warned": p.warnings,
        }
        for p in sample[:SHOWN]
    ]
    context = page.frame(
        request,
        title="Approve pieces" if verdict == "approve" else "Reject pieces",
        verdict=verdict,
        counted=counted,
        channels=[(Channel(channel).label, count) for channel, count in by_channel.most_common()],
        sample=shown,
        more=max(0, counted["total"] - len(shown)),
        seen=seen.packed(revisions, person(request), question=verdict),
        reasons=RejectReason.choices,
        action=request.POST.get("action", ""),
        across=request.POST.get("select_across", "0"),
        selected=request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        checkbox=helpers.ACTION_CHECKBOX_NAME,
        cancel="?" + urlencode(request.GET, doseq=True),
    )
    return TemplateResponse(request, "admin/generation/piece/bulk.html", context)


def _do(
    page: QueuePage, request: HttpRequest, revisions: dict[int, int], *, verdict: str, reason: str, note: str
) -> HttpResponse | None:
    try:
        result = review.decide_many(
            verdict="approve" if verdict == "approve" else "reject",
            by=person(request),
            revisions=revisions,
            reason=reason,
            note=note,
        )
    except DomainError as error:
        messages.error(request, str(error))
        return None
    sentence = f"{result}."
    messages.success(request, sentence)
    if result.planted:
        messages.warning(request, _told(result.planted, verdict))
    touched = Piece.everything.filter(pk__in=list(revisions)).order_by().values("run").distinct()
    for run in Run.objects.filter(pk__in=touched):
        log(request, run, f"Decided in bulk: {sentence}")
    if not result.refused:
        return None
    context = page.frame(
        request,
        title="How each piece fared",
        verdict=verdict,
        result=result,
        left=_left(result.refused),
        back="?" + urlencode(request.GET, doseq=True),
    )
    return TemplateResponse(request, "admin/generation/piece/bulk_done.html", context)


def _left(refused: dict[int, str]) -> list[tuple[str, int, list[int]]]:
    """Why pieces stayed: (reason, how many, the first of them), the commonest reason first."""
    by_reason: dict[str, list[int]] = {}
    for pk, why in refused.items():
        by_reason.setdefault(why, []).append(pk)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    return [(why, len(ids), sorted(ids)[:NAMED]) for why, ids in ordered]


def _told(planted: int, verdict: str) -> str:
    many = f"{planted} of these pieces were" if planted > 1 else "One of these pieces was"
    if verdict == "reject":
        return f"{many} planted, known to be bad: well caught."
    return f"{many} planted, known to be bad, and you let it pass unread. Nothing planted is ever sent."
