"""The in-process writer: a causal language model that realises plans, many readers of one brief at a time.

The brief's keys and values are computed once and kept; a reader costs only the tokens of their own plan and copy.
See decoding.py for the passes, constraints.py for what cannot be written, prompts.py for what the model reads.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from generation.writer import aims, channels, facts, legality, prompts, scoring, values
from generation.writer.attention import Prefix
from generation.writer.constraints import Echo, Rules, ScriptedWalk, UnitWalk, is_legal
from generation.writer.decoding import Candidate, Counts, Decoder, Kept, Start
from generation.writer.trimming import trim
from generation.writer.types import (
    Brief,
    Channel,
    Draft,
    Embedder,
    Plan,
    PlanUnit,
    Request,
    Sampling,
    WriterInfo,
    WrittenUnit,
)
from generation.writer.vocabulary import Vocabulary, token_bytes

LEAN_UNTUNED = 8.0
# A unit whose best wording is less to be trusted than this is left out, where the piece can do without it.
LEAST_FAITH = 0.35
LEAST_FAITH_TITLE = 0.5  # of a headline among several: false or broken ones are seen before all else
LEAST_LOGPROB = -5.0  # of a token of the plainest wording
LEAST_SENTENCES = 4  # of an e-mail's body
PREFIXES = 4  # briefs kept computed: about 25 MB each for the default model
# Longest units in tokens; a limit in characters usually comes first.
MOST_TOKENS: Mapping[str, int] = {
    "S": 24, "P": 32, "1": 48, "2": 48, "H": 16, "D": 36, "T": 44, "MH": 18, "MD": 16, "LI": 48, "LH": 26,
    "X": 48, "PT": 18, "PB": 40,
}  # fmt: skip


def best_dtype(device: str = "cpu") -> torch.dtype:
    """bfloat16 where the machine computes it natively, float32 elsewhere (emulated bf16 is many times slower)."""
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    native = torch.backends.cpu.get_cpu_capability().startswith("AVX512") and _has_flag(
        "avx512_bf16", "amx_bf16"
    )
    return torch.bfloat16 if native else torch.float32


def _has_flag(*flags: str) -> bool:
    try:
        with open("/proc/cpuinfo") as info:  # noqa: PTH123  -- a pseudo-file
            line = next((line for line in info if line.startswith("flags")), "")
    except OSError:
        return False
    return any(f" {flag}" in line for flag in flags)


@dataclass(slots=True)
class _Writing:
    """One request on its way: what of its plan is written, what comes next."""

    brief: Brief
    request: Request
    plan: Plan
    sampling: Sampling
    at: int = 0
    units: list[WrittenUnit] = field(default_factory=list)
    tokens: int = 0
    walks: list[UnitWalk] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)  # units by field


class TorchWriter:
    """Realises plans with a Hugging Face causal LM. Same seeds, plans and sampling: same drafts on one machine."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "torch",
        base: str = "",
        tuned: bool = False,
        model_hash: str = "",
        lean: float | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """`lean` draws the words of the plan line into the text; a tuned model needs none of it.

        With an `embedder` candidates are chosen by what they mean as well as by their words.
        """
        model.eval()
        self.lean = lean if lean is not None else (0.0 if tuned else LEAN_UNTUNED)
        self.model, self.tokenizer = model, tokenizer
        self.judge = scoring.Judge(embedder, calibrated=tuned)
        self.decoder = Decoder(model)
        self.counts = Counts()  # of the last write()
        size = model.config.vocab_size
        self._pieces = token_bytes(tokenizer, size)
        self._newline = tokenizer.encode("\n", add_special_tokens=False)
        self._ends = [i for i, p in enumerate(self._pieces) if p is not None and p == b"\n"]
        self._ends += [i for i in tokenizer.all_special_ids if i < size and i in _stops(tokenizer)]
        if not self._ends:
            raise ValueError("the tokenizer has neither a token for a line break nor an end of text")
        # The plan speaks of "the reader"; the copy speaks to "you".
        self._shun = [
            i for i, p in enumerate(self._pieces) if p and p.strip().lower() in (b"reader", b"readers")
        ]
        self._vocabularies: dict[tuple[bool, bool, bool], Vocabulary] = {}
        self._prefixes: OrderedDict[str, Prefix] = OrderedDict()
        self._info = WriterInfo(
            name=name,
            base=base,
            tuned=tuned,
            prompt_version=prompts.PROMPT_VERSION,
            model_hash=model_hash,
            settings={"lean": str(self.lean), "dtype": str(self.decoder.shape.dtype).removeprefix("torch.")},
        )

    @property
    def info(self) -> WriterInfo:
        return self._info

    def write(
        self, brief: Brief, requests: list[Request], plans: list[Plan], sampling: Sampling
    ) -> list[Draft]:
        """Write the drafts of all requests as one batch over the brief."""
        if not requests:
            return []
        prefix = self._prefix(brief)
        works = [_Writing(brief, r, p, sampling) for r, p in zip(requests, plans, strict=True)]
        starts: list[Start] = []
        owners: list[_Writing] = []
        for work in works:
            ids, walks = self._advance(work, prompts.opening(work.request), sampling)
            if walks:
                starts.append(Start(ids, walks))
                owners.append(work)

        def choose(row: int, candidates: list[Candidate]) -> Kept:
            return self._choose(owners[row], candidates)

        self.counts = self.decoder.run(
            prefix,
            starts,
            choose,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stretch=self._stretch(brief, sampling),
            width=sampling.candidates + (sampling.candidates > 1),  # the plainest wording competes
        )
        return [self._draft(work) for work in works]

    # -- what is shared ------------------------------------------------------------------------------------------

    def _prefix(self, brief: Brief) -> Prefix:
        text = prompts.prefix(brief, examples=not self._info.tuned)
        key = prompts.prefix_hash(text)
        if key in self._prefixes:
            self._prefixes.move_to_end(key)
            return self._prefixes[key]
        self._prefixes[key] = prefix = self.decoder.prefix(self.prefix_ids(text))
        while len(self._prefixes) > PREFIXES:
            self._prefixes.popitem(last=False)
        return prefix

    def prefix_ids(self, text: str) -> list[int]:
        """Ids of a prefix, with the beginning token where the model has been trained with one."""
        ids = self.ids(text)
        begin = self.tokenizer.bos_token_id
        adds = begin is not None and self.tokenizer("a")["input_ids"][:1] == [begin]
        return [begin, *ids] if adds else ids

    def ids(self, text: str) -> list[int]:
        """Plain text to ids: a special token written out in the text stays ordinary characters."""
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return found

    def vocabulary(self, brief: Brief, request: Request, unit: PlanUnit) -> Vocabulary:
        gsm7 = request.channel is Channel.SMS
        exclaim = unit.label != "H" and not any(
            a.lower().startswith("exclamation") for a in brief.brand.avoid
        )
        parts = self._in_parts(brief)
        key = (gsm7, exclaim, parts)
        if key not in self._vocabularies:
            self._vocabularies[key] = Vocabulary(
                self._pieces, self._ends, gsm7=gsm7, exclaim=exclaim, parts=parts
            )
        return self._vocabularies[key]

    def _in_parts(self, brief: Brief) -> bool:
        """Whether the brief's own language has characters that this tokenizer writes in several tokens."""
        text = " ".join([brief.brand.name, brief.brand.about, brief.goal, *(f.text for f in brief.facts)])
        letters = {c for c in text if c.isalpha() and ord(c) > 127}
        return any(len(self.ids(c)) > 1 for c in letters)

    def _stretch(self, brief: Brief, sampling: Sampling) -> int:
        names = sum(len(self.force(v.name, spaced=True)) + len(v.name) + 4 for v in brief.values)
        return min(sampling.max_tokens, max(MOST_TOKENS.values())) + names + 8

    def force(self, name: str, *, spaced: bool) -> list[int]:
        """Ids that write `{{name}}`, by the tokenizer if it gives just that, else piece by piece."""
        wanted = (" " if spaced else "") + values.reference(name)
        ids = self.ids(wanted)
        if b"".join(self._pieces[i] or b"" for i in ids) == wanted.encode():
            return ids
        by_piece = {p: i for i, p in enumerate(self._pieces) if p}
        data, found = wanted.encode(), []
        while data:
            size = next(n for n in range(len(data), 0, -1) if data[:n] in by_piece)
            found.append(by_piece[data[:size]])
            data = data[size:]
        return found

    # -- one row -------------------------------------------------------------------------------------------------

    def _advance(
        self, work: _Writing, lead: str, sampling: Sampling
    ) -> tuple[list[int], list[tuple[UnitWalk, random.Random]]]:
        """The forced block up to the next unit to be written, and its walks; no walks when the plan is done."""
        ids = self.ids(lead) if lead else []
        while work.at < len(work.plan):
            unit = work.plan[work.at]
            if not unit.text:
                ids += self.ids(prompts.plan_line(work.brief, work.request, unit))
                work.walks = self._walks(work, unit, sampling)
                seeds = [f"{work.request.seed}/{work.at}/{c}" for c in range(len(work.walks))]
                return ids, [(w, random.Random(s)) for w, s in zip(work.walks, seeds, strict=True)]
            work.units.append(
                WrittenUnit(unit.label, facts.wholes(unit.sources), unit.text, 0.0, move=unit.move)
            )
            work.at += 1
        return ids, []

    def _walks(self, work: _Writing, unit: PlanUnit, sampling: Sampling) -> list[UnitWalk]:
        rules = self._rules(work, unit, sampling)
        force = {n: self.force(n, spaced=True) for n in rules.required}
        force |= {"\x00" + n: self.force(n, spaced=False) for n in rules.required}
        vocabulary = self.vocabulary(work.brief, work.request, unit)
        plan = self.ids(prompts.plainly(work.brief, work.request, unit)) if self.lean else []
        opening = prompts.opening(work.request)
        echo = Echo(plan, [self.ids(t) for t in (opening, *(u.text for u in work.units))], self._shun)
        walks = [UnitWalk(vocabulary, rules, force, echo) for _ in range(sampling.candidates)]
        if sampling.candidates > 1:
            for script in self._scripts(work, unit):
                if is_legal(vocabulary, rules, force, script):
                    walks.append(ScriptedWalk(vocabulary, rules, force, script))
                    break
        return walks

    def _scripts(self, work: _Writing, unit: PlanUnit) -> Iterator[list[int]]:
        """The plainest wordings as tokens, the fullest first: what stands if nothing better comes of drawing."""
        text = prompts.plainly(work.brief, work.request, unit)
        if not text or any(s.startswith("p") for s in unit.sources):
            return
        # One sentence is over with its full stop; where two may stand the line must be ended.
        sentence = unit.label in channels.SENTENCE_LABELS
        ends = [] if sentence and channels.MOST_SENTENCES.get(unit.label, 1) == 1 else self._ends[:1]
        while text:
            yield self.ids(text) + ends
            text = facts.shorter(text)
            text += "." if text and sentence else ""

    def _rules(self, work: _Writing, unit: PlanUnit, sampling: Sampling) -> Rules:
        spec = channels.SPECS[work.request.channel].field_of(unit.label)
        texts = values.mapping(work.brief)
        return Rules(
            names=tuple(n for n in unit.values if n in texts),
            required=tuple(n for n in unit.required if n in texts),
            costs={n: channels.length(texts[n], spec.measure) for n in unit.values if n in texts},
            limit=legality.limit_of(work.brief, work.request, work.plan, unit),
            lean=self.lean,
            max_tokens=min(sampling.max_tokens, MOST_TOKENS.get(unit.label, sampling.max_tokens)),
            sentences=channels.MOST_SENTENCES.get(unit.label, 1),
            least_words=channels.least_words(unit.label),
        )

    def _choose(self, work: _Writing, candidates: list[Candidate]) -> Kept:
        unit = work.plan[work.at]
        texts = [self._text(unit, work.walks[number]) for number in range(len(candidates))]
        attempts = []
        for number, (candidate, text) in enumerate(zip(candidates, texts, strict=True)):
            walk = work.walks[number]
            logprobs = tuple(candidate.logprobs)
            if isinstance(walk, ScriptedWalk):
                # What else could begin or follow says nothing against a fact's own words.
                closed = bool(candidate.tokens) and candidate.tokens[-1] in self._ends
                logprobs = tuple(max(p, LEAST_LOGPROB) for p in (logprobs[:-1] if closed else logprobs))
            attempts.append(
                scoring.Attempt(
                    text,
                    logprobs,
                    walk.forced,
                    walk.cut or not walk.ended,
                    isinstance(walk, ScriptedWalk),
                    aims.faults(work.brief, work.request, text),
                )
            )
        aim = aims.of(work.brief, work.request, unit, [u.text for u in work.units])
        verdicts = self.judge.judge(aim, attempts)
        ended = [n for n, candidate in enumerate(candidates) if not candidate.dropped]
        best = scoring.best(verdicts, ended)
        chosen, verdict = candidates[best], verdicts[best]
        least = LEAST_FAITH_TITLE if unit.label in channels.TITLE_LABELS else LEAST_FAITH
        if verdict.faith < least and self._may_leave_out(work, unit):
            work.left_out[channels.SPECS[work.request.channel].field_of(unit.label).name] += 1
        else:
            work.units.append(aims.written(unit, texts[best], chosen.mean_logprob, verdict))
        work.tokens += sum(len(c.tokens) for c in candidates)
        work.at += 1
        kept, rest = self._standing(chosen.tokens, work.walks[best].text, texts[best])
        then, walks = self._advance(work, "\n", work.sampling)
        return Kept(best, kept, [*rest, *then], list(walks))

    def _may_leave_out(self, work: _Writing, unit: PlanUnit) -> bool:
        """Whether the piece does without this unit: no value rests on it, and its field keeps enough others.

        Never for an untuned writer: its likelihoods are on another scale than those that `faith` was fitted on.
        """
        if not self._info.tuned:
            return False
        spec = channels.SPECS[work.request.channel].field_of(unit.label)
        if unit.required or not (spec.items or unit.label in ("1", "2")):
            return False
        own = (
            sum(u.label in spec.labels and u.label not in ("G",) for u in work.plan)
            - work.left_out[spec.name]
        )
        return own > (min(spec.planned[0], spec.items[0] + 1) if spec.items else LEAST_SENTENCES)

    @staticmethod
    def _text(unit: PlanUnit, walk: UnitWalk) -> str:
        return trim(
            walk.text,
            sentence=unit.label in channels.SENTENCE_LABELS,
            cut=walk.cut or not walk.ended,
            ended=walk.ended,
            required=unit.required,
        )

    def _standing(self, tokens: Sequence[int], raw: str, text: str) -> tuple[int, list[int]]:
        """How many of the drawn tokens are part of the final text, and the ids of what the text has beyond."""
        wanted = (raw[: len(raw) - len(raw.lstrip())] + text).encode()
        data, kept = b"", 0
        for token in tokens:
            piece = self._pieces[token] or b"\n"
            if not wanted.startswith(data + piece):
                break
            data += piece
            kept += 1
        rest = wanted[len(data) :].decode(errors="ignore")
        return kept, self.ids(rest) if rest else []

    def _draft(self, work: _Writing) -> Draft:
        written = [u for u in work.units if u.reasons]
        return Draft(
            key=work.request.key,
            channel=work.request.channel,
            fields=channels.assemble(work.request.channel, work.units, work.brief.cta),
            units=tuple(work.units),
            seed=work.request.seed,
            prompt_version=prompts.PROMPT_VERSION,
            score=sum(u.score for u in written) / max(len(written), 1),
            tokens=work.tokens,
        )


def _stops(tokenizer: Any) -> Iterable[int]:
    """Ids that end a text: the tokenizer's own end, and the end of a turn of chat models."""
    found = {tokenizer.eos_token_id}
    for name in ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>"):
        number = tokenizer.convert_tokens_to_ids(name)
        if isinstance(number, int) and number != tokenizer.unk_token_id:
            found.add(number)
    return {i for i in found if i is not None}
