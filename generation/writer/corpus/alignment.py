"""Whole pieces, sentence by sentence: which facts, traits and values each one says.

Shared values decide first: a sentence that holds `{{price}}` says a fact that holds it. Then meaning and words: a
fact or trait is said when its similarity to the sentence stands out among the others and enough of its words are
there. A sentence that rests on nothing (a joke, a bridge) has no sources. Deterministic for an embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

from generation.writer import channels, scoring, values
from generation.writer.corpus.reading import CorpusPiece, CorpusUnit
from generation.writer.sentences import sentences
from generation.writer.types import Channel, Embedder

NEAR = 0.42  # cosine from which a fact or trait counts as said
WORDS_HELP = 0.25  # what sharing all its content words adds to that
MOST = 2  # sources of one sentence, those of its values not counted

_LABELS = {
    (Channel.EMAIL, "subject"): "S", (Channel.EMAIL, "preheader"): "P",
    (Channel.GOOGLE_RSA, "headlines"): "H", (Channel.GOOGLE_RSA, "descriptions"): "D",
    (Channel.META_AD, "primary_text"): "T", (Channel.META_AD, "headline"): "MH", (Channel.META_AD, "description"): "MD",
    (Channel.LINKEDIN_AD, "intro"): "LI", (Channel.LINKEDIN_AD, "headline"): "LH",
    (Channel.SMS, "text"): "X", (Channel.PUSH, "title"): "PT", (Channel.PUSH, "body"): "PB",
}  # fmt: skip


def align(piece: CorpusPiece, embedder: Embedder) -> tuple[CorpusUnit, ...]:
    """The piece as units with their sources, in reading order; greetings and the button are left out."""
    units = _units(piece)
    known = values.mapping(piece.brief)
    sources = {f.id: f.text for f in piece.brief.facts}
    sources |= {f"r{n}": trait for n, trait in enumerate(piece.reader.traits, start=1)}
    shown = {k: values.preview(text, known) for k, text in sources.items()}
    texts = [values.preview(text, known) for _, text in units]
    vectors = embedder.embed([*shown.values(), *texts])
    of_source = dict(zip(shown, vectors, strict=False))
    return tuple(
        CorpusUnit(label, _said(text, vector, sources, of_source), text)
        for (label, text), vector in zip(units, vectors[len(shown) :], strict=True)
    )


def _said(
    text: str, vector: Sequence[float], sources: dict[str, str], vectors: dict[str, list[float]]
) -> tuple[str, ...]:
    told = scoring.content(text)
    holding = _holding(values.names(text), sources)
    scores = {}
    for source, wording in sources.items():
        wanted = scoring.content(wording)
        shared = len(told & wanted) / max(min(len(wanted), 5), 1)
        scores[source] = sum(map(mul, vector, vectors[source])) + WORDS_HELP * min(shared, 1.0)
    near = sorted((s for s in scores if scores[s] >= NEAR), key=lambda s: -scores[s])
    return values.unique([*holding, *near[:MOST]])


def _holding(names: Sequence[str], sources: dict[str, str]) -> list[str]:
    """The fewest facts that hold the values of a sentence."""
    missing, found = set(names) - {values.FIRST_NAME}, []
    while missing:
        best = max(sources, key=lambda s: len(missing & set(values.names(sources[s]))), default="")
        covered = missing & set(values.names(sources.get(best, "")))
        if not covered:
            break
        found.append(best)
        missing -= covered
    return found


def _units(piece: CorpusPiece) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in (piece.fields or {}).items():
        if name == "cta":
            continue
        for text in channels.items(value):
            label = _LABELS.get((piece.channel, name))
            if label is not None:
                found.append((label, text))
                continue
            for paragraph in text.split("\n\n"):
                if paragraph.rstrip().endswith(","):  # the greeting
                    continue
                said = [s for _, s in sentences(paragraph)]
                found += [("1" if n == 0 else "2", s) for n, s in enumerate(said)]
    return found
