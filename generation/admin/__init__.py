"""The review desk and the pages of runs and writer versions."""

from generation.admin import desk, queue, runs, versions

__all__ = ["desk", "queue", "runs", "versions"]
