"""The differences of a report with their intervals, as one picture: SVG for the page, PNG to take along.

The same marks are drawn by both, so that they cannot disagree. SVG needs no script and follows the page's colours,
light or dark; the PNG is Pillow's, with its own font, so that it is the same on every machine.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from delivery.results.report import Compared, Report

WIDTH = 760
_ROW, _HEAD, _LEFT, _RIGHT = 30, 44, 210, 175
# Tone -> (colour in the PNG, class in the SVG).
_COLOURS = {
    "good": "#14713a", "bad": "#b42318", "plain": "#57534e", "quiet": "#a8a29e", "ink": "#1c1917", "line": "#d6d3d1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """A line (x1, y1, x2, y2), a dot (x, y, radius) or a text (x, y)."""

    kind: str
    at: tuple[float, ...]
    tone: str
    text: str = ""
    size: int = 12
    anchor: str = "start"
    weight: float = 1.5


@dataclass(slots=True)
class Drawing:
    height: int = 0
    marks: list[Mark] = field(default_factory=list)
    title: str = ""

    def line(self, *at: float, tone: str, weight: float = 1.5) -> None:
        self.marks.append(Mark("line", at, tone, weight=weight))

    def text(
        self, x: float, y: float, text: str, *, tone: str = "ink", size: int = 12, anchor: str = "start"
    ) -> None:
        self.marks.append(Mark("text", (x, y), tone, text, size, anchor))


def draw(report: Report) -> Drawing:
    """One block for each pair of arms, one row for each measure, each on a scale of its own around zero."""
    drawing = Drawing(title=f"Differences between arms: {report.campaign.name}")
    y = 26.0
    drawing.text(0, y - 8, report.campaign.name[:70], size=15)
    pairs = list(dict.fromkeys((one.arm, one.other) for one in report.compared))
    if not pairs:
        drawing.text(0, y + 24, "Nothing to compare yet.", tone="plain")
        drawing.height = 70
        return drawing
    for pair in pairs:
        rows = [one for one in report.compared if (one.arm, one.other) == pair]
        y += _HEAD
        drawing.text(0, y - 18, rows[0].title, size=13)
        top = y - 8
        for one in rows:
            _row(drawing, one, y)
            y += _ROW
        middle = _LEFT + (WIDTH - _LEFT - _RIGHT) / 2
        drawing.line(middle, top, middle, y - 14, tone="line", weight=1)
    drawing.text(
        0, y + 14, "Line: where the difference lies, with 95 % confidence, whenever you look. Middle: no difference.",
        tone="plain", size=11,
    )  # fmt: skip
    drawing.height = int(y + 28)
    return drawing


def _row(drawing: Drawing, one: Compared, y: float) -> None:
    found = one.found
    drawing.text(0, y + 8, one.label, tone="plain")
    span = WIDTH - _LEFT - _RIGHT
    middle = _LEFT + span / 2
    if not found.enough or found.always is None:
        drawing.text(_LEFT + 4, y + 8, "not enough data", tone="quiet")
        return
    most = max(abs(found.always.low), abs(found.always.high)) or 1.0
    unit = (span / 2 - 6) / most
    tone = (
        "plain" if found.always.low <= 0 <= found.always.high else "good" if found.difference > 0 else "bad"
    )
    low, high, at = (
        middle + unit * value for value in (found.always.low, found.always.high, found.difference)
    )
    drawing.line(low, y + 4, high, y + 4, tone=tone, weight=3)
    drawing.line(low, y - 2, low, y + 10, tone=tone)
    drawing.line(high, y - 2, high, y + 10, tone=tone)
    drawing.marks.append(Mark("dot", (at, y + 4, 5), tone))
    drawing.text(WIDTH, y + 8, one.span(found.always), tone=tone, anchor="end")


def to_svg(drawing: Drawing) -> SafeString:
    body = format_html_join("", "{}", ((_svg_mark(mark),) for mark in drawing.marks))
    return format_html(
        '<svg class="pz-forest" viewBox="0 0 {} {}" role="img" aria-label="{}" xmlns="http://www.w3.org/2000/svg">{}</svg>',
        WIDTH, drawing.height, drawing.title, body,
    )  # fmt: skip


def _svg_mark(mark: Mark) -> SafeString:
    if mark.kind == "line":
        x1, y1, x2, y2 = (round(v, 1) for v in mark.at)
        return format_html(
            '<line class="pz-t-{}" x1="{}" y1="{}" x2="{}" y2="{}" stroke-width="{}"/>',
            mark.tone, x1, y1, x2, y2, mark.weight,
        )  # fmt: skip
    if mark.kind == "dot":
        x, y, radius = (round(v, 1) for v in mark.at)
        return format_html('<circle class="pz-f-{}" cx="{}" cy="{}" r="{}"/>', mark.tone, x, y, radius)
    x, y = (round(v, 1) for v in mark.at)
    return format_html(
        '<text class="pz-f-{}" x="{}" y="{}" font-size="{}" text-anchor="{}">{}</text>',
        mark.tone, x, y, mark.size, mark.anchor, mark.text,
    )  # fmt: skip


def to_png(drawing: Drawing, *, scale: int = 2, margin: int = 20) -> bytes:
    """White ground, twice the size on the page. Deterministic."""
    from PIL import Image, ImageDraw, ImageFont

    size = (scale * (WIDTH + 2 * margin), scale * (drawing.height + 2 * margin))
    picture = Image.new("RGB", size, "#ffffff")
    pen = ImageDraw.Draw(picture)
    fonts: dict[int, Any] = {}

    def place(values: Sequence[float]) -> list[float]:
        return [scale * (value + margin) for value in values]

    for mark in drawing.marks:
        colour = _COLOURS[mark.tone]
        if mark.kind == "line":
            pen.line(place(mark.at), fill=colour, width=math.ceil(scale * mark.weight))
        elif mark.kind == "dot":
            x, y = place(mark.at[:2])
            r = scale * mark.at[2]
            pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        else:
            font = fonts.setdefault(mark.size, ImageFont.load_default(size=scale * mark.size))
            x, y = place(mark.at)
            pen.text((x, y), mark.text, fill=colour, font=font, anchor="rs" if mark.anchor == "end" else "ls")
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()
