"""Decoding that cannot break a promise: one walk per unit being written, over any tokenizer's tokens.

Impossible, whatever the model wants: digits of any script, signs of money and percent, addresses, markup, line
breaks, hidden characters, braces other than `{{name}}` of a value this unit may say, a value said twice, text
beyond the unit's limit with its values filled in, and an end before the required values stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from generation.writer import checks, values
from generation.writer.vocabulary import (
    FINAL,
    After,
    Vocabulary,
    allowed,
    can_end,
    follows,
    kind,
    text_length,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one unit. Lengths are those of `text_length`; `costs` those of the filled values."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    costs: Mapping[str, int]
    limit: int  # 0 for none
    max_tokens: int
    sentences: int  # ends by itself after so many
    least_words: int = 2
    lean: float = (
        0.0  # what a token of the plan line gains, and again when it continues the plan line in order
    )


class Echo:
    """What a unit leans towards (its plan, said plainly) and should not say again (runs of tokens said before)."""

    def __init__(
        self, plan: Sequence[int] = (), said: Sequence[Sequence[int]] = (), shun: Iterable[int] = ()
    ) -> None:
        self.plan = tuple(plan)
        self.said: dict[tuple[int, ...], set[int]] = {}
        for tokens in said:
            for i in range(len(tokens) - RUN + 1):
                self.said.setdefault(tuple(tokens[i : i + RUN - 1]), set()).add(tokens[i + RUN - 1])
        self.shun = frozenset(shun)


RUN = 4
REACH = 4  # tokens of the plan that may be left out at a time


@dataclass(frozen=True, slots=True)
class State:
    """Where the text stands: enough to judge the next bytes."""

    before: After = After.START
    w_run: int = 0
    pending: bytes = b""  # the beginning of a character whose bytes are not all there
    opened: str = ""  # what has been written of "{{name}}"
    names: tuple[str, ...] = ()  # those that may still be said
    missing: tuple[str, ...] = ()
    used: int = 0  # length so far, values filled in


NO_LIMIT = 1 << 20


class UnitWalk:
    """A candidate for one unit. `text` is always something the rules allow, finished or not."""

    def __init__(
        self, vocabulary: Vocabulary, rules: Rules, force: Mapping[str, list[int]], echo: Echo | None = None
    ) -> None:
        """`force` holds the ids that write ` {{name}}` for each required name, for when the budget runs out."""
        self.vocabulary, self.rules, self.force = vocabulary, rules, force
        self.echo = echo or Echo()
        self._drawn: list[int] = []
        self._said = 0  # how much of the plan has been said, in its order
        self.state = State(names=rules.names, missing=rules.required)
        self.tokens = 0
        self.raw = b""
        self.done = False
        self.ended = False  # by itself, not for lack of room or tokens
        self.cut = False  # the last word was broken off for lack of room
        self.forced = 0  # values that had to be put in
        self._queue: list[int] = []

    @property
    def text(self) -> str:
        return self.raw.decode(errors="ignore")

    def banned(self) -> Tensor:
        v, s = self.vocabulary, self.state
        if self._queue:
            return self._only(self._queue[0])
        room = self._room(s)
        words = len(self.text.split())
        may_end = not s.opened and not s.pending and not s.missing and words >= self.rules.least_words
        last = sum(c in FINAL for c in self.text) + 1 >= self.rules.sentences
        no_final = (bool(s.missing) and last) or words < self.rules.least_words
        reach = min(room, v.longest)
        costs = tuple(self.rules.costs[n] for n in s.names)
        plenty = max(costs, default=0) + v.longest + 2  # more room than this changes nothing
        key = (
            s.before,
            s.w_run,
            s.pending,
            s.opened,
            s.names,
            s.missing,
            costs,
            min(room, plenty),
            no_final,
            may_end,
        )
        ban = v.cache.get(key)
        if ban is None:
            if s.opened or s.pending:
                ban = torch.ones(v.size, dtype=torch.bool)
            else:
                ban = v.text_ban(s.before, s.w_run, no_final, reach).clone()
            special = [t for t in self._candidates() if self._accepts(t, no_final)]
            if special:
                ban[torch.tensor(special)] = False
            if may_end or (not s.missing and bool(ban.all())):
                ban[v.ends] = False
            v.remember(key, ban)
        if s.missing and bool(ban.all()):
            self._force(s.missing[0])
            return self._only(self._queue[0])
        again = self._again()
        if again:
            narrower = ban.clone()
            narrower[list(again)] = True
            if not bool(narrower.all()):
                return narrower
        return ban

    def _again(self) -> set[int]:
        """Tokens that would repeat a run said before, in this unit or an earlier one; names may come again."""
        if self.state.opened or len(self._drawn) < RUN - 1:
            return set()
        recent = tuple(self._drawn[-(RUN - 1) :])
        found = set(self.echo.said.get(recent, ()))
        own = self._drawn
        for i in range(len(own) - RUN + 1):
            if tuple(own[i : i + RUN - 1]) == recent:
                found.add(own[i + RUN - 1])
        return found - self.vocabulary.end_ids

    def leaning(self) -> dict[int, float]:
        """Towards the plan line, in its order, and away from the plan's own way of speaking."""
        if self._queue:
            return {}
        found = dict.fromkeys(self.echo.shun, -8.0)
        if self.rules.lean and self.echo.plan:
            if self._said < len(self.echo.plan):
                found[self.echo.plan[self._said]] = self.rules.lean
            else:
                found |= dict.fromkeys(self.vocabulary.end_ids, self.rules.lean)
        return found

    def _only(self, token: int) -> Tensor:
        key = ("only", token)
        ban = self.vocabulary.cache.get(key)
        if ban is None:
            ban = torch.ones(self.vocabulary.size, dtype=torch.bool)
            ban[token] = False
            self.vocabulary.remember(key, ban)
        return ban

    def _candidates(self) -> list[int]:
        """Tokens to walk one by one: those with braces or broken characters, inside a name any that fit it."""
        v, s = self.vocabulary, self.state
        if not s.opened:
            return v.special
        found = list(v.special)
        for name in s.names:
            whole = values.reference(name)
            if whole.startswith(s.opened):
                found += v.starting(whole[len(s.opened) :])
        return found

    def _accepts(self, token: int, no_final: bool) -> bool:
        piece = self.vocabulary.pieces[token]
        if not piece or (no_final and any(c.encode() in piece for c in FINAL)):
            return False
        after = self.step(self.state, piece)
        if after is None:
            return False
        if after.pending:  # no way in without a way out: a character that may stand here, however wide
            v = self.vocabulary
            return self._room(after) >= 2 and can_end(after.pending, after.before, v.gsm7, v.exclaim)
        return self._room(after) >= 0

    def _room(self, s: State) -> int:
        """Length left for words, once the missing values and a full stop have theirs."""
        if not self.rules.limit:
            return NO_LIMIT
        reserved = sum(self.rules.costs[n] + 1 for n in s.missing)
        return self.rules.limit - s.used - reserved - 1

    def step(self, s: State, piece: bytes) -> State | None:
        """The state after these bytes, or None where they may not come."""
        data, s = s.pending + piece, replace(s, pending=b"")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data" or s.opened:
                return None
            text = data[: error.start].decode()
            s = replace(s, pending=data[error.start :])
            if len(s.pending) > 3:
                return None
        pending = s.pending
        for char in text:
            moved = self._char(s, char)
            if moved is None:
                return None
            s = moved
        if pending and s.opened:
            return None
        return replace(s, pending=pending)

    def _char(self, s: State, char: str) -> State | None:
        if s.opened:
            grown = s.opened + char
            fitting = [n for n in s.names if values.reference(n).startswith(grown)]
            fitting = [n for n in fitting if self._fits(s, n)]
            if not fitting:
                return None
            if grown == values.reference(fitting[0]):
                name = fitting[0]
                return replace(
                    s,
                    opened="",
                    before=After.VALUE,
                    names=tuple(n for n in s.names if n != name),
                    missing=tuple(n for n in s.missing if n != name),
                    used=s.used + self.rules.costs[name],
                )
            return replace(s, opened=grown)
        if char == "{":
            if not follows(s.before, "{") or not any(self._fits(s, n) for n in s.names):
                return None
            return replace(s, opened="{", w_run=0)
        if not allowed(char, self.vocabulary.gsm7, self.vocabulary.exclaim) or not follows(s.before, char):
            return None
        w_run = s.w_run + 1 if char in "wW" else 0
        if w_run > 2:
            return None
        return replace(s, before=kind(char), w_run=w_run, used=s.used + text_length(char))

    def _fits(self, s: State, name: str) -> bool:
        own = 1 if name in s.missing else 0  # the space reserved with it
        reserve = self.rules.costs[name] if name in s.missing else 0
        return self._room(s) + reserve + own >= self.rules.costs[name]

    def push(self, token: int, wished: int) -> None:
        v = self.vocabulary
        self.tokens += 1
        if token in v.end_ids:
            self.done = self.ended = True
            more = v.pieces[wished] if wished not in v.end_ids else None
            self.cut = self.state.before is After.LETTER and more is not None and more[:1].isalpha()
            return
        piece = v.pieces[token]
        assert piece is not None
        self._drawn.append(token)
        ahead = self.echo.plan[self._said : self._said + REACH]
        if token in ahead:
            self._said += ahead.index(token) + 1
        if self._queue:
            self._queue.pop(0)
        moved = self.step(self.state, piece)
        if moved is None:
            raise ValueError("a token was drawn that the walk had banned")
        self.state = moved
        self.raw += piece
        if self._queue:
            return
        s = self.state
        if not s.opened and not s.pending and not s.missing and self._sentence_over():
            self.done = self.ended = True
            return
        left = self.rules.max_tokens - self.tokens
        if s.opened or s.pending:
            return  # a name or a character is under way: its end is near and must come
        if s.missing:
            needed = sum(len(self.force[n]) for n in s.missing)
            tight = self._room(s) <= 1
            if left <= needed or tight:
                self._force(s.missing[0])
        elif left <= 0 or self._room(s) < 0:
            self.done = True

    def _force(self, name: str) -> None:
        """Put in a required value; what precedes it may be any character."""
        ids = list(self.force[name])
        if self.state.before in (After.SPACE, After.START):
            ids = list(self.force["\x00" + name])
        self._queue = ids
        self.forced += 1

    def _sentence_over(self) -> bool:
        text = self.text
        if not checks.ends_finished(text) or len(text.split()) < self.rules.least_words:
            return False
        if text.endswith(".") and (text.rsplit(None, 1)[-1].lower() in ABBREVIATIONS):
            return False
        return sum(1 for _ in checks.sentences(text)) >= self.rules.sentences


class ScriptedWalk(UnitWalk):
    """Takes a given text token by token, under the same rules: how a known wording competes with drawn ones."""

    def __init__(
        self, vocabulary: Vocabulary, rules: Rules, force: Mapping[str, list[int]], script: Sequence[int]
    ) -> None:
        super().__init__(vocabulary, rules, force)
        self._queue = list(script)

    def push(self, token: int, wished: int) -> None:
        super().push(token, wished)
        self.cut = False  # whatever the model would have gone on to say


def is_legal(
    vocabulary: Vocabulary, rules: Rules, force: Mapping[str, list[int]], script: Sequence[int]
) -> bool:
    """Whether the rules let the whole script through, with every required value in it."""
    walk = ScriptedWalk(vocabulary, rules, force, script)
    for token in script:
        if walk.done:
            return False
        try:
            walk.push(token, token)
        except ValueError:
            return False
        if rules.limit and walk.state.used > rules.limit:
            return False
    return walk.done and walk.ended and not walk.forced and not walk.state.missing


ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "st.", "no.", "vs.", "approx.", "etc."})
