"""The mail as bytes: folded by the standard library, seven bits, read back as it was; every provider takes it."""

from __future__ import annotations

import email
import email.policy
import json
from importlib import import_module
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives

from delivery import providers, rendering
from delivery.claiming import Ready
from delivery.sending import message_of
from tests.delivery.test_rendering import letter

ID = "<0190b5f2-1111-4222-8333-444455556666@letters.wrenandember.example>"
SUBJECT = "Ein sehr langer Betreff mit Ümläuten, “Zeichen” und vielen Wörtern, die in keine Zeile passen 🫖"


def mail(**fields: str) -> EmailMultiAlternatives:
    rendered = rendering.render_email(letter(fields=fields), message_id=ID)
    return message_of(Ready(11, 5, 1, ID, "ada@postbox.example", rendered))


def test_the_mail_reads_back_as_it_was() -> None:
    sent = mail(subject=SUBJECT, body="Grüße aus Ottersby 🫖.\n\n" + "Ein langer Absatz. " * 200)
    raw = sent.message().as_bytes(linesep="\r\n")

    assert raw.isascii()  # seven bits: nobody on the way must recode it, which would break its signature
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    back: Any = email.message_from_bytes(raw, policy=email.policy.default)
    assert back["Subject"].strip() == SUBJECT
    assert back["Message-ID"].strip() == ID
    assert back["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert back["List-Unsubscribe"].strip() == sent.extra_headers["List-Unsubscribe"]
    assert back.get_content_type() == "multipart/alternative"
    plain, html = back.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert plain.get_content().replace("\r\n", "\n").strip() == str(sent.body).strip()
    assert "Grüße aus Ottersby 🫖" in html.get_content()
    assert sorted({name.lower() for name in back}) == [
        "content-type", "date", "feedback-id", "from", "list-id", "list-unsubscribe", "list-unsubscribe-post",
        "message-id", "mime-version", "subject", "to", "x-personalize-piece",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")
@pytest.mark.parametrize("provider", providers.PROVIDERS)
def test_every_provider_takes_the_mail_with_all_that_must_go_with_it(provider: str, settings: Any) -> None:
    """Built by django-anymail as it would be sent: no unsupported feature refuses it, the headers are in it."""
    keys = {
        f"{provider.upper()}_{name}": "x"
        for name in ("API_KEY", "API_TOKEN", "SERVER_TOKEN", "SECRET_KEY", "SENDER_DOMAIN")
    }
    settings.ANYMAIL = {
        **settings.ANYMAIL,
        **keys,
        "POSTAL_API_URL": "https://x.example",
        "UNISENDER_GO_API_URL": "https://x.example/",
    }
    module = import_module(f"anymail.backends.{provider}")
    backend = module.EmailBackend()
    sent: Any = mail()

    payload = backend.build_message_payload(sent, backend.send_defaults)

    said = repr(vars(payload)) + repr(getattr(payload, "data", ""))
    if hasattr(payload, "serialize_data"):
        said += str(payload.serialize_data())
    if provider == "amazon_ses":
        said += str(payload.mime_message) + payload.mime_message.as_string()
    assert "One-Click" in said
    assert "List-Unsubscribe" in said
    if provider not in ("postal", "mailersend"):  # found again by their own id of the mail
        assert "0190b5f2-1111-4222-8333-444455556666" in said.replace("\\", "")


def test_what_goes_beside_the_mail_are_ids_alone() -> None:
    beside = vars(mail())["metadata"]

    assert beside == {"delivery": "5", "mail": "0190b5f2-1111-4222-8333-444455556666"}
    assert "ada" not in json.dumps(beside)
