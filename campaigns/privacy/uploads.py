"""Files that were uploaded and not yet imported: raw exports of a CRM, kept for a few hours."""

from __future__ import annotations

import re

from campaigns.models import Upload, UploadPart

# Parquet, gzip and zip hide their words: such a file goes whenever somebody is erased.
_PACKED = (b"PAR1", b"\x1f\x8b", b"PK\x03\x04")
_OVERLAP = 1_024  # bytes: a word may begin in one part and end in the next


def forget_uploads(wanted: re.Pattern[bytes]) -> int:
    """Remove each upload that names somebody, or that cannot be searched; how many. They can be uploaded again."""
    naming = [key for key in Upload.objects.values_list("pk", flat=True) if _names(key, wanted)]
    Upload.objects.filter(pk__in=naming).delete()
    return len(naming)


def _names(upload_id: int, wanted: re.Pattern[bytes]) -> bool:
    before = b""
    parts = UploadPart.objects.filter(upload_id=upload_id).order_by("number").values_list("data", flat=True)
    for number, data in enumerate(parts.iterator(chunk_size=1)):
        part = before + bytes(data)
        if (number == 0 and part.startswith(_PACKED)) or wanted.search(part):
            return True
        before = part[-_OVERLAP:]
    return False
