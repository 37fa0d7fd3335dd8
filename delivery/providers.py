"""The mail providers whose reports are taken, and who may bring them.

django-anymail checks and reads the reports; here is decided which of its doors are open. One stays shut until its
secret is set: a report can stop mail to a person, so nobody else may make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from anymail.exceptions import AnymailError, AnymailWebhookValidationFailure
from django.conf import settings
from django.http import HttpRequest

from personalize.core.errors import DomainError

SHARED = "WEBHOOK_SECRET"  # "name:password" in the address that is given to the provider


class WrongSecret(DomainError):
    """The report is not the provider's, or the secrets differ."""

    code = "wrong_secret"


class Unreadable(DomainError):
    """The report is not made as the provider makes them, or is no report of what became of a mail."""

    code = "unreadable_report"


@dataclass(frozen=True, slots=True)
class Provider:
    """`keys`: any of these settings lets the provider's signature be checked. `signed`: without one django-anymail
    cannot take its reports at all; otherwise the shared secret will do."""

    name: str
    module: str
    view: str
    keys: tuple[str, ...] = ()
    signed: bool = False


PROVIDERS: Mapping[str, Provider] = {
    "amazon_ses": Provider("Amazon SES", "amazon_ses", "AmazonSESTrackingWebhookView"),
    "brevo": Provider("Brevo", "brevo", "BrevoTrackingWebhookView"),
    "mailersend": Provider(
        "MailerSend", "mailersend", "MailerSendTrackingWebhookView", ("MAILERSEND_SIGNING_SECRET",), True
    ),
    "mailgun": Provider(
        "Mailgun", "mailgun", "MailgunTrackingWebhookView", ("MAILGUN_WEBHOOK_SIGNING_KEY", "MAILGUN_API_KEY"), True
    ),
    "mailjet": Provider("Mailjet", "mailjet", "MailjetTrackingWebhookView"),
    "mailtrap": Provider("Mailtrap", "mailtrap", "MailtrapTrackingWebhookView", ("MAILTRAP_TRACKING_SECRET",)),
    "mandrill": Provider("Mandrill", "mandrill", "MandrillCombinedWebhookView", ("MANDRILL_WEBHOOK_KEY",), True),
    "postal": Provider("Postal", "postal", "PostalTrackingWebhookView", ("POSTAL_WEBHOOK_KEY",), True),
    "postmark": Provider("Postmark", "postmark", "PostmarkTrackingWebhookView"),
    "resend": Provider("Resend", "resend", "ResendTrackingWebhookView", ("RESEND_SIGNING_SECRET",)),
    "sendgrid": Provider(
        "SendGrid", "sendgrid", "SendGridTrackingWebhookView", ("SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY",)
    ),
    "sparkpost": Provider("SparkPost", "sparkpost", "SparkPostTrackingWebhookView"),
    "unisender_go": Provider(
        "Unisender Go", "unisender_go", "UnisenderGoTrackingWebhookView", ("UNISENDER_GO_API_KEY",), True
    ),
}  # fmt: skip


def is_open(provider: Provider) -> bool:
    """Whether a report of this provider can be told from a forged one."""
    if any(settings.ANYMAIL.get(key) for key in provider.keys):
        return True
    return not provider.signed and bool(settings.ANYMAIL.get(SHARED))


def missing(provider: Provider) -> str:
    """The settings of ANYMAIL that would open it, in words."""
    ways = [*provider.keys[:1], *([] if provider.signed else [SHARED])]
    return " or ".join(ways)


def wants_challenge(request: HttpRequest) -> bool:
    """Amazon sends the shared secret only when it is asked for it."""
    return bool(settings.ANYMAIL.get(SHARED)) and "Authorization" not in request.headers


def read(provider: Provider, request: HttpRequest) -> list[Any]:
    """The events of a report, checked by django-anymail. Raises WrongSecret or Unreadable. Call it if `is_open`."""
    view = getattr(import_module(f"anymail.webhooks.{provider.module}"), provider.view)()
    try:
        view.run_validators(request)
        return [
            event for event in view.parse_events(request) if hasattr(event, "reject_reason")
        ]  # none inbound
    except AnymailWebhookValidationFailure as error:
        raise WrongSecret("The secret or signature is wrong.") from error
    except (AnymailError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise Unreadable("This report cannot be read.") from error


def of_backend(backend: str) -> Provider | None:
    """The provider that a mail backend sends by, if it is one of django-anymail's."""
    parts = backend.split(".")
    return PROVIDERS.get(parts[2]) if parts[:2] == ["anymail", "backends"] and len(parts) > 2 else None
