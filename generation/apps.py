from django.apps import AppConfig


class GenerationConfig(AppConfig):
    name = "generation"
    verbose_name = "Writing and review"

    def ready(self) -> None:
        from generation import system_checks  # noqa: F401  (registers the checks)
