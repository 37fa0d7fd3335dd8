"""Reports as the providers send them: the least of each, signed or with the shared secret as theirs are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.test import Client

from delivery.models import Delivery

SECRET = "hooks:open-sesame"
KEY = "a-key-of-the-provider"
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_PEM = _RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
ANYMAIL: Mapping[str, Mapping[str, str]] = {
    "mailersend": {"MAILERSEND_SIGNING_SECRET": KEY},
    "mailgun": {"MAILGUN_WEBHOOK_SIGNING_KEY": KEY},
    "mailtrap": {"MAILTRAP_TRACKING_SECRET": KEY},
    "mandrill": {"MANDRILL_WEBHOOK_KEY": KEY},
    "postal": {"POSTAL_WEBHOOK_KEY": "".join(_PEM.decode().strip().splitlines()[1:-1])},
    "unisender_go": {"UNISENDER_GO_API_KEY": KEY},
}
AT = 1_717_243_200  # 1 June 2024, 12:00 UTC
ISO = "2024-06-01T12:00:00Z"
READER = "reader@postbox.example"


def settings_of(provider: str) -> dict[str, str]:
    return dict(ANYMAIL.get(provider, {"WEBHOOK_SECRET": SECRET}))


def ids(delivery: Delivery) -> dict[str, str]:
    """What went with the mail and comes back."""
    return {"delivery": str(delivery.pk), "mail": delivery.message_id.strip("<>").partition("@")[0]}


def _ses(event: str, delivery: Delivery, more: Any) -> Any:
    mail = {
        "messageId": "ses-1",
        "destination": [READER],
        "headers": [{"name": "X-Metadata", "value": json.dumps(ids(delivery))}],
    }
    inner = {"eventType": event, "mail": mail, event.lower(): more}
    return {
        "Type": "Notification",
        "MessageId": f"sns-{event}",
        "Timestamp": ISO,
        "Message": json.dumps(inner),
    }


def _ses_bounce(kind: str, delivery: Delivery) -> Any:
    to = [{"emailAddress": READER}]
    return _ses("Bounce", delivery, {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": to})


def _brevo(event: str, delivery: Delivery) -> Any:
    return {
        "event": event, "email": READER, "message-id": "<brevo@x>", "ts_epoch": AT * 1000,
        "X-Mailin-custom": json.dumps(ids(delivery)),
    }  # fmt: skip


def _mailersend(kind: str, delivery: Delivery) -> Any:
    email = {"message": {"id": delivery.response}, "recipient": {"email": READER}}
    data = {"id": f"ms-{kind}", "type": kind, "created_at": ISO, "email": email}
    return {"type": f"activity.{kind}", "data": data}


def _mailgun(event: str, delivery: Delivery, **more: Any) -> Any:
    token = f"token-{event}"
    signature = hmac.new(KEY.encode(), f"{AT}{token}".encode(), hashlib.sha256).hexdigest()
    data = {
        "event": event, "recipient": READER, "timestamp": float(AT), "user-variables": ids(delivery),
        "message": {"headers": {"message-id": delivery.message_id.strip("<>")}}, **more,
    }  # fmt: skip
    return {
        "signature": {"token": token, "timestamp": str(AT), "signature": signature},
        "event-data": data,
    }


def _mailjet(event: str, delivery: Delivery, **more: Any) -> Any:
    return [
        {"event": event, "time": AT, "MessageID": 7, "email": READER, "Payload": json.dumps(ids(delivery))}
        | more
    ]


def _mailtrap(event: str, delivery: Delivery) -> Any:
    one = {
        "event": event, "timestamp": AT, "message_id": "mt-1", "event_id": f"mt-{event}", "email": READER,
        "custom_variables": ids(delivery),
    }  # fmt: skip
    return {"events": [one]}


def _mandrill(event: str, delivery: Delivery) -> Any:
    return [
        {
            "event": event,
            "_id": "md-1",
            "ts": AT,
            "msg": {"email": READER, "metadata": ids(delivery), "tags": []},
        }
    ]


def _postal(delivery: Delivery, **payload: Any) -> Any:
    name = "original_message" if "bounce" in payload else "message"
    message = {"id": int(delivery.response), "to": READER, "direction": "outgoing", "tag": ""}
    return {"uuid": f"postal-{sorted(payload)}", "timestamp": AT, "payload": {name: message, **payload}}


def _postmark(record: str, delivery: Delivery, **more: Any) -> Any:
    return {
        "RecordType": record, "MessageID": "pm-1", "Recipient": READER, "Metadata": ids(delivery),
        "DeliveredAt": ISO, **more,
    }  # fmt: skip


def _resend(kind: str, delivery: Delivery, **more: Any) -> Any:
    headers = [{"name": "X-Metadata", "value": json.dumps(ids(delivery))}]
    return {
        "type": kind,
        "created_at": ISO,
        "data": {"email_id": "re-1", "to": [READER], "headers": headers, **more},
    }


def _sendgrid(event: str, delivery: Delivery, **more: Any) -> Any:
    return [
        {
            "event": event,
            "email": READER,
            "timestamp": AT,
            "sg_event_id": f"sg-{event}",
            **ids(delivery),
            **more,
        }
    ]


def _sparkpost(kind: str, delivery: Delivery, **more: Any) -> Any:
    event = {
        "type": kind, "event_id": f"sp-{kind}", "timestamp": str(AT), "transmission_id": "sp-1",
        "rcpt_meta": ids(delivery), "raw_rcpt_to": READER, **more,
    }  # fmt: skip
    return [{"msys": {"message_event": event}}]


def _unisender(status: str, delivery: Delivery, info: str = "") -> Any:
    data = {
        "job_id": "us-1", "metadata": ids(delivery), "email": READER, "status": status,
        "event_time": "2024-06-01 12:00:00", "delivery_info": {"delivery_status": info},
    }  # fmt: skip
    event = {"event_name": "transactional_email_status", "event_data": data}
    return {"auth": "f" * 32, "events_by_user": [{"user_id": 1, "events": [event]}]}


Make = Callable[[Delivery], Any]
# provider -> what happened -> the report. 'hard': the address is no good; 'soft': it may work tomorrow.
REPORTS: Mapping[str, Mapping[str, Make]] = {
    "amazon_ses": {
        "delivered": lambda d: _ses("Delivery", d, {"recipients": [READER], "smtpResponse": "250 ok"}),
        "hard": lambda d: _ses_bounce("Permanent", d),
        "soft": lambda d: _ses_bounce("Transient", d),
        "complained": lambda d: _ses("Complaint", d, {"complainedRecipients": [{"emailAddress": READER}]}),
        "clicked": lambda d: _ses("Click", d, {"link": "https://shop.example/", "userAgent": "Mozilla/5.0 Firefox"}),
    },
    "brevo": {
        "delivered": lambda d: _brevo("delivered", d),
        "hard": lambda d: _brevo("hard_bounce", d),
        "soft": lambda d: _brevo("soft_bounce", d),
        "complained": lambda d: _brevo("spam", d),
        "unsubscribed": lambda d: _brevo("unsubscribe", d),
        "clicked": lambda d: _brevo("click", d),
    },
    "mailersend": {
        "delivered": lambda d: _mailersend("delivered", d),
        "hard": lambda d: _mailersend("hard_bounced", d),
        "soft": lambda d: _mailersend("soft_bounced", d),
        "complained": lambda d: _mailersend("spam_complaint", d),
        "unsubscribed": lambda d: _mailersend("unsubscribed", d),
        "clicked": lambda d: _mailersend("clicked", d),
    },
    "mailgun": {
        "delivered": lambda d: _mailgun("delivered", d),
        "hard": lambda d: _mailgun("failed", d, severity="permanent", reason="bounce"),
        "soft": lambda d: _mailgun("failed", d, severity="permanent", reason="generic"),
        "complained": lambda d: _mailgun("complained", d),
        "unsubscribed": lambda d: _mailgun("unsubscribed", d),
        "clicked": lambda d: _mailgun("clicked", d, url="https://shop.example/"),
    },
    "mailjet": {
        "delivered": lambda d: _mailjet("sent", d),
        "hard": lambda d: _mailjet("bounce", d, hard_bounce=True, error="user unknown"),
        "soft": lambda d: _mailjet("bounce", d, hard_bounce=False, error="mailbox inactive"),
        "complained": lambda d: _mailjet("spam", d),
        "unsubscribed": lambda d: _mailjet("unsub", d),
        "clicked": lambda d: _mailjet("click", d, url="https://shop.example/"),
    },
    "mailtrap": {
        "delivered": lambda d: _mailtrap("delivery", d),
        "hard": lambda d: _mailtrap("bounce", d),
        "soft": lambda d: _mailtrap("reject", d),
        "complained": lambda d: _mailtrap("spam", d),
        "unsubscribed": lambda d: _mailtrap("unsubscribe", d),
        "clicked": lambda d: _mailtrap("click", d),
    },
    "mandrill": {
        "hard": lambda d: _mandrill("hard_bounce", d),
        "soft": lambda d: _mandrill("soft_bounce", d),
        "complained": lambda d: _mandrill("spam", d),
        "unsubscribed": lambda d: _mandrill("unsub", d),
        "clicked": lambda d: _mandrill("click", d),
    },
    "postal": {
        "delivered": lambda d: _postal(d, status="Sent", output="250 ok"),
        "hard": lambda d: _postal(d, bounce={"id": 9}),
        "soft": lambda d: _postal(d, status="HardFail", output="550 5.7.1 we do not want you"),
        "clicked": lambda d: _postal(d, url="https://shop.example/", user_agent="Mozilla/5.0 Firefox"),
    },
    "postmark": {
        "delivered": lambda d: _postmark("Delivery", d),
        "hard": lambda d: _postmark("Bounce", d, Type="HardBounce", ID=1),
        "soft": lambda d: _postmark("Bounce", d, Type="SoftBounce", ID=2),
        "complained": lambda d: _postmark("SpamComplaint", d, Type="SpamComplaint", ID=3),
        "unsubscribed": lambda d: _postmark("SubscriptionChange", d, SuppressSending=True),
        "clicked": lambda d: _postmark("Click", d, OriginalLink="https://shop.example/"),
    },
    "resend": {
        "delivered": lambda d: _resend("email.delivered", d),
        "hard": lambda d: _resend("email.bounced", d, bounce={"type": "Permanent", "message": "a bounce message"}),
        "soft": lambda d: _resend("email.bounced", d, bounce={"message": "a general bounce message"}),
        "complained": lambda d: _resend("email.complained", d),
        "clicked": lambda d: _resend("email.clicked", d, click={"link": "https://shop.example/"}),
    },
    "sendgrid": {
        "delivered": lambda d: _sendgrid("delivered", d),
        "hard": lambda d: _sendgrid("bounce", d, type="bounce", reason="550 5.1.1 no such user"),
        "soft": lambda d: _sendgrid("bounce", d, type="blocked", reason="550 5.7.1 blocked"),
        "complained": lambda d: _sendgrid("spamreport", d),
        "unsubscribed": lambda d: _sendgrid("dropped", d, reason="Unsubscribed Address"),
        "clicked": lambda d: _sendgrid("click", d, url="https://shop.example/"),
    },
    "sparkpost": {
        "delivered": lambda d: _sparkpost("delivery", d),
        "hard": lambda d: _sparkpost("bounce", d, bounce_class="10"),
        "soft": lambda d: _sparkpost("bounce", d, bounce_class="51"),
        "complained": lambda d: _sparkpost("spam_complaint", d),
        "unsubscribed": lambda d: _sparkpost("link_unsubscribe", d),
        "clicked": lambda d: _sparkpost("click", d),
    },
    "unisender_go": {
        "delivered": lambda d: _unisender("delivered", d),
        "hard": lambda d: _unisender("hard_bounced", d, "err_user_unknown"),
        "soft": lambda d: _unisender("hard_bounced", d, "err_mailbox_full"),
        "complained": lambda d: _unisender("spam", d),
        "unsubscribed": lambda d: _unisender("unsubscribed", d),
        "clicked": lambda d: _unisender("clicked", d),
    },
}  # fmt: skip


def send(provider: str, report: Any, *, secret: str = SECRET, forged: bool = False) -> Any:
    """POST it as the provider would; `forged` with another's key."""
    url = f"/hooks/mail/{provider}/"
    key = "another-key" if forged else KEY
    headers = {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}
    body = json.dumps(report)
    content_type = "application/json"
    match provider:
        case "amazon_ses":
            headers |= {"X-Amz-Sns-Message-Type": report["Type"], "X-Amz-Sns-Message-Id": report["MessageId"]}
        case "mailersend" | "mailtrap":
            name = "Signature" if provider == "mailersend" else "Mailtrap-Signature"
            headers[name] = hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()
        case "mailgun" if forged:
            report["signature"]["signature"] = "0" * 64
            body = json.dumps(report)
        case "mandrill":
            del headers["Authorization"]  # it would be part of the address that is signed
            signed = f"http://testserver{url}mandrill_events{body}"
            digest = hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()
            headers["X-Mandrill-Signature"] = base64.b64encode(digest).decode()
            body, content_type = urlencode({"mandrill_events": body}), "application/x-www-form-urlencoded"
        case "postal":
            signature = _RSA.sign(body.encode() + b"x" * forged, padding.PKCS1v15(), hashes.SHA1())
            headers["X-Postal-Signature"] = base64.b64encode(signature).decode()
        case "unisender_go":
            digest = hashlib.md5(body.replace("f" * 32, key).encode()).hexdigest()
            body = body.replace("f" * 32, digest)
    if forged and provider not in ANYMAIL:
        headers["Authorization"] = "Basic " + base64.b64encode(b"hooks:guess").decode()
    return Client(enforce_csrf_checks=True).post(url, body, content_type=content_type, headers=headers)
