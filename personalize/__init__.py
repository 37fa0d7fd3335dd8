"""The project. Celery's app is imported with it so that `delay_on_commit` works from every process."""

from personalize.celery import app as celery_app

__all__ = ["celery_app"]
