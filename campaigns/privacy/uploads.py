"""Files that were uploaded and not yet imported: raw exports of a CRM, kept for a few hours."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from django.conf import settings

from personalize.core import traces

# Parquet, gzip and zip hide their words: such a file goes whenever somebody is erased.
_PACKED = (b"PAR1", b"\x1f\x8b", b"PK\x03\x04")


def forget_uploads(wanted: re.Pattern[bytes]) -> int:
    """Remove each upload that names somebody, or that cannot be searched; how many. They can be uploaded again."""
    removed = 0
    for path in traces.files_below(Path(settings.STATE_DIR) / "uploads"):
        try:
            with path.open("rb") as file:
                packed = file.read(4).startswith(_PACKED)
        except OSError:
            continue
        if packed or traces.found_in(path, wanted):
            shutil.rmtree(path.parent, ignore_errors=True)
            removed += 1
    return removed
