from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "personalize.core"
    label = "core"
    verbose_name = "System"

    def ready(self) -> None:
        from personalize.core import checks, openapi  # noqa: F401  (both register themselves)
