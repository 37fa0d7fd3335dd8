"""Whatever a model wants, a unit cannot break a promise."""

from __future__ import annotations

import random
import re
import unicodedata

import pytest
import torch  # noqa: TID253  -- tests of the model code

from generation.writer import channels, checks, values
from generation.writer.constraints import Echo, Rules, UnitWalk
from generation.writer.trimming import trim
from generation.writer.vocabulary import Vocabulary, token_bytes
from tests.generation.writer import small

COSTS = {"price": 3, "end_date": 7, "code": 6}
ADDRESS = re.compile(r"www|\w\.\w|@|/", re.IGNORECASE)


@pytest.fixture(scope="module")
def vocabularies() -> dict[bool, Vocabulary]:
    tokenizer = small.tokenizer()
    pieces = token_bytes(tokenizer, len(tokenizer))
    ends = [i for i, p in enumerate(pieces) if p == b"\n"] + [tokenizer.eos_token_id]
    return {gsm7: Vocabulary(pieces, ends, gsm7=gsm7) for gsm7 in (False, True)}


def force_of(vocabulary: Vocabulary) -> dict[str, list[int]]:
    tokenizer = small.tokenizer()
    found = {}
    for name in COSTS:
        found[name] = tokenizer.encode(" " + values.reference(name))
        found["\x00" + name] = tokenizer.encode(values.reference(name))
    return found


def logits_of(style: str, vocabulary: Vocabulary, rng: torch.Generator, step: int) -> torch.Tensor:
    """Random wishes, or the worst: digits, signs, braces, dots, w's, broken characters, never an end."""
    logits = torch.rand(vocabulary.size, generator=rng) * 4
    if style == "hostile":
        for number, piece in enumerate(vocabulary.pieces):
            if piece and re.search(rb"[\d%$@/<>\[\]`{}.wW\x80-\xff]", piece):
                logits[number] += 5
        logits[list(vocabulary.end_ids)] -= 50
    elif style == "braces":
        for number, piece in enumerate(vocabulary.pieces):
            if piece and b"{" in piece:
                logits[number] += 20
    elif style == "hasty":
        logits[list(vocabulary.end_ids)] += 50
    return logits


def write(vocabulary: Vocabulary, rules: Rules, style: str, seed: int) -> UnitWalk:
    walk = UnitWalk(vocabulary, rules, force_of(vocabulary), Echo([40, 41, 42], [], [300]))
    rng = torch.Generator().manual_seed(seed)
    for step in range(rules.max_tokens + 120):
        if walk.done:
            return walk
        logits = logits_of(style, vocabulary, rng, step)
        for token, weight in walk.leaning().items():
            logits[token] += weight
        ban = walk.banned()
        assert not bool(ban.all())
        walk.push(int(logits.masked_fill(ban, float("-inf")).argmax()), int(logits.argmax()))
    raise AssertionError("the walk never ended")


def assert_kept(walk: UnitWalk, rules: Rules, gsm7: bool) -> None:
    sentence = rules.sentences == 1
    text = trim(
        walk.text,
        sentence=sentence,
        cut=walk.cut or not walk.ended,
        ended=walk.ended,
        required=rules.required,
    )
    said = values.names(text)
    assert set(rules.required) <= set(said) <= set(rules.names)
    assert len(said) == len(set(said))
    bare = values.REFERENCE.sub("", text)
    for char in bare:
        category = unicodedata.category(char)
        assert category not in ("Nd", "No", "Nl", "Sc", "So", "Sm", "Cc", "Cf", "Co", "Cn"), (char, text)
        assert char not in '{}%<>[]`@/\\|*_#\n"', text
        assert not gsm7 or char in channels.GSM7, text
    assert not ADDRESS.search(values.REFERENCE.sub("§", text)), text
    if rules.limit:
        costs = sum(COSTS[n] for n in said)
        assert channels.length(bare, channels.Measure.DOUBLE_WIDTH) + costs <= rules.limit, text


STYLES = ("random", "hostile", "braces", "hasty")


def run_many(vocabularies: dict[bool, Vocabulary], count: int) -> None:
    rng = random.Random(count)
    for seed in range(count):
        names = tuple(n for n in COSTS if rng.random() < 0.6)
        required = tuple(n for n in names if rng.random() < 0.5)
        limit = rng.choice((0, 30, 40, 90))
        if limit and sum(COSTS[n] + 1 for n in required) > limit - 8:
            required = required[:1]
        gsm7 = rng.random() < 0.3
        rules = Rules(
            names,
            required,
            COSTS,
            limit,
            rng.choice((6, 14, 30)),
            rng.choice((1, 2)),
            lean=rng.choice((0.0, 2.0)),
        )
        walk = write(vocabularies[gsm7], rules, STYLES[seed % len(STYLES)], seed)
        assert_kept(walk, rules, gsm7)


def test_units_keep_every_promise(vocabularies: dict[bool, Vocabulary]) -> None:
    run_many(vocabularies, 500)


@pytest.mark.slow
def test_ten_thousand_units_keep_every_promise(vocabularies: dict[bool, Vocabulary]) -> None:
    run_many(vocabularies, 10_000)


def test_a_hasty_model_says_what_is_required(vocabularies: dict[bool, Vocabulary]) -> None:
    rules = Rules(("price", "code"), ("price", "code"), COSTS, 0, 8, 1)
    walk = write(vocabularies[False], rules, "hasty", 1)
    assert {"price", "code"} <= set(values.names(walk.text))


def test_inside_braces_only_the_units_names_can_be_reached(vocabularies: dict[bool, Vocabulary]) -> None:
    vocabulary = vocabularies[False]
    walk = UnitWalk(vocabulary, Rules(("price",), (), COSTS, 0, 20, 1), {})
    for token in small.tokenizer().encode("Half a day costs {{"):
        walk.push(token, token)
    allowed = [vocabulary.pieces[i] for i in (~walk.banned()).nonzero()[:, 0].tolist()]
    assert allowed
    assert all(b"price}}".startswith(p) or p.startswith(b"price}}") for p in allowed if p)


def test_an_open_value_needs_a_name_that_is_left(vocabularies: dict[bool, Vocabulary]) -> None:
    walk = UnitWalk(vocabularies[False], Rules(("price",), (), COSTS, 0, 20, 1), {})
    for token in small.tokenizer().encode("It is {{price}}, so"):
        walk.push(token, token)
    state = walk.state
    assert walk.step(state, b" {") is None
    assert state.names == ()


@pytest.mark.parametrize(
    "text", ["1", "²", "٣", "Ⅳ", "$", "€", "%", "@", "<", "`", "_", "\n", "\u200b", "😀", '"']
)
def test_forbidden_characters(vocabularies: dict[bool, Vocabulary], text: str) -> None:
    walk = UnitWalk(vocabularies[False], Rules((), (), {}, 0, 20, 1), {})
    after = walk.step(walk.state, b"A ")
    assert after is not None
    assert walk.step(after, text.encode()) is None
    if len(text.encode()) > 1:  # the same when the character comes byte by byte
        state = walk.step(after, text.encode()[:-1])
        assert state is None or walk.step(state, text.encode()[-1:]) is None


@pytest.mark.parametrize(
    "text", ["shop.com", "www", "wWw", "a,b", "x{{price}}", "{{price}}s", "{price}", "{{nope}}"]
)
def test_forbidden_runs(vocabularies: dict[bool, Vocabulary], text: str) -> None:
    walk = UnitWalk(vocabularies[False], Rules(("price",), (), COSTS, 0, 20, 1), {})
    assert walk.step(walk.state, text.encode()) is None


def test_a_run_of_four_tokens_is_not_said_again(vocabularies: dict[bool, Vocabulary]) -> None:
    ids = small.tokenizer().encode("A quiet lake before breakfast")
    walk = UnitWalk(vocabularies[False], Rules((), (), {}, 0, 40, 1), {}, Echo((), [ids]))
    for token in ids[:3]:
        walk.push(token, token)
    assert bool(walk.banned()[ids[3]])


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        ("The lake is at its best early. Until the", True, "The lake is at its best early."),
        ("Half a day on the water with a li", True, "Half a day on the water."),
        ("Half a day costs {{price}} and the", True, "Half a day costs {{price}}."),
        ("A quiet lake.", False, "A quiet lake."),
    ],
)
def test_trimming(text: str, cut: bool, expected: str) -> None:
    assert trim(text, sentence=True, cut=cut, ended=not cut, required=("price",)) == expected
    assert checks.ends_finished(expected)
