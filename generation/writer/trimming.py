"""Bringing an unfinished unit to a decent end: at a sentence, else at a word that can end one."""

from __future__ import annotations

from collections.abc import Sequence

from generation.writer import checks, values


def trim(text: str, *, sentence: bool, cut: bool, ended: bool, required: Sequence[str]) -> str:
    """The text without a broken word or a dangling one, with a full stop where a sentence needs it.

    Never longer than `text` by more than the full stop; never without a required value that `text` holds.
    """
    text = text.strip()
    if ended and not cut and (not sentence or checks.ends_finished(text)):
        return text.rstrip(" ,;:-–—")
    must = [n for n in required if values.reference(n) in text]

    def keeps(part: str) -> bool:
        return all(values.reference(n) in part for n in must)

    if sentence and not checks.ends_finished(text):
        whole = [s for _, s in checks.sentences(text) if checks.ends_finished(s)]
        if whole:
            at = text.rfind(whole[-1]) + len(whole[-1])
            if keeps(text[:at]):
                return text[:at]
    words = text.split(" ")
    if cut and len(words) > 1 and keeps(" ".join(words[:-1])):
        words.pop()
    while len(words) > 1:
        last = words[-1]
        hanging = not last.endswith("}}") and checks.last_word(last) in (
            checks.DANGLING if sentence or cut else checks.BREAKS
        )
        if not hanging or not keeps(" ".join(words[:-1])):
            break
        words.pop()
    text = " ".join(words).rstrip(" ,;:-–—&")
    return text + "." if sentence and not checks.ends_finished(text) else text
