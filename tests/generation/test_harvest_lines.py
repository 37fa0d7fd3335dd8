"""The command that lets the writer grow its own training text."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from generation.writer.corpus import read_plain, split_brands
from tests.fakes import FakeWriter


def test_the_lines_come_from_brands_that_may_be_learned_from(
    writer: FakeWriter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lines.txt"
    call_command("harvest_lines", out, brands=2, share=1.0)
    assert "lines kept" in capsys.readouterr().out
    held_out = {p.brief.brand.name for p in split_brands(read_plain())[1]}
    assert not held_out & {p.brief.brand.name for p in read_plain([out])}


@pytest.mark.parametrize("options", [{"share": 0.0}, {"share": 1.5}, {"brands": 0}])
def test_senseless_options_are_refused(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(CommandError, match="--share"):
        call_command("harvest_lines", tmp_path / "lines.txt", **options)


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "lines.txt"
    out.write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        call_command("harvest_lines", out)
    assert out.read_text() == "mine"
