"""Our own mail backends: one readable file per mail, and SMTP that knows whether a mail may have been taken."""

from __future__ import annotations

import smtplib
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as DjangoSmtpBackend


class MaildirBackend(BaseEmailBackend):
    """Each mail is one `.eml` file in `new/` of a Maildir at EMAIL_FILE_PATH: mail programs open both.

    A file appears whole or not at all: it is written in `tmp/` and renamed.
    """

    def __init__(self, *, file_path: str | None = None, fail_silently: bool = False, **_: Any) -> None:
        super().__init__(fail_silently=fail_silently)
        self.folder = Path(file_path or settings.EMAIL_FILE_PATH)

    def open(self) -> bool:
        for name in ("tmp", "new", "cur"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return True

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        self.open()
        for message in email_messages:
            mail: Any = message.message()  # Django's own class, which knows line ends
            self._write(mail.as_bytes(linesep="\r\n"))
        return len(email_messages)

    def _write(self, content: bytes) -> None:
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.{uuid.uuid4().hex}.eml"
        temporary = self.folder / "tmp" / name
        try:
            with temporary.open("xb") as file:
                file.write(content)
            temporary.rename(self.folder / "new" / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


class _Staged:
    """Notes the moment from which the server may take the mail: its 354 answer to DATA (RFC 5321, 4.1.1.4)."""

    body_begun = False

    def mail(self, *args: Any, **kwargs: Any) -> Any:
        self.body_begun = False
        return super().mail(*args, **kwargs)  # type: ignore[misc]

    def getreply(self) -> tuple[int, bytes]:
        answer: tuple[int, bytes] = super().getreply()  # type: ignore[misc]
        if answer[0] == 354:
            self.body_begun = True
        return answer


class StagedSmtp(_Staged, smtplib.SMTP):
    """smtplib's SMTP with `body_begun`."""


class StagedSmtpSsl(_Staged, smtplib.SMTP_SSL):
    """smtplib's SMTP over TLS with `body_begun`."""


class SmtpBackend(DjangoSmtpBackend):
    """Django's SMTP backend; `body_begun` says whether the server may have taken the mail that just failed."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return StagedSmtpSsl if self.use_ssl else StagedSmtp

    @property
    def body_begun(self) -> bool:
        return bool(getattr(self.connection, "body_begun", False))

    def drop(self) -> None:
        """Forget the connection without a farewell: after a failure the server may not answer one."""
        for connection in (self.connection, getattr(self, "_partial_connection", None)):
            if connection is not None:
                connection.close()
        self.connection = self._partial_connection = None
