"""What a column of an uploaded file may be, by the meaning of its name. Runs in a worker, which has the model."""

from __future__ import annotations

import operator

import structlog

from campaigns import importing
from campaigns.importing import guessing, uploads
from campaigns.models import Upload
from generation import engines
from personalize.core.errors import DomainError

log = structlog.get_logger(__name__)

_ALIASES = 8  # of each field: the best known names
_LEAST = 0.45  # what is less alike is not even written down


def compare(*, upload_id: int, kind: str) -> int:
    """Write down which of our fields each column's name is most like; how many columns. Only names are looked at."""
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is None:
        return 0
    try:
        with uploads.copy(upload) as path:
            headers, rows = importing.sample_of(path)
    except DomainError:
        return 0  # whoever uploaded it is told on the page of the columns
    known = {guess.column for guess in importing.propose(headers, kind=kind, rows=rows)}
    unknown = [header for header in headers if header not in known]
    if not unknown:
        return 0
    names = [
        (target, alias)
        for target, aliases in guessing.KNOWN_AS[kind].items()
        for alias in [alias for alias in aliases if alias.isascii()][:_ALIASES]
    ]
    embedder = engines.get_embedder()
    theirs = embedder.embed([guessing.words_of(header) or header for header in unknown])
    ours = embedder.embed([alias for _, alias in names])
    found = {}
    for header, vector in zip(unknown, theirs, strict=True):
        alike = [sum(map(operator.mul, vector, our)) for our in ours]  # unit vectors: the cosine
        best = max(range(len(names)), key=alike.__getitem__)
        if alike[best] >= _LEAST:
            found[header] = [names[best][0], round(alike[best], 3)]
    Upload.objects.filter(pk=upload_id).update(likeness=found)
    log.info("column_names_compared", upload_id=upload_id, columns=len(unknown), alike=len(found))
    return len(found)
