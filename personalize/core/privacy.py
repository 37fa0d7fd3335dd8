"""What the project itself holds about people: stored answers of the API, the admin's history, the logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db.models import Q

from personalize.core import traces
from personalize.core.personal_data import Keeping, Person, Table

_ERASED = "an erased person"


def tables(person: Person) -> Iterable[Table]:
    """None: the history of the admin tells what users did. Stored answers are copies, gone within a day."""
    return ()


def forget(people: Sequence[Person]) -> None:
    """Stored answers go with `idempotency.forget`, in the erasure itself."""
    _history(people)
    wanted = traces.pattern(text for person in people for text in person.texts)
    if wanted is None:
        return
    hits = sum(
        traces.black_out(path, wanted) for path in traces.files_below(Path(settings.STATE_DIR) / "logs")
    )
    if hits:
        people[0].removed["log_places"] += hits


def _history(people: Sequence[Person]) -> None:
    """Rows of the admin's history that name the person, by key or by what they are called."""
    for person in people:
        of_profile = Q(
            content_type__app_label="campaigns",
            content_type__model="profile",
            object_id__in=[str(key) for key in person.profile_ids],
        )
        long = [text for text in person.texts if len(text) >= traces.LEAST]
        named = Q()
        if long:
            words = traces.postgres_pattern(long)
            named = Q(object_repr__iregex=words) | Q(change_message__iregex=words)
        changed = LogEntry.objects.filter(of_profile | named).update(object_repr=_ERASED, change_message="")
        if changed:
            person.removed["history_rows"] += changed


def _old_history(before: datetime) -> int:
    return LogEntry.objects.filter(action_time__lt=before).count()


def _drop_history(before: datetime, most: int) -> int:
    old = LogEntry.objects.filter(action_time__lt=before).order_by("pk").values("pk")[:most]
    return LogEntry.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]


KEEPING = (
    Keeping(
        "admin_history",
        "History of the admin",
        "Who changed which row in the admin. The audit trail of decisions is not touched.",
        730,
        _old_history,
        _drop_history,
    ),
)
