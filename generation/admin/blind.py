"""The page of a blind comparison: one pair at a time, left and right, and at the end what the votes show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from generation import blind
from generation.admin import comparing
from generation.models import ModelVersion
from personalize.core.admin_pages import attempt, need, person

if TYPE_CHECKING:
    from personalize.core.admin_pages import Page


@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, pk: int, against: int, *, of: Page) -> HttpResponse:
    need(request, "generation.view_modelversion", blind.VOTE)
    versions = {v.pk: v for v in ModelVersion.objects.filter(pk__in=(pk, against))}
    if len(versions) != 2:
        raise Http404
    first, second = blind.ordered(versions[pk], versions[against])
    by = person(request)
    here = reverse("admin:generation_modelversion_blind", args=[pk, against])
    if request.method == "POST":
        number, side = request.POST.get("pair", ""), request.POST.get("side", "")
        attempt(request, lambda: blind.vote(one=first, other=second, pair=number, side=side, by=by), done="")
        return HttpResponseRedirect(here)
    every = blind.pairs(first, second)
    left_to_judge = blind.open_for(by, first, second, every)
    context: dict[str, Any] = {"back": reverse("admin:generation_modelversion_change", args=[pk])}
    if left_to_judge:
        pair = left_to_judge[0]
        context |= {
            "pair": pair,
            "told": comparing.told(pair.first),
            "sides": [
                (name, words, comparing.fields(pair.text(version)))
                for (name, words), version in zip(
                    (("left", "Left"), ("right", "Right")), pair.sides(by), strict=True
                )
            ],
            "number": len(every) - len(left_to_judge) + 1,
            "total": len(every),
        }
    else:
        result = blind.tally(first, second)
        low, high = result.interval or (0.0, 1.0)
        context |= {
            "result": result,
            "first": first,
            "second": second,
            "low": round(100 * low),
            "high": round(100 * high),
            "chance": f"{result.chance:.3f}" if result.chance >= 0.001 else "below 0.001",
            "clear": result.chance < 0.05,
        }
    framed = of.frame(request, title="Which reads better?", **context)
    return TemplateResponse(request, "admin/generation/modelversion/blind.html", framed)
