"""Who calls the API, and whether this key and its person may."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from personalize.core import api_keys
from personalize.core.errors import NotAllowed
from personalize.core.models import ApiKey


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer pk_…`. `request.auth` is the key, `request.user` the person it acts as."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            key = api_keys.verify(plain=plain.strip())
        except api_keys.KeyRefused as error:
            raise AuthenticationFailed(str(error), code=error.code) from error
        return key.acts_as, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class HasScope(BasePermission):
    """The view says what each method needs: `required_scopes` and `required_permissions`, by method.

    A method that declares no scope is refused: forgetting to declare closes the door.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        key = request.auth
        if not isinstance(key, ApiKey):
            return False
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method != "OPTIONS" and not hasattr(view, method.lower()):
            return True  # the view answers 405 itself
        scope = getattr(view, "required_scopes", {}).get(method)
        if scope is None:
            raise NotAllowed("This operation is not open to API keys.")
        if scope not in key.scopes:
            raise NotAllowed(f"The API key lacks the scope '{scope}'. Make a key that has it.")
        permission = getattr(view, "required_permissions", {}).get(method)
        if permission is None:
            raise NotAllowed("This operation is not open to API keys.")
        if not key.acts_as.has_perm(permission):
            raise NotAllowed(f"The person this API key acts as lacks the permission '{permission}'.")
        return True
