"""Secrets and folders for tests, set before Django reads its settings.

Loaded by `-p tests.environment` in pyproject, since pytest-django reads the settings before any conftest.py:
run `python -m pytest`, which puts this folder on the path.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

os.environ["DEBUG"] = "False"
os.environ["SECRET_KEY"] = "only-for-tests-" + "s" * 40
os.environ["HASH_KEY"] = "only-for-tests-hash-key"  # hashes in tests are the same in every run
_scratch = tempfile.mkdtemp(prefix="personalize-tests-")
atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
os.environ["OUTPUT_DIR"] = f"{_scratch}/out"
os.environ["STATE_DIR"] = f"{_scratch}/state"
os.environ.setdefault("LOG_LEVEL", "WARNING")
