"""What the API's description says of keys and of named choices. Imported at start, so that every command sees it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "personalize.core.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "pk_…",
            "description": "A key made with `manage.py create_api_key`, sent as `Authorization: Bearer pk_…`.",
        }


class NamedChoiceSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "personalize.core.operations.NamedChoice"

    def get_name(self) -> str:
        return str(self.target.schema_name)

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        values = list(self.target.choices)
        meaning = "\n".join(f"* `{value}`: {label}" for value, label in self.target.choices.items())
        return {"type": "string", "enum": values, "description": meaning}
