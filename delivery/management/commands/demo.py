"""manage.py demo: the whole road in a terminal, on the demo brand."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, Permission
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.test.utils import override_settings
from django.utils import timezone
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from campaigns import runs
from campaigns.demo import loading
from campaigns.demo.quiet import quiet
from campaigns.models import Campaign, Channel, Run, RunTrigger
from delivery import exports, rendering, sending
from generation import drafting, embedding, engines, review
from generation.models import Finding, Piece, Status
from generation.writer import channels
from generation.writer import types as writer
from personalize.core.errors import DomainError, TransientFailure

REVIEWER = "demo-reviewer"
PERMISSIONS = {
    ("campaigns", "launch_campaign"),
    ("campaigns", "send_campaign"),
    ("generation", "review_piece"),
}
NOTE = "demo: shown on the terminal of the person who ran it, approved by the policy 'clean'"
WANTED = 20  # pieces that a demo must have written to count as one
PATIENCE = 1800  # seconds without a newly written piece
# A piece that ended in one of these is accounted for: it left, or a person can see why it did not.
ACCOUNTED = frozenset({Status.DELIVERED, Status.IN_REVIEW, Status.REJECTED, Status.WITHDRAWN})


class Command(BaseCommand):
    help = (
        "Walk the whole road on the demo shop, without a browser: import, embed, launch, write and check, approve what "
        "is clean, deliver to files. Shows every piece, then a table and the seconds of each stage, and writes "
        "demo.json below OUTPUT_DIR. Mails become files whatever mail backend is set. Exit code 0 only if at least "
        f"{WANTED} pieces were written and none was lost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers", action="store_true", help="leave the writing to running writer workers, and wait"
        )
        parser.add_argument("--brief", action="store_true", help="show the first lines of each piece only")

    def handle(self, *args: Any, **options: Any) -> None:
        os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars, beside ours
        self.console = Console()
        if not self.console.is_terminal:
            self.console.width = 120
        self.seconds: dict[str, float] = {}
        files = override_settings(
            EMAIL_BACKEND="delivery.backends.MaildirBackend", EMAIL_FILE_PATH=str(_output() / "mail")
        )
        with quiet(), files:
            try:
                report = self._walk(workers=options["workers"], brief=options["brief"])
            except (DomainError, TransientFailure) as error:
                raise CommandError(f"The demo stopped: {error}") from error
        path = _output() / "demo.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self.console.print(
            f"\n[bold]{path}[/bold] has these numbers; the mails lie in {_output() / 'mail' / 'new'}."
        )
        if report["pieces_lost"]:
            raise CommandError(f"{report['pieces_lost']} pieces were lost: {report['states']}.")
        if report["pieces_written"] < WANTED:
            raise CommandError(f"Only {report['pieces_written']} pieces were written; {WANTED} were wanted.")

    # -- the road ------------------------------------------------------------------------------------
    def _walk(self, *, workers: bool, brief: bool) -> dict[str, Any]:
        reviewer = _reviewer()
        with self._stage("import") as say, self._bar() as bar:
            loaded = loading.load(by=reviewer, progress=_teller(bar))
            say(f"{loaded.people} people, {loaded.events:,} events, {loaded.products} products are new")
        with self._stage("embed") as say, self._bar() as bar:
            tell = _teller(bar)
            words = embedding.embed_products(progress=partial(tell, "products"))
            words += embedding.embed_profiles(progress=partial(tell, "people"))
            embedding.embed_segments()
            say(f"{words} texts as vectors")
        with self._stage("launch") as say:
            campaign = Campaign.objects.get(slug=loading.launched_slug())
            run = drafting.launch(
                campaign=campaign,
                by=reviewer,
                trigger=RunTrigger.MANUAL,
                scheduled_for=timezone.now(),
                queue=workers,
            )
            total = drafting.progress(run).total
            say(f"{campaign.name}: {total} pieces for {run.audience_size} people and the ads")
            for reason, count in run.excluded.items():
                say(f"left out: {count} ({reason})")
        if not workers:
            with self._stage("load the writer") as say:
                info = engines.get_writer().info
                say(info.name if info.tuned else f"{info.name}, the untuned base model")
        with self._stage("write and check") as say, self._bar() as bar:
            self._write(run, bar, total, workers=workers)
            say(f"{drafting.progress(run).written} of {total} written")
        self._show(run, brief=brief)
        with self._stage("approve") as say:
            say(str(review.approve_clean(run=run, by=reviewer, note=NOTE)))
            say("what has findings stays in review, for a person to read")
        with self._stage("deliver") as say, self._bar() as bar:
            runs.release(run=run, by=reviewer)
            for line in self._deliver(run, reviewer, bar):
                say(line)
        return self._report(run)

    def _write(self, run: Run, bar: Progress, total: int, *, workers: bool) -> None:
        task = bar.add_task("pieces", total=total)
        moved, before = time.monotonic(), -1
        while (now := drafting.progress(run)).left:
            bar.update(task, completed=now.written)
            if now.written != before:
                moved, before = time.monotonic(), now.written
            if time.monotonic() - moved > PATIENCE:
                raise CommandError(
                    f"No piece was written for {PATIENCE} s; {now.left} are left. Is a writer running?"
                )
            claimed = False
            if not workers:
                with suppress(TransientFailure):  # its chunk is tried again after a pause
                    claimed = drafting.write_next(run_id=run.pk).claimed > 0
            if not claimed:
                time.sleep(0.5)
        bar.update(task, completed=drafting.progress(run).written)

    def _deliver(self, run: Run, by: AbstractBaseUser, bar: Progress) -> Iterator[str]:
        mails = Piece.objects.filter(run=run, channel=Channel.EMAIL, status=Status.APPROVED).order_by("pk")
        held: Counter[str] = Counter()
        for piece_id in bar.track(list(mails.values_list("pk", flat=True)), description="mails"):
            try:
                sending.deliver(piece_id=piece_id)
            except sending.NotSent as error:
                held[str(error)] += 1
        sent = Piece.objects.filter(run=run, channel=Channel.EMAIL, status=Status.DELIVERED).count()
        yield f"{sent} mails as files"
        for reason, count in held.items():
            yield f"{count} mails did not leave: {reason}"
        for file in exports.export_run(run=run, by=by):
            yield f"{file.get_channel_display()}: {file.rows} in {exports.location(file)}"

    # -- what is shown -------------------------------------------------------------------------------
    def _show(self, run: Run, *, brief: bool) -> None:
        self.console.rule("[bold]What was written")
        for piece in _pieces(run):
            lines = [Text(_traits(piece), style="italic cyan")]
            fields = list(_filled(piece).items())
            for name, value in fields[:1] if brief else fields:
                texts = value if isinstance(value, list) else [value]
                lines += [Text.assemble((f"{name}: ", "dim"), text) for text in texts]
            lines += [
                Text(f"{finding.severity}: {finding.message}", style=_COLOURS.get(finding.severity, "dim"))
                for finding in _findings(piece)
            ]
            title = f"{piece.get_channel_display()} · piece {piece.pk}"
            self.console.print(Panel(Group(*lines), title=title, title_align="left", border_style="dim"))

    def _report(self, run: Run) -> dict[str, Any]:
        pieces = list(_pieces(run))
        table = Table(title=f"{run.campaign.name}: {len(pieces)} pieces", show_lines=False, expand=True)
        for column, ratio in (
            ("channel", 2),
            ("reader", 5),
            ("first line", 6),
            ("findings", 3),
            ("state", 2),
        ):
            table.add_column(column, ratio=ratio, overflow="ellipsis", no_wrap=column == "state")
        rules: Counter[str] = Counter()
        for piece in pieces:
            found = _findings(piece)
            rules.update(finding.rule for finding in found)
            table.add_row(
                piece.get_channel_display(),
                _traits(piece),
                _first_line(piece),
                ", ".join(sorted({finding.rule for finding in found})) or "none",
                Text(piece.get_status_display(), style=_COLOURS.get(piece.status, "")),
            )
        self.console.print(table)
        times = Table(title="Seconds")
        times.add_column("stage")
        times.add_column("seconds", justify="right")
        for stage, seconds in self.seconds.items():
            times.add_row(stage, f"{seconds:.1f}")
        whole = sum(self.seconds.values())
        times.add_row("[bold]together", f"[bold]{whole:.1f}")
        self.console.print(times)
        states = Counter(piece.status for piece in pieces)
        version = next((piece.model_version for piece in pieces if piece.model_version), None)
        written = sum(piece.written_at is not None for piece in pieces)
        writing = self.seconds["write and check"]
        report: dict[str, Any] = {
            "campaign": run.campaign.slug,
            "readers": run.audience_size,
            "excluded": run.excluded,
            "pieces": len(pieces),
            "pieces_written": written,
            "pieces_delivered": states[Status.DELIVERED],
            "pieces_in_review": states[Status.IN_REVIEW],
            "pieces_lost": sum(count for status, count in states.items() if status not in ACCOUNTED),
            "states": dict(states),
            "findings": dict(rules),
            "writer": {"name": version.name, "tuned": version.is_tuned} if version else None,
            "seconds": {stage: round(seconds, 2) for stage, seconds in self.seconds.items()},
            "seconds_together": round(whole, 2),
            "pieces_per_second": round(written / writing, 3) if writing else None,
        }
        self.console.print(
            f"{written} written, {report['pieces_delivered']} delivered, "
            f"{report['pieces_in_review']} wait for a person, {report['pieces_lost']} lost."
        )
        return report

    # -- stages --------------------------------------------------------------------------------------
    @contextmanager
    def _stage(self, name: str) -> Iterator[Any]:
        """Times what happens inside, and prints what it said under the stage's name."""
        said: list[str] = []
        self.console.print(f"[bold]{name}[/bold]")
        started = time.monotonic()
        yield said.append
        self.seconds[name] = time.monotonic() - started
        for line in said:
            self.console.print(f"    {line}", highlight=False, markup=False)
        self.console.print(f"    [green]done[/green] [dim]in {self.seconds[name]:.1f} s[/dim]")

    def _bar(self) -> Progress:
        columns = (
            TextColumn("    {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)


_COLOURS = {
    "blocking": "red",
    "warning": "yellow",
    Status.DELIVERED: "green",
    Status.IN_REVIEW: "yellow",
    Status.FAILED: "red",
    Status.UNKNOWN: "red",
}


def _teller(bar: Progress) -> loading.Progress:
    """Shows (what, done, of how many) on a line of the bar for each `what`."""
    tasks: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    return tell


def _output() -> Path:
    return Path(settings.OUTPUT_DIR)


def _reviewer() -> AbstractBaseUser:
    """The user in whose name the demo decides. It cannot log in."""
    users = get_user_model().objects
    user = users.filter(username=REVIEWER).first()
    if user is None:
        user = users.create_user(username=REVIEWER)  # no password: an unusable one
        wanted = Q()
        for app, codename in PERMISSIONS:
            wanted |= Q(content_type__app_label=app, codename=codename)
        user.user_permissions.set(Permission.objects.filter(wanted))
        user = users.get(pk=user.pk)  # without the permissions cached before
    return user


def _pieces(run: Run) -> Any:
    return (
        Piece.objects.filter(run=run)
        .select_related("run__campaign__brand", "profile", "model_version")
        .prefetch_related("findings")
        .order_by("channel", "pk")
    )


def _findings(piece: Piece) -> list[Finding]:
    """Those of the present text."""
    return [finding for finding in piece.findings.all() if finding.revision == piece.revision]


def _filled(piece: Piece) -> dict[str, Any]:
    """The text as it would leave, in the order of its channel; with the names of values where it cannot leave."""
    try:
        filled: dict[str, Any] = dict(rendering.fill(piece))
    except DomainError:
        filled = dict(piece.fields)
    order = [spec.name for spec in channels.SPECS[writer.Channel(piece.channel)].fields]
    return {name: filled[name] for name in order if name in filled}


def _first_line(piece: Piece) -> str:
    for value in _filled(piece).values():
        return value[0] if isinstance(value, list) else str(value)
    return ""


def _traits(piece: Piece) -> str:
    known = [piece.reader.get("lifecycle", ""), *piece.reader.get("traits", ())]
    return "; ".join(filter(None, known)) or "not written yet"
