"""Mails as files, and how answers are read."""

from __future__ import annotations

import email
import email.policy
import mailbox
import smtplib
from pathlib import Path
from typing import Any

import pytest
from anymail.exceptions import AnymailAPIError, AnymailConfigurationError, AnymailRecipientsRefused
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.locmem import EmailBackend as Locmem

from delivery import sending, transports
from delivery.backends import MaildirBackend, SmtpBackend
from delivery.models import Delivery
from delivery.transports import Kind
from tests.delivery import scenes


@pytest.mark.django_db
def test_each_mail_is_one_readable_file(settings: Any, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "delivery.backends.MaildirBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    scenes.approved(scenes.released_run(), 3)

    sending.deliver_due()

    files = sorted((tmp_path / "mail" / "new").iterdir())
    assert len(files) == 3
    assert {file.suffix for file in files} == {".eml"}
    mails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    assert {str(mail["Message-ID"]) for mail in mails} == set(
        Delivery.objects.values_list("message_id", flat=True)
    )
    assert "15% off" in mails[0].get_body(("plain",)).get_content()
    assert len(mailbox.Maildir(tmp_path / "mail")) == 3  # mail programs read the folder as it is
    assert list((tmp_path / "mail" / "tmp").iterdir()) == []


def test_a_mail_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    backend = MaildirBackend(file_path=str(tmp_path))
    mail = EmailMultiAlternatives("s", "b", "a@b.example", ["c@d.example"], headers={"X": "a\nb"})

    with pytest.raises(ValueError, match="newline"):
        backend.send_messages([mail])

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def api_error(status: int | None, cause: Exception | None = None) -> AnymailAPIError:
    error = AnymailAPIError("no", status_code=status) if status else AnymailAPIError("no")
    error.status_code = status
    error.__cause__ = cause
    return error


class ConnectTimeout(OSError):
    """Named as the one of requests."""


@pytest.mark.parametrize(
    ("error", "kind", "ours"),
    [
        (smtplib.SMTPRecipientsRefused({"a": (550, b"5.1.1 no such user")}), Kind.REFUSED, False),
        (smtplib.SMTPRecipientsRefused({"a": (451, b"later")}), Kind.LATER, False),
        (smtplib.SMTPSenderRefused(550, b"no", "a"), Kind.LATER, True),
        (smtplib.SMTPSenderRefused(451, b"later", "a"), Kind.LATER, False),
        (smtplib.SMTPSenderRefused(552, b"too large", "a"), Kind.REFUSED, False),
        (smtplib.SMTPDataError(554, b"no"), Kind.REFUSED, False),
        (smtplib.SMTPDataError(452, b"full"), Kind.LATER, False),
        (smtplib.SMTPAuthenticationError(535, b"no"), Kind.LATER, True),
        (smtplib.SMTPNotSupportedError("SMTPUTF8"), Kind.LATER, True),
        (AnymailRecipientsRefused("no"), Kind.REFUSED, False),
        (AnymailConfigurationError("no key"), Kind.LATER, True),
        (api_error(400), Kind.REFUSED, False),
        (api_error(401), Kind.LATER, True),
        (api_error(429), Kind.LATER, True),
        (api_error(503), Kind.LATER, False),
        (api_error(500), Kind.UNKNOWN, False),
        (api_error(408), Kind.UNKNOWN, False),
        (api_error(None), Kind.UNKNOWN, False),
        (api_error(None, ConnectTimeout()), Kind.LATER, True),
        (RuntimeError("what is this"), Kind.UNKNOWN, False),
        (TimeoutError(), Kind.UNKNOWN, False),
    ],
)
def test_what_an_answer_means(error: Exception, kind: Kind, ours: bool) -> None:
    verdict = transports.judge(error, Locmem())

    assert (verdict.kind, verdict.ours) == (kind, ours)


@pytest.mark.parametrize(("begun", "kind"), [(True, Kind.UNKNOWN), (False, Kind.LATER)])
def test_a_cut_line_is_uncertain_only_once_the_mail_may_be_taken(begun: bool, kind: Kind) -> None:
    backend = SmtpBackend()
    backend.connection = type("Line", (), {"body_begun": begun})()

    assert transports.judge(smtplib.SMTPServerDisconnected("timed out"), backend).kind == kind


@pytest.mark.parametrize(
    ("answer", "bad"),
    [
        ("550 5.1.1 no such user", True),
        ("550 5.2.1 mailbox disabled", True),
        ("550 No such user here", True),
        ("550 User unknown in virtual mailbox table", True),
        ("550 5.7.1 blocked: user unknown to our partners", False),
        ("550 Blocked by a list", False),
        ("554 rejected", False),
    ],
)
def test_only_a_missing_mailbox_costs_the_address(answer: str, bad: bool) -> None:
    assert transports.is_bad_address(answer) is bad


def test_an_answer_is_kept_without_addresses_and_control_characters() -> None:
    error = smtplib.SMTPRecipientsRefused(
        {"a": (550, b"<ada@postbox.example>:\r\n no\x00 ada@postbox.example")}
    )

    assert transports.judge(error, Locmem()).response == "550 …: no …"
