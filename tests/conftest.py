"""What every test shares. Secrets for tests are set before Django reads its settings."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("DEBUG", "False")
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "s" * 40)
os.environ.setdefault("HASH_KEY", "only-for-tests-hash-key")
_scratch = tempfile.mkdtemp(prefix="personalize-tests-")
os.environ["OUTPUT_DIR"] = f"{_scratch}/out"
os.environ.setdefault("STATE_DIR", f"{_scratch}/state")
os.environ.setdefault("LOG_LEVEL", "WARNING")
