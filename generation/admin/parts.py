"""Parts of the desk as plain data: the values, the form and what it posts, other candidates, what stayed secret."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from generation import diffing
from generation.admin import texts
from generation.models import Finding, Piece, PieceEvent, Status
from generation.writer import values


def values_shown(piece: Piece) -> list[dict[str, Any]]:
    """The run's values with how long each holds, as the campaign has them now."""
    until = {v.name: v.valid_until for v in piece.run.campaign.values.all()}
    said = {n for field in piece.fields.values() for n in names_in(field)}
    return [
        {**value, "until": until.get(value.get("name", "")), "said": value.get("name") in said}
        for value in piece.run.brief.get("values", [])
    ]


def names_in(field: object) -> list[str]:
    items = field if isinstance(field, list) else [field]
    return [name for item in items for name in values.names(str(item))]


def form_fields(piece: Piece, draft: dict[str, Any] | None) -> list[dict[str, Any]]:
    held = piece.fields if draft is None else draft
    rows = []
    for spec in texts.spec_of(piece).fields:
        value = held.get(spec.name, [] if spec.items else "")
        text = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append(
            {
                "name": spec.name,
                "label": texts.label_of(spec.name),
                "text": text,
                "many": spec.items is not None,
                "limit": texts.limit_of(spec),
                "rows": min(16, max(1 + text.count("\n"), len(text) // 60 + 1)),
            }
        )
    return rows


def posted_fields(piece: Piece, request: HttpRequest) -> dict[str, Any]:
    """The form as fields of the channel; what the form does not hold stays as it is."""
    fields: dict[str, Any] = {}
    for spec in texts.spec_of(piece).fields:
        given = request.POST.get(f"field_{spec.name}")
        if given is None:
            fields[spec.name] = piece.fields.get(spec.name, [] if spec.items else "")
            continue
        text = given.replace("\r\n", "\n").strip()
        fields[spec.name] = (
            [line.strip() for line in text.split("\n") if line.strip()] if spec.items else text
        )
    return fields


def quoted(piece: Piece, finding: Finding) -> str:
    held = piece.fields.get(finding.field)
    if isinstance(held, list):
        held = held[finding.index] if finding.index < len(held) else ""
    return str(held or "")[finding.start : finding.end][:120]


def changed(piece: Piece, draft: dict[str, Any] | None = None) -> list[tuple[str, Any]]:
    """(label, stretches) of each field in which a person's text differs from the writer's; none where nobody edited."""
    written = piece.written_fields if piece.edited_by_id else piece.fields
    text = piece.fields if draft is None else draft
    return (
        [(texts.label_of(name), stretches) for name, stretches in diffing.fields(written, text)]
        if written
        else []
    )


def candidates(piece: Piece) -> list[dict[str, Any]]:
    known = texts.mapping(piece)
    shown = []
    for candidate in piece.candidates:
        fields = candidate.get("fields", {})
        shown.append(
            {
                "score": candidate.get("score"),
                "findings": candidate.get("findings", []),
                "fields": [
                    (
                        texts.label_of(name),
                        [texts.filled(str(t), known) for t in (v if isinstance(v, list) else [v])],
                    )
                    for name, v in fields.items()
                    if v
                ],
            }
        )
    return shown


def not_sent(piece: Piece) -> list[str]:
    """Names of what is known of the reader and never reached the writer. Names only: the desk needs no more."""
    profile = piece.profile
    if profile is None:
        return []
    known = [
        label
        for label, held in (
            ("first name", profile.first_name),
            ("last name", profile.last_name),
            ("e-mail address", profile.email),
            ("telephone number", profile.phone),
            ("language", profile.locale),
            ("time zone", profile.time_zone),
        )
        if held
    ]
    return [*known, "the CRM's id"]


HISTORY_SHOWN = 50


def history(piece: Piece) -> list[PieceEvent]:
    """The audit rows of the piece, the newest first.

    Of a planted piece that is not decided yet: those of the writing of its kind, since its own would give it away.
    """
    rows = PieceEvent.objects.filter(piece_id=piece.pk).order_by("-id")
    if piece.planted and piece.status == Status.IN_REVIEW:
        alike = list(
            Piece.objects.filter(
                run_id=piece.run_id, profile_id=piece.profile_id, channel=piece.channel
            ).values_list("pk", flat=True)[:1]
        )
        written = PieceEvent.objects.filter(piece_id__in=alike, actor_id=None).order_by("-id")
        edits = rows.filter(from_status=Status.IN_REVIEW, to_status=Status.IN_REVIEW)
        return [*edits[:HISTORY_SHOWN], *written.filter(to_status__in=_WRITING)[:HISTORY_SHOWN]]
    return list(rows[:HISTORY_SHOWN])


_WRITING = (Status.GENERATING, Status.IN_REVIEW)
