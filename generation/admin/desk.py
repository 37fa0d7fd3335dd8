"""The review desk: one piece with everything that a decision rests on, and the buttons to decide."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_GET, require_POST

from generation import checking, faults, planting, review
from generation.admin import brand_trial, by_kind, parts, texts, walking
from generation.admin.queue import MANY, NARROW, TONE, QueuePage, narrowed, order_of, rule_in_words
from generation.models import Finding, Outcome, Piece, PieceEvent, Plant, RejectReason, Severity, Status
from generation.review import editing, reading, sampling
from generation.transitions import StalePiece
from personalize.core.admin_pages import attempt, log, need, person
from personalize.core.errors import DomainError

FILTERS_VAR = "_changelist_filters"
_OPENED = "desk opened"
KEYS = (
    ("a", "Approve"),
    ("r", "Reject: choose a reason, Enter sends"),
    ("e", "Edit the text"),
    ("w", "Write again with a hint"),
    ("j", "Next piece"),
    ("k", "Previous piece"),
    ("u", "Undo the last decision"),
    ("?", "This help"),
    ("Esc", "Close what is open"),
)


class DeskPage(QueuePage):
    change_form_template = "admin/generation/piece/desk.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # the text is edited on the desk, by review.edit

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def pages(self) -> list[URLPattern]:
        return [
            self.at("kinds/", require_GET(partial(by_kind.page, self)), "generation_piece_kinds"),
            self.at("try/<int:pk>/", require_GET(partial(brand_trial.page, self)), "generation_brand_try"),
            self.at("<int:pk>/approve/", self.approve, "generation_piece_approve"),
            self.at("<int:pk>/reject/", self.reject, "generation_piece_reject"),
            self.at("<int:pk>/edit/", self.edit, "generation_piece_edit"),
            self.at("<int:pk>/check/", self.try_text, "generation_piece_check"),
            self.at("<int:pk>/write-again/", self.write_again, "generation_piece_write_again"),
            self.at("<int:pk>/reopen/", self.reopen, "generation_piece_reopen"),
            self.at("<int:pk>/retry/", self.retry, "generation_piece_retry"),
        ]

    # -- reading ---------------------------------------------------------------------------------

    @method_decorator(require_GET)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        piece = self.get_object(request, object_id)
        if piece is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_view_permission(request, piece):
            raise PermissionDenied
        return self.desk(request, piece)

    def desk(
        self, request: HttpRequest, piece: Piece, *, draft: dict[str, Any] | None = None, status: int = 200
    ) -> HttpResponse:
        chosen = _filters(request)
        queue = narrowed(self.get_queryset(request), QueryDict(chosen))
        found = list(Finding.objects.filter(piece=piece, revision=piece.revision).order_by("id"))
        found.sort(key=lambda f: list(Severity.values).index(f.severity))
        user = person(request)
        state = Status(piece.status)
        may_review = request.user.has_perm("generation.review_piece")
        context = self.frame(
            request,
            title=f"Piece {piece.pk}",
            original=piece,
            piece=piece,
            state=state,
            tone=TONE[state],
            brief=piece.run.brief,
            values=parts.values_shown(piece),
            fields=texts.marked(piece, found),
            form_fields=parts.form_fields(piece, draft),
            editing=draft is not None,
            findings=[(f, rule_in_words(f.rule), parts.quoted(piece, f)) for f in found],
            ledger=texts.ledger(piece),
            traits=texts.used_traits(piece),
            products=[s for s in texts.sources(piece).values() if s.kind == "product"],
            unsent=parts.not_sent(piece),
            candidates=parts.candidates(piece),
            history=parts.history(piece),
            opened=_opened(piece, user),
            told=planting.told(piece),
            drawn=sampling.drawn_in(piece) if state == Status.IN_REVIEW else None,
            changed=parts.changed(piece),
            reasons=RejectReason.choices,
            keys=KEYS,
            may_review=may_review,
            may_edit=request.user.has_perm("generation.edit_piece") and state == Status.IN_REVIEW,
            deciding=may_review and state == Status.IN_REVIEW,
            obstacle=review.approval_obstacle(
                status=piece.status,
                blocking=piece.blocking,
                edited_by_id=piece.edited_by_id,
                run_status=piece.run.status,
                by=user,
            ),
            retriable=state == Status.FAILED
            and not piece.approved_hash
            and request.user.has_perm("campaigns.launch_campaign"),
            undoable=may_review and state in (Status.APPROVED, Status.REJECTED),
            decided=_decided(request) if may_review else None,
            filters=chosen,
            back=reverse("admin:generation_piece_changelist") + (f"?{chosen}" if chosen else ""),
            **self._place(queue, piece, chosen),
        )
        return TemplateResponse(request, "admin/generation/piece/desk.html", context, status=status)

    def _place(self, queue: QuerySet[Piece], piece: Piece, chosen: str) -> dict[str, Any]:
        bare = queue.order_by().select_related(None).prefetch_related(None)
        behind = walking.following(queue, piece, QueryDict(chosen))
        ahead = walking.previous(queue, piece, QueryDict(chosen))
        left = bare[: MANY + 1].count()
        return {
            "next_url": _desk_url(behind, chosen) if behind else "",
            "previous_url": _desk_url(ahead, chosen) if ahead else "",
            "left": f"{MANY:,}+" if left > MANY else f"{left:,}",
        }

    # -- deciding --------------------------------------------------------------------------------

    @method_decorator(require_POST)
    def approve(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "generation.review_piece")
        piece = self.load(request, pk)
        note = request.POST.get("note", "").strip()[:500]
        return self._decide(
            request,
            piece,
            "Approved",
            lambda seconds: review.approve(
                piece_id=pk, revision=_revision(request), by=person(request), note=note, seconds=seconds
            ),
        )

    @method_decorator(require_POST)
    def reject(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "generation.review_piece")
        piece = self.load(request, pk)
        reason = request.POST.get("reason", "")
        if reason not in RejectReason.values:
            messages.error(request, "Choose a reason: it tells the writer what to do better.")
            return HttpResponseRedirect(_desk_url(pk, _filters(request)))
        note = request.POST.get("note", "").strip()[:500]
        return self._decide(
            request,
            piece,
            "Rejected",
            lambda seconds: review.reject(
                piece_id=pk,
                revision=_revision(request),
                by=person(request),
                reason=reason,
                note=note,
                seconds=seconds,
            ),
        )

    @method_decorator(require_POST)
    def write_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "generation.review_piece")
        piece = self.load(request, pk)
        steer = request.POST.get("steer", "").strip()[:200]
        return self._decide(
            request,
            piece,
            "Sent back to be written again",
            lambda _: review.write_again(
                piece_id=pk, revision=_revision(request), by=person(request), steer=steer
            ),
        )

    @method_decorator(require_POST)
    def reopen(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "generation.review_piece")
        piece = self.load(request, pk)
        try:
            review.reopen(piece_id=pk, by=person(request))
        except DomainError as error:
            messages.error(request, _told(error, piece))
        else:
            log(request, piece, "Decision taken back.")
            messages.success(request, f"Piece {pk} is back in review.")
        return HttpResponseRedirect(_desk_url(pk, _filters(request)))

    @method_decorator(require_POST)
    def retry(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give a piece whose writing failed back to the writer."""
        need(request, "campaigns.launch_campaign")
        piece = self.load(request, pk)
        if attempt(
            request,
            lambda: review.retry(piece_id=pk, by=person(request)),
            done=f"Piece {pk} is to be written again.",
        ):
            log(request, piece, "Given back to the writer.")
        return HttpResponseRedirect(_desk_url(pk, _filters(request)))

    @method_decorator(require_POST)
    def edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "generation.edit_piece")
        piece = self.load(request, pk)
        fields = parts.posted_fields(piece, request)
        try:
            edited = review.edit(piece_id=pk, revision=_revision(request), fields=fields, by=person(request))
        except DomainError as error:
            messages.error(request, _told(error, piece))
            # What was typed stays in the form; the revision is the new one, so that saving again is a choice.
            return self.desk(request, self.load(request, pk), draft=fields, status=error.status)
        if edited.planted and edited.status == Status.WITHDRAWN:
            return _tell_of_plant(request, edited, _filters(request))
        log(request, piece, "Text edited.")
        messages.success(request, "Saved and checked again. Somebody else approves what you wrote.")
        return HttpResponseRedirect(_desk_url(pk, _filters(request)))

    @method_decorator(require_POST)
    def try_text(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What saving would find, for the form while somebody types. Stores nothing."""
        need(request, "generation.edit_piece")
        piece = self.load(request, pk)
        context: dict[str, Any] = {"problem": ""}
        try:
            fields, found = editing.check(
                piece=piece, fields=parts.posted_fields(piece, request), by=person(request)
            )
        except DomainError as error:
            context["problem"] = str(error)
        else:
            context |= {
                "findings": [(f, rule_in_words(f.rule)) for f in found],
                "blocking": checking.weigh(found).blocking,
                "changed": parts.changed(piece, fields),
            }
        return TemplateResponse(request, "admin/generation/piece/checked.html", context)

    def _decide(
        self, request: HttpRequest, piece: Piece, done: str, deed: Callable[[int | None], Piece]
    ) -> HttpResponse:
        """One decision, then the next piece of the queue; a refusal stays on this one and says why."""
        chosen = _filters(request)
        seconds = _seconds(request, piece)
        try:
            decided = deed(seconds)
        except DomainError as error:
            messages.error(request, _told(error, piece))
            return HttpResponseRedirect(_desk_url(piece.pk, chosen))
        if decided.planted and decided.status == Status.WITHDRAWN:
            return _tell_of_plant(request, decided, chosen)
        log(request, piece, f"{done}.")
        if reading.is_hasty(piece.fields, seconds):
            words = faults.word_count(piece.fields)
            messages.warning(
                request,
                f"Piece {piece.pk} has {words} words and was decided after {seconds} "
                f"second{'' if seconds == 1 else 's'}. Undo it if you had not read it.",
            )
        queue = narrowed(self.get_queryset(request), QueryDict(chosen)).exclude(pk=piece.pk)
        following = walking.following(queue, piece, QueryDict(chosen))
        if following is None:
            bare = queue.select_related(None).prefetch_related(None).order_by(*order_of(QueryDict(chosen)))
            following = bare.values_list("pk", flat=True).first()
        if following is None:
            messages.success(request, f"{done}: piece {piece.pk}. That was the last one here.")
            address = reverse("admin:generation_piece_changelist")
            return HttpResponseRedirect(f"{address}?{chosen}" if chosen else address)
        return HttpResponseRedirect(_desk_url(following, chosen, decided=piece.pk))


def _filters(request: HttpRequest) -> str:
    """The list's address parameters that this desk walks through, cleaned to the known names."""
    raw = request.POST.get(FILTERS_VAR) or request.GET.get(FILTERS_VAR) or ""
    given = QueryDict(raw[:1000])
    return urlencode({name: given[name] for name in NARROW if given.get(name)})


def _desk_url(pk: int, chosen: str, *, decided: int | None = None) -> str:
    address = reverse("admin:generation_piece_change", args=[pk])
    query = {FILTERS_VAR: chosen} if chosen else {}
    if decided is not None:
        query["decided"] = str(decided)
    return f"{address}?{urlencode(query)}" if query else address


def _decided(request: HttpRequest) -> dict[str, Any] | None:
    """The piece decided just before, for the undo button."""
    given = request.GET.get("decided", "")
    if not (given.isascii() and given.isdecimal() and len(given) < 19):
        return None
    status = Piece.everything.filter(pk=int(given)).values_list("status", flat=True).first()
    if status is None:
        return None
    words = {
        Status.APPROVED: "approved",
        Status.REJECTED: "rejected",
        Status.DRAFT: "sent back to be written again",
    }.get(Status(status), "decided")
    return {"pk": int(given), "words": words, "undoable": status in (Status.APPROVED, Status.REJECTED)}


def _opened(piece: Piece, user: AbstractBaseUser) -> str:
    """When this text was shown to this person, signed: the form brings it back with the decision."""
    return signing.dumps([piece.pk, piece.revision, user.pk, int(time.time())], salt=_OPENED)


def _seconds(request: HttpRequest, piece: Piece) -> int | None:
    """How long the person had this text open; None when the form does not say."""
    try:
        given = signing.loads(request.POST.get("opened", "")[:300], salt=_OPENED)
    except signing.BadSignature:
        return None
    if given[:3] != [piece.pk, piece.revision, person(request).pk]:
        return None
    return max(0, int(time.time()) - int(given[3]))


def _tell_of_plant(request: HttpRequest, piece: Piece, chosen: str) -> HttpResponse:
    """At once, and on the piece's own page, where its fault is shown."""
    row = Plant.objects.get(piece_id=piece.pk)
    if row.outcome == Outcome.MISSED:
        messages.error(
            request,
            "That piece was planted, known to be bad, and you approved it. It will never be sent. "
            f"What was wrong: {row.get_fault_display().lower()}.",
        )
    else:
        messages.success(request, "Well caught: that piece was planted, known to be bad.")
    return HttpResponseRedirect(_desk_url(piece.pk, chosen))


def _revision(request: HttpRequest) -> int:
    given = request.POST.get("revision", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else -1


def _told(error: DomainError, piece: Piece) -> str:
    if not isinstance(error, StalePiece):
        return str(error)
    last = PieceEvent.objects.filter(piece_id=piece.pk).order_by("-id").first()
    who = f" Last change: {last.actor_name or 'the system'}, {last.at:%d %b %H:%M}." if last else ""
    return f"{error}{who}"


admin.site.register(Piece, DeskPage)
