"""Handing one mail to Django's mail backend, and reading what its answer means.

What matters is whether the other side may have taken the mail. Where that can't be known the verdict is UNKNOWN,
and nobody sends it again but a person.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any

from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailError,
    AnymailRecipientsRefused,
)
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from delivery.backends import MaildirBackend, SmtpBackend
from personalize.core.errors import TransientFailure

_DJANGO_SMTP = "django.core.mail.backends.smtp.EmailBackend"


class Kind(StrEnum):
    SENT = "sent"
    REFUSED = "refused"  # for good
    LATER = "later"  # not taken, and may be taken later
    UNKNOWN = "unknown"  # may have been taken


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mail. `response` holds no address; `ours`: the fault would meet every other mail too."""

    kind: Kind
    response: str = ""
    bad_address: bool = False
    ours: bool = False


class CannotConnect(TransientFailure):
    """The mail server cannot be reached or does not let us in. Nothing was handed over."""


class Mailer:
    """One connection for a batch of mails, opened again when it breaks. A context manager."""

    def __init__(self) -> None:
        self._backend: BaseEmailBackend | None = None

    def __enter__(self) -> Mailer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def open(self) -> None:
        """Raises CannotConnect. Called again on an open connection it does nothing."""
        if self._backend is None:
            self._backend = _make_backend()
        try:
            self._backend.open()
        except (OSError, AnymailError) as error:  # smtplib's exceptions are OSErrors
            self._close()
            raise CannotConnect(_scrub(_words(error))) from error

    def send(self, message: EmailMultiAlternatives) -> Verdict:
        """Hand over one mail. Never raises for what the other side says or does."""
        verdict = self._try(message)
        if verdict.kind is Kind.LATER and not verdict.ours and self._backend is None:
            # The connection had been closed on us before this mail was offered: servers do so after a
            # number of mails or an idle minute. Nothing was taken, so one more try is safe.
            verdict = self._try(message)
        return verdict

    def _try(self, message: EmailMultiAlternatives) -> Verdict:
        try:
            self.open()
        except CannotConnect as error:
            return Verdict(Kind.LATER, str(error), ours=True)
        backend = self._backend
        assert backend is not None
        message.connection = backend
        try:
            sent = backend.send_messages([message])
        except Exception as error:  # backends raise what they like; the doubtful is UNKNOWN, never lost
            verdict = judge(error, backend)
            if _is_broken(error):
                self._close()
            return verdict
        if not sent:
            return Verdict(Kind.UNKNOWN, "the mail backend did not say that it took the mail")
        return Verdict(Kind.SENT, _provider_id(message)[:300])

    def _close(self) -> None:
        backend, self._backend = self._backend, None
        if backend is None:
            return
        # What was handed over stays so, whatever the farewell brings.
        with suppress(Exception):
            backend.close()
        if isinstance(backend, SmtpBackend):
            backend.drop()


def judge(error: Exception, backend: BaseEmailBackend) -> Verdict:
    """What a backend's exception says about the mail that was being sent."""
    words = _scrub(_words(error))
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, _ = next(iter(error.recipients.values()))
            if code >= 500:
                return Verdict(Kind.REFUSED, words, bad_address=is_bad_address(words))
            return Verdict(Kind.LATER, words)
        case smtplib.SMTPSenderRefused():
            if error.smtp_code == 552:  # this mail is too large, the next may not be
                return Verdict(Kind.REFUSED, words)
            return Verdict(Kind.LATER, words, ours=error.smtp_code >= 500)
        case smtplib.SMTPDataError():  # the server answered, and did not take it
            return Verdict(Kind.REFUSED if error.smtp_code >= 500 else Kind.LATER, words)
        case smtplib.SMTPNotSupportedError() | smtplib.SMTPHeloError() | smtplib.SMTPAuthenticationError():
            return Verdict(Kind.LATER, words, ours=True)
        case AnymailRecipientsRefused():
            return Verdict(Kind.REFUSED, words, bad_address=True)
        case AnymailConfigurationError():
            return Verdict(Kind.LATER, words, ours=True)
        case AnymailAPIError():
            return _judge_answer(error, words)
        case AnymailError():  # the mail could not even be put into the provider's words
            return Verdict(Kind.REFUSED, words)
        case OSError() if isinstance(backend, SmtpBackend):
            return Verdict(Kind.UNKNOWN if backend.body_begun else Kind.LATER, words)
        case OSError() if isinstance(backend, MaildirBackend):
            return Verdict(Kind.LATER, words, ours=True)  # the file appears whole or not at all
        case ValueError() | UnicodeError() if isinstance(backend, SmtpBackend | MaildirBackend):
            return Verdict(
                Kind.REFUSED, words
            )  # headers or an address that cannot be written: before any sending
    return Verdict(Kind.UNKNOWN, words)


def is_bad_address(answer: str) -> bool:
    """Whether a 5xx answer to RCPT says that the mailbox does not exist (RFC 3463), not that we are unwanted.

    In doubt it does not: a blocked sender must not cost the marketer every address of a list.
    """
    if match := _ENHANCED.search(answer):
        return match.group(0) in _NO_SUCH_MAILBOX
    return _NO_SUCH_WORDS.search(answer) is not None


_ENHANCED = re.compile(r"\b5\.\d{1,3}\.\d{1,3}\b")
_NO_SUCH_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
_NO_SUCH_WORDS = re.compile(
    r"no such user|(?:user|recipient|mailbox|account) (?:unknown|not found)|unknown user|"
    r"(?:does not|doesn't) exist",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"<?[^\s<>@:;,]+@[^\s<>@:;,]+>?")


def _judge_answer(error: Any, words: str) -> Verdict:
    """A provider's HTTP answer. A refusal was read; a 5xx or a cut line leaves it open."""
    status = getattr(error, "status_code", None)
    if status is None:
        never = any(type(cause).__name__ in _NEVER_CONNECTED for cause in _causes(error))
        return Verdict(Kind.LATER if never else Kind.UNKNOWN, words, ours=never)
    if status in (401, 402, 403):
        return Verdict(Kind.LATER, words, ours=True)
    if status in (429, 503):
        return Verdict(Kind.LATER, words, ours=status == 429)
    if 400 <= status < 500 and status != 408:
        return Verdict(Kind.REFUSED, words)
    return Verdict(Kind.UNKNOWN, words)


_NEVER_CONNECTED = frozenset({"ConnectTimeout", "ConnectTimeoutError", "NewConnectionError", "gaierror"})


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 10:
        yield error
        yield from (arg for arg in error.args if isinstance(arg, BaseException))
        error, seen = error.__cause__ or error.__context__, seen + 1


def _is_broken(error: Exception) -> bool:
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code == 421
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return any(code == 421 for code, _ in error.recipients.values())
    return isinstance(error, OSError) and not isinstance(error, smtplib.SMTPNotSupportedError)


def _make_backend() -> BaseEmailBackend:
    if settings.EMAIL_BACKEND == _DJANGO_SMTP:  # ours is the same and knows how far a mail got
        return SmtpBackend()
    backend: BaseEmailBackend = get_connection()
    return backend


def _words(error: BaseException) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, answer = next(iter(error.recipients.values()))
            return f"{code} {_text(answer)}"
        case smtplib.SMTPResponseException():
            return f"{error.smtp_code} {_text(error.smtp_error)}"
        case AnymailError():  # its text repeats what was sent
            return f"{type(error).__name__} {getattr(error, 'status_code', None) or ''}".strip()
    return f"{type(error).__name__}: {error}"


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)


def _scrub(words: str) -> str:
    """Other sides repeat the address in their answer; it is not kept."""
    words = _ADDRESS.sub("…", " ".join(words.split()))
    return "".join(c for c in words if c.isprintable())[:300]


def _provider_id(message: EmailMultiAlternatives) -> str:
    """The provider's own id of the mail, where django-anymail has one."""
    status = getattr(message, "anymail_status", None)
    return str(getattr(status, "message_id", "") or "")
