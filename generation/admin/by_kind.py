"""What waits, by kind: for each group of like texts the one that stands for it, and those least like it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse

from generation import texts as pieces_texts
from generation.admin import texts
from generation.admin.queue import NARROW, QueuePage, narrowed
from generation.models import Piece
from generation.review import kinds
from personalize.core.admin_pages import need

MOST = 800  # pieces compared, the riskiest; more would take longer than a page may
OUTLIERS = 3


def page(of: QueuePage, request: HttpRequest) -> HttpResponse:
    """The queue, or what the filters in the address leave of it, in groups of like texts."""
    need(request, "generation.view_piece")
    chosen = urlencode({name: request.GET[name] for name in NARROW if request.GET.get(name)})
    context = of.frame(
        request,
        title="By kind",
        back=reverse("admin:generation_piece_changelist") + (f"?{chosen}" if chosen else ""),
        filters=urlencode({"_changelist_filters": chosen}) if chosen else "",
        **groups(narrowed(of.get_queryset(request), QueryDict(chosen))),
    )
    return TemplateResponse(request, "admin/generation/piece/kinds.html", context)


def groups(pieces: QuerySet[Piece]) -> dict[str, Any]:
    """The groups of the first pieces of this list, by channel, and how many pieces were compared."""
    chosen = list(pieces[:MOST])
    by_channel: dict[str, list[Piece]] = {}
    for piece in chosen:
        by_channel.setdefault(piece.channel, []).append(piece)
    found = []
    for held in by_channel.values():
        for kind in kinds.kinds([pieces_texts.all_text(piece.fields) for piece in held]):
            members = [held[m] for m in kind.members]
            found.append(
                {
                    "channel": members[0].get_channel_display(),
                    "size": len(members),
                    "blocked": sum(p.blocking > 0 for p in members),
                    "warned": sum(p.warnings > 0 and not p.blocking for p in members),
                    "exemplar": _shown(held[kind.exemplar]),
                    "outliers": [_shown(held[m]) for m in kind.outliers(OUTLIERS)],
                }
            )
    return {"groups": found, "compared": len(chosen), "capped": len(chosen) == MOST}


def _shown(piece: Piece) -> dict[str, Any]:
    known = texts.mapping(piece)
    return {
        "pk": piece.pk,
        "first": texts.first_line(piece, known) or f"Piece {piece.pk}",
        "second": texts.second_line(piece, known),
        "blocking": piece.blocking,
        "warnings": piece.warnings,
    }
