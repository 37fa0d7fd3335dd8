"""A real HTTP server that speaks the chat protocol, well or badly: what the remote writer is tried on."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-a-secret-key"
MODEL = "maker/model-8b"
Say = Callable[[dict[str, Any], random.Random], str]


def say_well(question: dict[str, Any], rng: random.Random) -> str:
    """What the last note says, in so many words: what a good model does."""
    user = question["messages"][-1]["content"]
    kind, said = re.findall(r"^\[([^:\]]*): ?(.*)\]$", user, re.MULTILINE)[-1]
    wishes = user.rpartition("\n(")[2]
    may = set(re.findall(r"\{\{\w+\}\}", wishes))
    must = re.findall(r"\{\{\w+\}\}", wishes.partition(" in it")[0]) if wishes.startswith("Write") else []
    said = re.sub(r" \([^()]*\)", "", said).replace("the reader", "you")
    said = re.sub(r"\{\{\w+\}\}", lambda m: m.group(0) if m.group(0) in may else "that", said)
    said = re.sub(r"\s+", " ", re.sub(r"[^\w\s{},'’-]|\d", "", said)).strip()
    words = [
        w for w in f"{rng.choice(('Now', 'Here', 'So', 'Yes'))} {said}".split() if not re.search(r"\{\{", w)
    ]
    room = re.search(r"At most (\d+) characters", wishes)
    while room and len(" ".join(words)) > int(room.group(1)) - 1 and len(words) > 2:
        words.pop()
    text = " ".join([*words, *must])
    return text if kind in ("headline", "subject", "title") else text + "."


@dataclass
class ModelServer:
    """`say` gives the text of a choice; `misbehave` may answer a request itself: (status, body, headers) or None."""

    say: Say = say_well
    misbehave: Callable[[int, dict[str, Any]], tuple[int, bytes, dict[str, str]] | None] = lambda n, q: None
    one_at_a_time: bool = False
    finish: str = "stop"
    pause: float = 0.0
    url: str = ""
    questions: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, question: dict[str, Any], headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        with self._lock:
            self.questions.append(question)
            self.headers.append(headers)
            number = len(self.questions)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            time.sleep(self.pause)
            return self.misbehave(number, question) or (200, self.completion(question), {})
        finally:
            with self._lock:
                self._now -= 1

    def completion(self, question: dict[str, Any]) -> bytes:
        count = 1 if self.one_at_a_time else question.get("n", 1)
        choices = [
            {
                "index": i,
                "finish_reason": self.finish,
                "message": {
                    "role": "assistant",
                    "content": self.say(question, random.Random(f"{question.get('seed')}/{i}")),
                },
                "logprobs": {"content": [{"token": "x", "logprob": -0.5}, {"token": "y", "logprob": -1.5}]},
            }
            for i in range(count)
        ]
        return json.dumps({"choices": choices, "usage": {"completion_tokens": 9 * count}}).encode()


@contextmanager
def running(server: ModelServer) -> Iterator[ModelServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/chat/completions", self.path
            self.reply(*server.answer(json.loads(content), dict(self.headers)))

        def do_GET(self) -> None:
            self.reply(200, json.dumps({"data": [{"id": MODEL}, {"id": "<b>other\n"}]}).encode(), {})

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # the client has gone

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass  # a client that hangs up, as one does whose time is over

    http = Server(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
