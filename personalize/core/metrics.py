"""What /metrics shows, in Prometheus' text format, right with any number of web processes.

Two sources. Requests are counted in files that all processes of one web server share (prometheus_client's
multi-process mode, in a folder named for the parent process). Everything about the work itself is read from the
database and the broker at scrape time, at most every few seconds: it is true whoever did the work.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from django.conf import settings

_HOST = socket.gethostname()
_FOLDER = Path(settings.STATE_DIR) / "metrics"

# prometheus_client looks at this variable when it is imported, so it is set before. Containers that share the
# state folder differ in host name, servers on one host in the parent process.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(_FOLDER / f"{_HOST}-{os.getppid()}"))

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest  # noqa: E402
from prometheus_client.core import GaugeMetricFamily, Metric  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_KEEP_SECONDS = 5.0

Collector = Callable[[], Iterable[Metric]]

_collectors: dict[str, Collector] = {}
_kept: dict[str, tuple[float, list[Metric]]] = {}

_requests = Counter(
    "personalize_http_requests",
    "Requests answered, by route template.",
    ["method", "route", "status"],
    registry=None,
)
_seconds = Histogram(
    "personalize_http_request_seconds",
    "Time to answer, by route template.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=None,
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ready = False


def register(name: str, collector: Collector) -> None:
    """Add a source of gauges; it runs at scrape time, its answer is kept for a few seconds in each process."""
    _collectors[name] = collector


def note_request(*, method: str, route: str, status: int, seconds: float) -> None:
    _prepare()
    method = method if method in _METHODS else "other"  # clients must not be able to invent labels
    _requests.labels(method, route, str(status)).inc()
    _seconds.labels(method, route).observe(seconds)


def render() -> bytes:
    """The whole page. A source that fails is named by personalize_metrics_source_up 0 and costs nothing else."""
    _prepare()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Gauges())
    return generate_latest(registry)


class _Gauges:
    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "personalize_metrics_source_up", "Whether this source could be read.", labels=["source"]
        )
        for name, collector in _collectors.items():
            try:
                yield from _recent(name, collector)
            except Exception:  # any source may fail in its own way; the others are wanted all the more then
                up.add_metric([name], 0)
            else:
                up.add_metric([name], 1)
        yield up


def _recent(name: str, collector: Collector) -> list[Metric]:
    at, found = _kept.get(name, (0.0, []))
    if time.monotonic() - at > _KEEP_SECONDS or not at:
        found = list(collector())
        _kept[name] = (time.monotonic(), found)
    return found


def _prepare() -> None:
    """Make the folder of this web server and remove those of servers on this host that are gone."""
    global _ready
    if _ready:
        return
    own = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    own.mkdir(parents=True, exist_ok=True)
    if own.parent == _FOLDER:
        for other in _FOLDER.glob(f"{_HOST}-*"):
            parent = other.name.removeprefix(f"{_HOST}-")
            if other != own and parent.isdigit() and not Path(f"/proc/{parent}").exists():
                shutil.rmtree(other, ignore_errors=True)
    _ready = True


def processes() -> Iterable[Metric]:
    """Memory, processor time and open files of each web process that has answered something."""
    labels = ["pid"]
    memory = GaugeMetricFamily(
        "personalize_web_resident_memory_bytes", "Resident memory of a web process.", labels=labels
    )
    seconds = GaugeMetricFamily(
        "personalize_web_cpu_seconds", "Processor time a web process has used.", labels=labels
    )
    files = GaugeMetricFamily("personalize_web_open_fds", "Open files of a web process.", labels=labels)
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    for pid in sorted({path.stem.rpartition("_")[2] for path in folder.glob("counter_*.db")}, key=int):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            open_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            continue  # it has ended; its counters stay
        memory.add_metric([pid], int(stat[21]) * page)
        seconds.add_metric([pid], (int(stat[11]) + int(stat[12])) / ticks)
        files.add_metric([pid], open_files)
    return [memory, seconds, files]


def queues() -> Iterable[Metric]:
    """Messages waiting in each queue of the broker; the truth about what is to be done stays in Postgres."""
    from personalize.core import health

    waiting = GaugeMetricFamily(
        "personalize_queue_messages", "Messages waiting in the broker.", labels=["queue"]
    )
    for name, count in health.queue_lengths().items():
        waiting.add_metric([name], count)
    return [waiting]


register("processes", processes)
register("broker", queues)
