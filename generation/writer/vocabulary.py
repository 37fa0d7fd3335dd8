"""What each token of a tokenizer writes, and which may follow what: the ground the constraints stand on.

Any tokenizer: byte-level, sentence pieces with byte fall-back, or one that only decodes. A character is judged by
its Unicode category, so a digit is a digit in every script.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from generation.writer import channels


class After(IntEnum):
    """What stands before the next character."""

    START = 0
    SPACE = 1
    LETTER = 2
    MARK = 3  # . , ; : ! ? after which no letter may follow at once: so no domain name can be built
    VALUE = 4  # a closing }}
    OTHER = 5  # apostrophes, dashes


MARKS = frozenset(".,;:!?…。、！？")
SIGNS = frozenset("'’‘-–—&¿¡·")  # whatever else may be written; letters and the space apart
FINAL = frozenset(".!?…。！？")


@functools.cache
def letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM" and not char.isnumeric()  # 五 is a letter and a number


def allowed(char: str, gsm7: bool, exclaim: bool) -> bool:
    """Whether copy may hold this character outside a value. Digits, signs of money, markup: never."""
    if char in "!！" and not exclaim:
        return False
    if gsm7 and char not in channels.GSM7:
        return False
    return char == " " or char in MARKS or char in SIGNS or letter(char)


@functools.lru_cache(maxsize=1 << 16)
def can_end(pending: bytes, before: After, gsm7: bool, exclaim: bool) -> bool:
    """Whether some character that begins with these bytes may follow `before`."""
    lead = pending[0]
    if lead >= 0xF0:  # beyond the basic plane stand emoji and rare scripts: not for copy
        return False
    size = 2 if lead < 0xE0 else 3
    value = lead & (0xFF >> (size + 1))
    for byte in pending[1:]:
        value = value << 6 | byte & 0x3F
    rest = 6 * (size - len(pending))
    for point in range(value << rest, (value + 1) << rest):
        if point > 0x10FFFF or 0xD800 <= point < 0xE000 or len(chr(point).encode()) != size:
            continue
        char = chr(point)
        if allowed(char, gsm7, exclaim) and follows(before, char):
            return True
    return False


def kind(char: str) -> After:
    if char == " ":
        return After.SPACE
    if char in MARKS:
        return After.MARK
    return After.LETTER if letter(char) else After.OTHER


def follows(before: After, char: str) -> bool:
    """Whether `char` may follow; `{` asks whether a value may open here."""
    if char == "{":
        return before in (After.START, After.SPACE, After.OTHER)
    match before:
        case After.START:
            return letter(char) or char in "¿¡"
        case After.SPACE:
            return char != " " and char not in MARKS
        case After.MARK:
            return not letter(char)
        case After.VALUE:
            return not letter(char)
        case _:
            return True


def _byte_decoder() -> dict[str, int]:
    """Characters by which byte-level tokenizers write bytes (the table of GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(b): b for b in plain}
    extra = 0
    for b in range(256):
        if b not in plain:
            table[chr(256 + extra)] = b
            extra += 1
    return table


def token_bytes(tokenizer: Any, size: int) -> list[bytes | None]:
    """What every id writes; None for special tokens and ids that no token has."""
    special = set(tokenizer.all_special_ids) | {
        i for i, t in tokenizer.added_tokens_decoder.items() if t.special
    }
    names: list[str | None] = [None] * size
    for name, number in tokenizer.get_vocab().items():
        if number < size and number not in special:
            names[number] = name
    sample = [n for n in names if n]
    if any(n.startswith("Ġ") for n in sample):
        table = _byte_decoder()
        added = tokenizer.added_tokens_decoder

        def write(number: int, name: str) -> bytes:
            if number in added or any(c not in table for c in name):
                return name.encode()
            return bytes(table[c] for c in name)
    elif any(n.startswith("▁") for n in sample):

        def write(number: int, name: str) -> bytes:
            if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
                return bytes([int(name[3:5], 16)])
            return name.replace("▁", " ").encode()
    else:

        def write(number: int, name: str) -> bytes:
            return str(tokenizer.decode([number])).encode()

    return [None if n is None else write(i, n) for i, n in enumerate(names)]


class Vocabulary:
    """Tables over a tokenizer's ids for one alphabet. Build once (about a second for 50,000 tokens), then share."""

    def __init__(
        self,
        pieces: list[bytes | None],
        ends: list[int],
        *,
        gsm7: bool = False,
        exclaim: bool = True,
        parts: bool = True,
    ) -> None:
        """`parts`: may characters be put together from several tokens? Slower, and needed for few scripts only."""
        self.pieces, self.gsm7, self.exclaim = pieces, gsm7, exclaim
        self.size = len(pieces)
        self.ends = torch.tensor(sorted(set(ends)), dtype=torch.long)
        self.end_ids = frozenset(ends)
        self.cache: dict[object, Tensor] = {}
        self._ids: dict[bytes, list[int]] = {}
        good = torch.zeros(self.size, dtype=torch.bool)  # ordinary text through and through
        first = torch.zeros(self.size, dtype=torch.int8)
        finals = torch.zeros(self.size, dtype=torch.bool)
        lengths = torch.zeros(self.size, dtype=torch.int16)
        leading = torch.zeros(self.size, dtype=torch.int8)
        self.special: list[int] = []  # tokens with braces or with parts of a character: walked one by one
        for number, piece in enumerate(pieces):
            if not piece or number in self.end_ids:
                continue
            try:
                text = piece.decode()
            except UnicodeDecodeError:
                if parts and not gsm7:
                    self.special.append(number)
                continue
            if "{" in text or "}" in text:
                self.special.append(number)
            elif self._plain(text):
                good[number] = True
                first[number] = _first(text[0])
                finals[number] = any(c in FINAL for c in text)
                lengths[number] = text_length(text)
                leading[number] = len(text) - len(text.lstrip("wW"))
        self.good, self.first, self.finals, self.lengths, self.leading = good, first, finals, lengths, leading
        self.longest = int(lengths.max()) if self.size else 0

    def _plain(self, text: str) -> bool:
        if not all(allowed(c, self.gsm7, self.exclaim) for c in text) or "www" in text.lower():
            return False
        return all(follows(kind(a), b) for a, b in itertools.pairwise(text))

    def text_ban(self, before: After, w_run: int, no_final: bool, room: int) -> Tensor:
        """Banned ids when only ordinary text may come: after `before`, with `room` left in the length's unit."""
        room = min(room, self.longest)
        key = ("text", before, w_run, no_final, room)
        ban = self.cache.get(key)
        if ban is None:
            ban = ~self.good
            ban |= ~_MAY_FOLLOW[before][self.first.long()]
            if w_run:
                ban |= self.leading >= 3 - w_run
            if no_final:
                ban |= self.finals
            ban |= self.lengths > room
            self.remember(key, ban)
        return ban

    def starting(self, rest: str) -> list[int]:
        """Ids of the tokens that are a beginning of `rest`."""
        if not self._ids:
            for number, piece in enumerate(self.pieces):
                if piece and number not in self.end_ids:
                    self._ids.setdefault(piece, []).append(number)
        data = rest.encode()
        return [i for n in range(1, len(data) + 1) for i in self._ids.get(data[:n], [])]

    def remember(self, key: object, ban: Tensor) -> None:
        if len(self.cache) > 4096:  # 50 kB each: keeps the tables below 200 MB whatever the briefs are
            self.cache.clear()
        self.cache[key] = ban


_SAMPLES = ("a", " ", ".", "'", "¿")  # one character of each way to begin


def _first(char: str) -> int:
    if letter(char):
        return 0
    if char == " ":
        return 1
    if char in MARKS:
        return 2
    return 4 if char in "¿¡" else 3


_MAY_FOLLOW = {a: torch.tensor([follows(a, c) for c in _SAMPLES]) for a in After}


def text_length(text: str) -> int:
    """The longest that any measure but words makes of a text: what holds for it holds for the measure in use."""
    return sum(
        2 if unicodedata.east_asian_width(c) in "WF" or c in channels.GSM7_EXTENSION else 1 for c in text
    )
