"""The base of every expected error. Subclasses live beside the function that raises them."""

from __future__ import annotations


class DomainError(Exception):
    """Something a person or client can act on. The message is shown to them: say what, where and the remedy.

    `status` is the HTTP status the API answers with; `code` names the problem type for machines.
    """

    status = 409
    code = "conflict"


class InvalidInput(DomainError):
    """What was sent cannot be used; nothing was stored."""

    status = 400
    code = "invalid"

    def __init__(self, message: str, *, field: str = "", row: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.row = row


class NotAllowed(DomainError):
    """This person or key may not do this to this object."""

    status = 403
    code = "not_allowed"


class TransientFailure(Exception):
    """Something outside failed in a way that a later try may not: the broker, a mail server, a model server."""
