"""Training: the same loss as a plain forward pass, the same gradient, resumable, several processes like one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253  -- tests of the model code

from generation.writer import checkpoints, training, training_data, training_run
from generation.writer.corpus import read_plain
from tests.generation.writer import small

CORPUS = """@brand {name} | kayak hire on a quiet lake | friendly and plain
@values price=$35; open_time=7am
f1 half-day hire costs {{{{price}}}}
f2 early hire starts at {{{{open_time}}}}
f3 free parking at the boathouse
@reader new | bought paddling gloves | likes quiet mornings
S [r2] A quiet lake before breakfast
P [f2] Early hire starts at {{{{open_time}}}}.
G Hi {{{{first_name}}}},
1 [r1] You have the paddling gloves, so all that is missing is the lake.
1 [f1] Half a day costs {{{{price}}}}.
@ad google | searching for kayak hire
H [f1] Kayak Hire From {{{{price}}}}
D [f3] Park at the boathouse for free.
"""
CPU = torch.device("cpu")
# peft asks transformers for something by its older name
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
SETTINGS = training.TrainingSettings(
    rank=2, alpha=4, epochs=2.0, batch_pieces=2, learning_rate=5e-3, decay=0.0
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "plain.txt"
    path.write_text("\n".join(CORPUS.format(name=f"Brand {n}") for n in range(6)))
    return path


@pytest.fixture
def rows(corpus: Path) -> list[training_data.Row]:
    return training_data.rows(read_plain([corpus]), small.tokenizer())


def plain_loss(model: Any, row: training_data.Row) -> torch.Tensor:
    total = torch.zeros(())
    for tokens, labels in row.pieces:
        logits = model(torch.tensor([row.prefix + tokens])).logits[0, :-1].float()
        target = torch.tensor([training_data.IGNORED] * len(row.prefix) + labels)[1:]
        total = total + torch.nn.functional.cross_entropy(logits, target, reduction="sum", ignore_index=-100)
    return total


def test_loss_and_gradient_are_those_of_plain_forward_passes(rows: list[training_data.Row]) -> None:
    model = small.llama()
    loss, count = training.loss_of(model, rows[0], batch_pieces=2, device=CPU, scale=0.5)
    mine = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    expected = plain_loss(model, rows[0])
    (expected * 0.5).backward()
    theirs = [p.grad for p in model.parameters() if p.grad is not None]
    assert loss == pytest.approx(float(expected.detach()), rel=1e-4)
    assert count == sum(label != training_data.IGNORED for _, labels in rows[0].pieces for label in labels)
    assert len(mine) == len(theirs) > 10
    assert all(torch.allclose(a, b, atol=1e-3) for a, b in zip(mine, theirs, strict=True))


def test_only_the_copy_is_learned(rows: list[training_data.Row]) -> None:
    tokenizer = small.tokenizer()
    learned = ["".join(tokenizer.decode([i for i in labels if i != -100])) for _, labels in rows[0].pieces]
    assert "A quiet lake before breakfast\nEarly hire starts at {{open_time}}.\n" in learned[0]
    assert "Hi {{first_name}}" not in learned[0] and "[subject" not in learned[0]


def test_pieces_of_like_length_run_together() -> None:
    pieces = [([0] * length, [0] * length) for length in (100, 90, 80, 40, 39, 10)]
    assert [[len(t) for t, _ in b] for b in training_data.batches(pieces, 2)] == [
        [100, 90],
        [80],
        [40, 39],
        [10],
    ]


def test_training_lowers_the_loss_and_resumes_to_the_same_weights(
    rows: list[training_data.Row], tmp_path: Path
) -> None:
    seen: list[training.Progress] = []
    whole, history = training.train(
        small.llama(), rows, settings=SETTINGS, folder=tmp_path / "a", device=CPU, validation=rows[:1],
        on_progress=seen.append,
    )  # fmt: skip
    assert [p.step for p in seen] == list(range(1, 13))
    assert history[-1][1] < history[0][1]

    class Killed(Exception):
        pass

    def kill(at: training.Progress) -> None:
        if at.step == 8:
            raise Killed

    with pytest.raises(Killed):
        training.train(
            small.llama(), rows, settings=SETTINGS, folder=tmp_path / "b", device=CPU, save_every=3, on_progress=kill,
            validation=rows[:1],
        )  # fmt: skip
    again, later = training.train(
        small.llama(), rows, settings=SETTINGS, folder=tmp_path / "b", device=CPU, validation=rows[:1]
    )
    assert later == history
    theirs = dict(whole.named_parameters())
    assert all(torch.equal(p, theirs[name]) for name, p in again.named_parameters())


def test_another_job_in_the_folder_is_refused(rows: list[training_data.Row], tmp_path: Path) -> None:
    training.train(small.llama(), rows[:1], settings=SETTINGS, folder=tmp_path, device=CPU)
    with pytest.raises(ValueError, match="other settings or data"):
        training.train(small.llama(), rows[:2], settings=SETTINGS, folder=tmp_path, device=CPU)


def test_a_later_run_reads_first_what_the_earlier_has_not(
    rows: list[training_data.Row], tmp_path: Path
) -> None:
    half = training.TrainingSettings(rank=2, alpha=4, epochs=0.5)
    training.train(small.llama(), rows, settings=half, folder=tmp_path / "a", device=CPU)
    state = torch.load(tmp_path / "a" / "state.pt", weights_only=True)
    read = set(state["read"])
    assert len(read) == 3
    order = training._order(rows, 6, 1, read)
    assert {training_data.row_hash(rows[i]) for i in order[:3]}.isdisjoint(read)
    after, _ = training.train(
        small.llama(),
        rows,
        settings=half,
        folder=tmp_path / "b",
        device=CPU,
        start=tmp_path / "a" / "state.pt",
    )
    assert len(torch.load(tmp_path / "b" / "state.pt", weights_only=True)["read"]) == 6
    assert any(p.abs().sum() > 0 for name, p in after.named_parameters() if "lora_B" in name)


def saved_base(folder: Path) -> Path:
    small.llama().save_pretrained(folder)
    small.tokenizer().save_pretrained(folder)
    return folder


def test_a_run_of_two_processes_writes_an_adapter_that_loads(corpus: Path, tmp_path: Path) -> None:
    base = saved_base(tmp_path / "base")
    job = training_run.Job(
        folder=tmp_path / "run",
        cache=tmp_path,
        model=str(base),
        files=(corpus,),
        processes=2,
        settings=SETTINGS,
    )
    script = (
        "import json, sys\nfrom generation.writer import training_run\n"
        "seen = []\nprint(training_run.run(training_run._job(json.load(sys.stdin)), on_progress=seen.append))\n"
        "print([p.step for p in seen])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(training_run._plain(job)), capture_output=True, text=True,
        timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "[1, 2, 3, 4, 5, 6]"
    manifest = checkpoints.read_manifest(tmp_path / "run" / "adapter")
    assert manifest["processes"] == 2 and manifest["prompt_version"] and manifest["data"]
    loaded = checkpoints.load(str(base), cache=tmp_path, adapter=tmp_path / "run" / "adapter")
    bare = checkpoints.load(str(base), cache=tmp_path)
    assert loaded.tuned and not bare.tuned and loaded.model_hash != bare.model_hash
    ids = torch.tensor([small.tokenizer().encode("Half a day costs")])
    with torch.no_grad():
        assert not torch.allclose(loaded.model.lm_head.weight @ torch.ones(48), torch.zeros(1))
        assert not torch.allclose(
            loaded.model.model.embed_tokens(ids).sum()
            + loaded.model.model.layers[0].self_attn.q_proj.weight.sum(),
            bare.model.model.embed_tokens(ids).sum()
            + bare.model.model.layers[0].self_attn.q_proj.weight.sum(),
        )


def test_an_adapter_of_another_base_or_prompt_is_refused(corpus: Path, tmp_path: Path) -> None:
    base = saved_base(tmp_path / "base")
    job = training_run.Job(
        folder=tmp_path / "run", cache=tmp_path, model=str(base), files=(corpus,),
        settings=training.TrainingSettings(rank=2, alpha=4, epochs=0.2),
    )  # fmt: skip
    adapter = training_run.run(job)
    small.llama(seed=5).save_pretrained(tmp_path / "other")
    small.tokenizer().save_pretrained(tmp_path / "other")
    with pytest.raises(checkpoints.CheckpointProblem, match="other base weights"):
        checkpoints.load(str(tmp_path / "other"), cache=tmp_path, adapter=adapter)
    path = adapter / checkpoints.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prompt_version": "plan-0"}))
    with pytest.raises(checkpoints.CheckpointProblem, match="train it again"):
        checkpoints.load(str(base), cache=tmp_path, adapter=adapter)
