"""Near-copies inside a run: each new text is held against those written lately for other readers."""

from __future__ import annotations

from collections import defaultdict

from generation.models import Arm, Piece
from generation.writer.copies import Shelf
from generation.writer.types import Draft, Finding

RECENT = 300  # pieces a new one is compared with; what repeats itself in a run does so all along


class Shelves:
    """The texts of one run, channel by channel, the newest RECENT of each."""

    def __init__(self, run_id: int) -> None:
        self._run_id = run_id
        self._shelves: defaultdict[str, Shelf | None] = defaultdict(lambda: None)

    def compare(self, piece: Piece, draft: Draft) -> tuple[Finding, ...]:
        """A warning when the draft nearly repeats another reader's piece; the draft joins the shelf."""
        if piece.arm == Arm.GENERIC:  # the same for all, on purpose
            return ()
        shelf = self._shelves[piece.channel] or self._fetch(piece.channel)
        traits, key = _traits(piece), str(piece.pk)
        found = shelf.warning(key, draft.fields, traits)
        shelf.put(key, draft.fields, traits)
        return (found,) if found else ()

    def _fetch(self, channel: str) -> Shelf:
        shelf = self._shelves[channel] = Shelf()
        written = Piece.objects.filter(
            run_id=self._run_id, channel=channel, written_at__isnull=False, arm=Arm.PERSONAL
        )
        for piece in written.only("fields", "reader").order_by("-id")[:RECENT]:
            shelf.put(str(piece.pk), piece.fields, _traits(piece))
        return shelf


def _traits(piece: Piece) -> list[str]:
    return [str(trait) for trait in piece.reader.get("traits", ())]
