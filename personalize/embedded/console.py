"""What a person sees: one line per stage with its time, and sentences when something is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text


class Stages:
    """Prints `✓ title  detail  1.2 s` per stage; on a terminal a spinner turns meanwhile."""

    def __init__(self) -> None:
        self.console = Console(stderr=False, highlight=False, soft_wrap=True)
        self.failures = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str, *, talks: bool = False) -> Iterator[Detail]:
        """`talks`: the work prints by itself, so the title comes first and nothing spins."""
        detail = Detail()
        began = time.monotonic()
        if talks or not self.console.is_terminal:
            if talks:
                self.console.print(Text(f"… {title}"))
            yield detail
        else:
            with self.console.status(Text(title)):
                yield detail
        line = Text("✓ ", style="green").append(title, style="default")
        if detail.text:
            line.append(f"  {detail.text}", style="dim")
        self.console.print(line.append(f"  {time.monotonic() - began:.1f} s", style="dim"))

    def say(self, sentence: str) -> None:
        self.console.print(Text(sentence))

    def warn(self, sentence: str) -> None:
        self.failures.print(Text(sentence, style="yellow"))

    def fail(self, sentence: str) -> None:
        self.failures.print(Text(f"personalize: {sentence}", style="red"))


class Detail:
    text = ""
