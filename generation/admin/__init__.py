"""The review desk and the pages of runs and writer versions."""

from generation.admin import desk, queue, versions

__all__ = ["desk", "queue", "versions"]
