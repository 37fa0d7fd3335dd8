from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "personalize.core"
    label = "core"
    verbose_name = "System"
