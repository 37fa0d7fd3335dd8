"""The review desk and the pages of runs and writer versions."""

from generation.admin import desk, queue, reviewing, runs, sampling, trail, versions

__all__ = ["desk", "queue", "reviewing", "runs", "sampling", "trail", "versions"]
