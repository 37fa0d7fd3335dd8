"""Talking to a server that speaks the OpenAI protocol: one question in, some answers out, nothing believed.

`chat/completions` with a system and a user message is what vLLM, llama.cpp, Ollama, LM Studio and the hosted services
have in common. Parameters that a server refuses are left out from then on. Neither questions nor answers are ever
logged or put into an error: a server's own words may quote them.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

TRIES = 4  # of one question, when the server is away, busy or broken
BACKOFF = 0.5  # seconds before the second try; doubled before each further one
LONGEST_PAUSE = 30.0  # whatever a server asks for
LARGEST_ANSWER = 2 * 1024 * 1024  # bytes
BUSY = frozenset({408, 409, 425, 429})
OPTIONAL = ("logprobs", "n", "seed", "stop", "top_p", "temperature")  # what a server may refuse


class ServerProblem(RuntimeError):
    """The server gave no answer that can be used. The message names its address and what to do."""


class Unavailable(ServerProblem):
    """It may answer later, or once the settings are put right: nothing is wrong with what was asked."""


class Refused(ServerProblem):
    """It refuses this question."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of the server. `logprobs` are those of its tokens, natural logarithm; empty where it tells none."""

    text: str
    cut: bool
    logprobs: tuple[float, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Question:
    system: str
    user: str
    n: int
    seed: int
    temperature: float
    top_p: float
    max_tokens: int
    stop: tuple[str, ...] = ()


def endpoint(url: str) -> str:
    """The address questions go to, for a base such as http://host:8000/v1. Raises ValueError with the reason."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be an address like http://host:8000/v1")
    if parts.username or parts.password:
        raise ValueError("it holds a user or password; the key has a setting of its own")
    if parts.query or parts.fragment:
        raise ValueError("it must end with the path, such as /v1")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/chat/completions", "", ""))


class ChatServer:
    """One server and one of its models. Safe for many threads."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str = "",
        timeout: float = 60.0,
        parallel: int = 8,
        tries: int = TRIES,
        backoff: float = BACKOFF,
        unavailable: type[Unavailable] = Unavailable,
    ) -> None:
        """`timeout` is for one whole answer, in seconds. `unavailable` is raised for trouble that may pass."""
        self.url, self.model = endpoint(url), model
        self.timeout, self.tries, self.backoff = timeout, tries, backoff
        self.unavailable = unavailable
        self.requests = 0  # sent so far, repeated ones included
        self._lock = threading.Lock()
        self._without: frozenset[str] = frozenset()
        self._proven = False  # it has answered, so what it refuses now is the question, not its form
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if key.strip():
            headers["Authorization"] = f"Bearer {key.strip()}"
        self._client = httpx2.Client(
            headers=headers,
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0)),
            limits=httpx2.Limits(max_connections=parallel, max_keepalive_connections=parallel),
            follow_redirects=False,  # the key is for this server alone
        )

    def close(self) -> None:
        self._client.close()

    def ask(self, question: Question, stop: threading.Event | None = None) -> list[Answer]:
        """The server's answers, at most `question.n`, perhaps fewer or empty ones. `stop` ends the waiting."""
        while True:
            without = self._without
            status, body = self._persist(_body(self.model, question, without), stop)
            if status not in (400, 422):
                break
            self._refused(status, body, without)
        if status != 200:
            raise self._problem(status)
        answers = _answers(body)
        if answers is None:
            raise self.unavailable(
                f"{self.url} answered something that is no JSON of the OpenAI protocol. "
                "Check that WRITER_URL names the API (it often ends with /v1) and not a web page."
            )
        self._proven = True
        return answers[: question.n]

    def _refused(self, status: int, body: bytes, without: frozenset[str]) -> None:
        """Remember what to leave out of the next question, or raise if there is nothing left to leave out."""
        with self._lock:
            if self._without != without:
                return  # another thread was first
            more = frozenset() if self._proven else _unwanted(body, without)
            if not more:
                raise Refused(
                    f"{self.url} refuses the request with {status}. Its own log says why: often the model "
                    f"{self.model!r} is not one of its own, or the context it was started with is too short."
                )
            self._without = without | more

    def _persist(self, body: bytes, stop: threading.Event | None) -> tuple[int, bytes]:
        """Send until there is an answer other than "busy" or "broken", so many times and no more."""
        trouble, pause = "", 0.0
        for attempt in range(self.tries):
            if attempt and _wait(min(pause, LONGEST_PAUSE), stop):
                break
            # a little chance in it, so that parallel questions do not return all at once
            pause = self.backoff * 2**attempt * (1 + random.random() / 2)
            try:
                status, got, asked = self._send(body, stop)
            except httpx2.TimeoutException:
                trouble = (
                    f"gave no answer within {self.timeout:g} seconds. "
                    "Raise WRITER_TIMEOUT, or lower WRITER_PARALLEL"
                )
                continue
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                trouble = (
                    f"cannot be reached ({type(error).__name__}). Start the server, or correct WRITER_URL"
                )
                continue
            if status not in BUSY and status < 500:
                return status, got
            trouble = f"answered {status}. Look into the server's log, or lower WRITER_PARALLEL if it is busy"
            pause = max(pause, asked)
        if stop is not None and stop.is_set():
            raise self.unavailable(f"Writing with {self.url} was given up.")
        raise self.unavailable(f"{self.url} was asked {self.tries} times and {trouble}.")

    def _send(self, body: bytes, stop: threading.Event | None) -> tuple[int, bytes, float]:
        """Status, body, and the seconds that the server asks to wait."""
        deadline = time.monotonic() + self.timeout
        with self._lock:
            self.requests += 1
        with self._client.stream(
            "POST", self.url, content=body, headers={"Content-Type": "application/json"}
        ) as response:
            got = bytearray()
            for chunk in response.iter_raw():
                got += chunk
                if len(got) > LARGEST_ANSWER:
                    break  # no JSON any more
                if time.monotonic() > deadline or (stop is not None and stop.is_set()):
                    raise httpx2.ReadTimeout("the whole answer took too long")
            after = response.headers.get("retry-after", "")
            wait = float(after) if re.fullmatch(r"\d{1,6}", after) else 0.0
            return response.status_code, bytes(got), wait

    def _problem(self, status: int) -> ServerProblem:
        if status in (401, 403):
            return self.unavailable(
                f"{self.url} answered {status}: it wants another key. Set WRITER_API_KEY."
            )
        if status == 404:
            return self.unavailable(
                f"{self.url} answered 404: it has no model {self.model!r} (set WRITER_MODEL; {self._offer()}), "
                "or WRITER_URL lacks its path, often /v1."
            )
        if 300 <= status < 400:
            return self.unavailable(
                f"{self.url} answered {status}, a redirection, which is not followed because of the key. "
                "Write the address it leads to into WRITER_URL."
            )
        return self.unavailable(f"{self.url} answered {status}. Check WRITER_URL and the server's log.")

    def _offer(self) -> str:
        """The names of the server's models, for the message that says it lacks ours."""
        try:
            response = self._client.get(self.url.removesuffix("/chat/completions") + "/models")
            listed = json.loads(response.content[:LARGEST_ANSWER])["data"]
            names = [str(model["id"]) for model in listed[:5]]
        except (httpx2.HTTPError, ValueError, LookupError, TypeError, RecursionError):
            return "it lists none"
        plain = [re.sub(r"[^\w./:@+-]", "", name)[:80] for name in names]
        return "it offers " + ", ".join(filter(None, plain)) if any(plain) else "it lists none"


def _wait(seconds: float, stop: threading.Event | None) -> bool:
    """Whether the waiting was ended."""
    if stop is not None:
        return stop.wait(seconds)
    time.sleep(seconds)
    return False


def _body(model: str, question: Question, without: frozenset[str]) -> bytes:
    messages = [
        {"role": "system", "content": question.system},
        {"role": "user", "content": question.user},
    ]
    if "system" in without:
        messages = [{"role": "user", "content": f"{question.system}\n{question.user}"}]
    content: dict[str, Any] = {"model": model, "messages": messages, "stream": False}
    content["max_completion_tokens" if "max_tokens" in without else "max_tokens"] = question.max_tokens
    optional: Mapping[str, Any] = {
        "logprobs": True,
        "n": question.n if question.n > 1 else None,
        "seed": question.seed,
        "stop": list(question.stop) or None,
        "top_p": question.top_p,
        "temperature": question.temperature,
    }
    content |= {k: v for k, v in optional.items() if v is not None and k not in without}
    return json.dumps(content, ensure_ascii=False).encode("utf-8", errors="replace")


def _unwanted(body: bytes, without: frozenset[str]) -> frozenset[str]:
    """What a refusal is about, by the parameters it names; if it names none, all that not every server knows."""
    said = body[:4_000].decode(errors="replace")
    named = {name for name in OPTIONAL if re.search(rf"['\"`]{name}['\"`]|\b{name}\b(?!')", said)}
    if "max_completion_tokens" in said:
        named.add("max_tokens")
    if re.search(r"system\W+(?:role|message|prompt)|roles? must alternate", said, re.IGNORECASE):
        named.add("system")
    for guess in (named, {"logprobs", "n", "seed", "stop"}, {"system"}):
        if guess - without:
            return frozenset(guess - without)
    return frozenset()


def _answers(body: bytes) -> list[Answer] | None:
    """The choices of a response; None if it has not the protocol's form."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    choices = content.get("choices") if isinstance(content, dict) else None
    if not isinstance(choices, list):
        return None
    usage = content.get("usage")
    spent = usage.get("completion_tokens") if isinstance(usage, dict) else None
    each = spent // max(len(choices), 1) if isinstance(spent, int) and 0 <= spent < 1 << 20 else 0
    return [_answer(choice, each) for choice in choices if isinstance(choice, dict)]


def _answer(choice: Mapping[str, Any], tokens: int) -> Answer:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    text = text if isinstance(text, str) else ""
    logprobs = choice.get("logprobs")
    found = _logprobs(logprobs.get("content")) if isinstance(logprobs, dict) else ()
    return Answer(
        text=text,
        cut=choice.get("finish_reason") == "length",
        logprobs=found,
        tokens=tokens or len(found) or len(text.split()),
    )


def _logprobs(entries: object) -> tuple[float, ...]:
    if not isinstance(entries, list):
        return ()
    found = [entry.get("logprob") for entry in entries if isinstance(entry, dict)]
    return tuple(float(x) for x in found if isinstance(x, int | float) and -1e3 <= x <= 0)
