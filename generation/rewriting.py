"""Writing a past piece again, to the letter: to show that a text came from what is stored, and from nothing else.

A text follows from the brief frozen with its run, the reader as the writer was told of them, the hint, the seed, the
sampling, the writer (weights, prompts, arithmetic) and the code between them. All but the code is stored.

One thing more has a say: pieces are written in batches, and adding up the same numbers in a batch of another size
rounds them differently in the last digits. Where two words are equally likely that can turn the choice. So a piece
that comes out differently alone is written once more in the batch it was written in, as long as all its pieces
are there as they were. Another processor or number of threads rounds differently too; nothing here can undo that.

Nothing is stored here: `snapshot` makes what drafting keeps, `rewrite` only reads.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from django.conf import settings

from generation import engines, material, texts
from generation import writer as writer_package
from generation.models import Piece, PieceEvent, Status
from generation.writer import planning, writing
from generation.writer.types import Brief, Embedder, Fields, Request, Sampling, Writer, WriterInfo
from personalize.core.errors import DomainError

# Parts of the writer that have no say in what one piece says.
_ASIDE = frozenset({"training", "training_run", "evaluation", "copies", "checks"})


class NotRewritable(DomainError):
    """The piece cannot be written again here, and the message says what is different or missing."""

    code = "not_rewritable"


@dataclass(frozen=True, slots=True)
class Batch:
    """Which batch a piece was written in: its name, the piece's place in it, how many there were."""

    name: str = ""
    place: int = 0
    size: int = 1


@dataclass(frozen=True, slots=True)
class Rewritten:
    """`identical` compares with what the writer wrote then, whatever people made of it since.

    `written` is the text of then, None when it was edited since: only its hash is kept. `together` is the size of the
    batch that gave `fields`; 1 when the piece was written alone. `missing` pieces of its batch were not to be had.
    """

    identical: bool
    fields: Fields
    written: Fields | None
    together: int
    missing: int
    code_changed: bool


def snapshot(
    *,
    request: Request,
    result: writing.Result,
    sampling: Sampling,
    writer: WriterInfo,
    embedder: str,
    batch: Batch,
) -> dict[str, Any]:
    """How this text came about: the JSON of `Piece.written_with`. Of words it holds a reviewer's hint alone."""
    return {
        "seed": request.seed,  # of the first try; the kept one's stands in the piece too
        "kept": result.draft.seed,
        "tries": result.tries,
        "steer": request.steer,
        "sampling": asdict(sampling),
        "writer": {"hash": writer.model_hash, "prompts": writer.prompt_version, **writer.settings},
        "embedder": embedder,
        "threads": settings.WRITER_THREADS,
        "code": code_hash(),
        "batch": asdict(batch),
    }


@functools.cache
def code_hash() -> str:
    """Hash of the code between a request and its text: planner, prompts, constraints, decoding, scores."""
    digest = hashlib.sha256()
    for path in sorted(Path(str(writer_package.__file__)).parent.glob("*.*")):
        if path.suffix in (".py", ".txt") and path.stem not in _ASIDE:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def rewrite(*, piece_id: int) -> Rewritten:
    """Write the piece once more from what is stored of it, and compare. Loads the writer; stores nothing.

    Raises NotRewritable when the piece was never written, was written before what is needed was kept, or the writer
    of today is another one.
    """
    piece = Piece.objects.select_related("run", "model_version").filter(pk=piece_id).first()
    if piece is None:
        raise NotRewritable(f"There is no piece {piece_id}.")
    event = _written_event(piece)
    if not piece.fields or event is None:
        raise NotRewritable(f"Piece {piece_id} has no text by the writer yet.")
    if not piece.written_with:
        raise NotRewritable(
            f"Piece {piece_id} was written before the settings of its writing were kept. "
            "Have it written again to be able to do this."
        )
    sampling = _sampling(piece)
    writer, embedder = engines.get_writer(), engines.get_embedder()
    _same_writer(piece, writer, embedder)
    brief = material.brief(piece.run.brief)
    kept = piece.written_with

    made = _write(writer, embedder, brief, [_request(piece)], sampling)[0]
    together, missing = 1, 0
    if texts.text_hash(made) != event.text_hash and kept["batch"]["size"] > 1:
        mates = _mates(piece)
        missing = kept["batch"]["size"] - len(mates)
        if not missing:
            attempt = _attempt(piece)
            batch = [mate for mate in mates if mate.written_with["tries"] > attempt]
            requests = [_request(mate, attempt) for mate in batch]
            place = next(n for n, mate in enumerate(batch) if mate.pk == piece.pk)
            made, together = _write(writer, embedder, brief, requests, sampling)[place], len(batch)
    return Rewritten(
        identical=texts.text_hash(made) == event.text_hash,
        fields=made,
        written=piece.fields if piece.text_hash == event.text_hash else None,
        together=together,
        missing=missing,
        code_changed=kept["code"] != code_hash(),
    )


def word_diff(before: Fields, after: Fields) -> list[str]:
    """One line for each item that differs: words that went stand as [-so-], words that came as {+so+}."""
    lines = []
    for name in dict.fromkeys([*before, *after]):
        old, new = _items(before.get(name)), _items(after.get(name))
        for number in range(max(len(old), len(new))):
            was = old[number] if number < len(old) else ""
            now = new[number] if number < len(new) else ""
            if was != now:
                place = f"{name}[{number}]" if isinstance(before.get(name), list) else name
                lines.append(f"{place}: {_words(was, now)}")
    return lines


def _words(was: str, now: str) -> str:
    old, new = was.split(), now.split()
    parts: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts += old[a:b]
            continue
        if a < b:
            parts.append(f"[-{' '.join(old[a:b])}-]")
        if c < d:
            parts.append(f"{{+{' '.join(new[c:d])}+}}")
    return " ".join(parts) or "(spaces alone)"


def _items(value: object) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _write(
    writer: Writer, embedder: Embedder, brief: Brief, requests: list[Request], sampling: Sampling
) -> list[Fields]:
    plans = planning.plan(brief, requests, embedder)
    return [draft.fields for draft in writer.write(brief, requests, plans, sampling)]


def _written_event(piece: Piece) -> PieceEvent | None:
    """The audit row of the writing whose text the piece has, or had before people edited it."""
    written = PieceEvent.objects.filter(
        piece_id=piece.pk, from_status=Status.GENERATING, to_status=Status.IN_REVIEW
    )
    return written.order_by("-pk").first()


def _request(piece: Piece, attempt: int | None = None) -> Request:
    """The request of the kept try, or of that attempt. Seed and hint as of then: they may stand otherwise by now."""
    kept = piece.written_with
    seed = kept["kept"] if attempt is None else writing.seed_of_try(kept["seed"], attempt)
    return replace(material.request(piece), seed=seed, steer=kept["steer"])


def _attempt(piece: Piece) -> int:
    """Which try was kept, counted from 0."""
    kept = piece.written_with
    seeds = [writing.seed_of_try(kept["seed"], attempt) for attempt in range(kept["tries"])]
    return seeds.index(kept["kept"])


def _mates(piece: Piece) -> list[Piece]:
    """The pieces of its batch that are still as the batch left them, in their order, itself among them."""
    name = piece.written_with["batch"]["name"]
    found = Piece.objects.filter(run_id=piece.run_id, written_with__batch__name=name)
    return sorted(found, key=lambda mate: mate.written_with["batch"]["place"])


def _sampling(piece: Piece) -> Sampling:
    kept: Mapping[str, Any] = piece.written_with["sampling"]
    known = {field.name for field in fields(Sampling)}
    if odd := sorted(known ^ kept.keys()):
        raise NotRewritable(
            f"Piece {piece.pk} was sampled with the settings {', '.join(sorted(kept))}; this release samples with "
            f"{', '.join(sorted(known))}. The difference: {', '.join(odd)}."
        )
    return Sampling(**kept)


def _same_writer(piece: Piece, writer: Writer, embedder: Embedder) -> None:
    """Raise unless the writer at hand is the one of then, naming both."""
    then: Mapping[str, str] = {**piece.written_with["writer"], "embedder": piece.written_with["embedder"]}
    info = writer.info
    now = {
        "hash": info.model_hash,
        "prompts": info.prompt_version,
        **info.settings,
        "embedder": embedder.name,
    }
    differing = [key for key in dict.fromkeys([*then, *now]) if then.get(key) != now.get(key)]
    if not differing:
        return
    told: Sequence[str] = [
        f"{key} was {then.get(key, 'not set')}, is {now.get(key, 'not set')}" for key in differing
    ]
    raise NotRewritable(
        f"Piece {piece.pk} was written by {piece.model_version}; the writer at hand is another: {'; '.join(told)}. "
        "Start with the settings of then: WRITER_MODEL, WRITER_ADAPTER, WRITER_DTYPE, EMBEDDING_MODEL."
    )
