"""Which of their columns may be which of our fields: from names, spelling, contents and the file's name. Pure.

A proposal for a person to look over. A column whose contents contradict its name is not proposed.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from campaigns.importing import aliases
from campaigns.importing.contents import Column, look
from campaigns.models import ImportKind
from campaigns.sensitive import is_secret_name

LIKE_ENOUGH = 0.62  # likeness of two names' embeddings from which a proposal is worth a look


def words_of(header: str) -> str:
    """A column's name as it is compared: words in lower case, without the number that tells namesakes apart."""
    text = unicodedata.normalize("NFKC", header)
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    text = re.sub(r" \(\d+\)$", "", text)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.sub(r"[^\w]+|_", " ", spaced).lower().split())


KNOWN_AS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    kind: {target: tuple(words_of(alias) for alias in known) for target, known in table.items()}
    for kind, table in aliases.KNOWN_AS.items()
}


@dataclass(frozen=True, slots=True)
class Guess:
    """`why`: name, spelling, contents, file name, meaning, or nothing better."""

    target: str
    column: str  # or := and the same words for all rows
    why: str


def propose_mapping(
    headers: Sequence[str],
    *,
    kind: str = ImportKind.PROFILES,
    attributes: Iterable[str] = (),
    rows: Sequence[Mapping[str, object]] = (),
    file_name: str = "",
) -> dict[str, str]:
    """The proposal alone, as `propose` makes it: {"email": "Email Address", …}."""
    guesses = propose(headers, kind=kind, attributes=attributes, rows=rows, file_name=file_name)
    return {guess.target: guess.column for guess in guesses}


def propose(
    headers: Sequence[str],
    *,
    kind: str = ImportKind.PROFILES,
    attributes: Iterable[str] = (),
    rows: Sequence[Mapping[str, object]] = (),
    file_name: str = "",
    likeness: Mapping[str, Sequence[object]] | None = None,
) -> list[Guess]:
    """A mapping for a person to confirm. `rows`: a sample of the file; `likeness`: column -> [our field, how alike].

    Columns like one of the defined `attributes` become that; secrets never do. A file without ids gets
    `external_id:=contact`.
    """
    usable = [header for header in headers if not is_secret_name(header)]
    columns = look(rows, usable) if rows else {}
    found = _Found(columns)
    by_words: dict[str, list[str]] = {}
    for header in usable:
        by_words.setdefault(words_of(header), []).append(header)
    for target, known_as in KNOWN_AS[kind].items():
        for alias in known_as:
            if target not in found.by_target:
                found.take(target, by_words.get(alias, []), "name")
    _misspelt(found, by_words, kind)
    if kind == ImportKind.PROFILES:
        _from_contents(found, columns)
        _from_file_name(found, file_name)
    for header, (alike, score) in _alike(likeness or {}):
        if header in usable and score >= LIKE_ENOUGH and alike in KNOWN_AS[kind]:
            found.take(alike, [header], "meaning")
    known = set(attributes)
    if kind == ImportKind.PROFILES:
        for bare, these in by_words.items():
            name = bare.replace(" ", "_")
            if name in known:
                found.put(f"attribute.{name}", these[0], "name")
    _settle(found, kind)
    return list(found.by_target.values())


def _alike(likeness: Mapping[str, Sequence[object]]) -> Iterator[tuple[str, tuple[str, float]]]:
    """(column, (our field, score)), the most alike first; what another version of us wrote may look otherwise."""
    pairs = [
        (header, (said[0], float(said[1])))
        for header, said in likeness.items()
        if len(said) == 2 and isinstance(said[0], str) and isinstance(said[1], (int, float))
    ]
    yield from sorted(pairs, key=lambda pair: -pair[1][1])


class _Found:
    """The guesses so far: each target and each column once."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self.by_target: dict[str, Guess] = {}

    @property
    def used(self) -> set[str]:
        return {guess.column for guess in self.by_target.values()}

    def put(self, target: str, column: str, why: str) -> None:
        self.by_target.setdefault(target, Guess(target, column, why))

    def take(self, target: str, candidates: Sequence[str], why: str) -> None:
        """Of columns of one name the first that is filled; none whose contents say something else."""
        free = [
            header
            for header in candidates
            if header not in self.used and not _contradicts(target, self._columns.get(header))
        ]
        filled = [header for header in free if header in self._columns and not self._columns[header].is_empty]
        if free and target not in self.by_target:
            self.put(target, (filled or free)[0], why)


def _contradicts(target: str, column: Column | None) -> bool:
    """Do the contents speak against it? An empty or unknown column speaks against nothing."""
    if column is None or column.is_empty:
        return False
    tests: dict[str, Callable[[Column], bool]] = {
        # A single bad row of three is no contradiction: people mistype.
        "email": lambda c: c.email < 0.3,
        "phone": lambda c: c.phone < 0.3,
        "external_id": lambda c: c.count > 5 and (c.filled < 0.5 or c.distinct < 0.5),
        "country": lambda c: c.country < 0.2,
        "locale": lambda c: c.locale < 0.5,
        "consent_at": lambda c: c.date < 0.3,
        "first_name": lambda c: c.words < 0.3 and (c.email > 0.5 or c.phone > 0.5 or c.date > 0.5),
    }
    tests["last_name"] = tests["full_name"] = tests["first_name"]
    if target.startswith("consent."):
        return column.standing < 0.5
    if target.startswith(("opt_out.", "bounced.", "complained.")):
        return column.email > 0.5 or column.phone > 0.5
    return target in tests and tests[target](column)


def _misspelt(found: _Found, by_words: Mapping[str, Sequence[str]], kind: str) -> None:
    """Names of the fields that matter: single words only, for 'form name' is no first name."""
    for target in ("email", "phone", "full_name"):
        known_as = KNOWN_AS[kind].get(target, ())
        single = [alias for alias in known_as if " " not in alias and alias.isascii()]
        for bare, these in by_words.items():
            if len(bare) > 3 and " " not in bare and difflib.get_close_matches(bare, single, cutoff=0.75):
                found.take(target, these, "spelling")


def _from_contents(found: _Found, columns: Mapping[str, Column]) -> None:
    def best(score: Callable[[Column], float], least: float) -> list[str]:
        free = [header for header in columns if header not in found.used]
        good = [header for header in free if score(columns[header]) >= least]
        return sorted(good, key=lambda header: -score(columns[header]) * columns[header].filled)[:1]

    found.take("email", best(lambda c: c.email, 0.6), "contents")
    # Long numbers may be ids; with a + they are telephones.
    found.take("phone", best(lambda c: c.plus, 0.6), "contents")
    if not any(target.startswith("consent.") for target in found.by_target):
        found.take("consent.email", best(lambda c: c.standing if c.unmistakable else 0.0, 0.9), "contents")


_LISTS = (
    (re.compile(r"unsub|opt.?outs?|abgemeldet|blacklist|suppress|do.?not.?mail"), ":=unsubscribed"),
    (re.compile(r"cleaned|bounce|invalid"), ":=bounced"),
    (re.compile(r"complain|spam"), ":=complained"),
)


def _from_file_name(found: _Found, file_name: str) -> None:
    """Mail tools export each standing as a file of its own: `cleaned_members_export_1a2b.csv`."""
    if any(target.partition(".")[0] in ("consent", "opt_out", "bounced") for target in found.by_target):
        return
    for pattern, constant in _LISTS:
        if pattern.search(file_name.lower()):
            found.put("consent.email", constant, "file name")


def _settle(found: _Found, kind: str) -> None:
    by_target = found.by_target
    if "full_name" in by_target and "first_name" in by_target:
        del by_target["full_name"]
    if kind == ImportKind.PROFILES and "external_id" not in by_target:
        contact = {"email", "phone"} & by_target.keys()
        found.put("external_id", ":=contact" if contact else ":=row", "nothing better")
    if kind == ImportKind.EVENTS:
        found.put("event", ":=purchased", "nothing better")
    if kind == ImportKind.PRODUCTS and "name" not in by_target and "description" in by_target:
        description = by_target.pop("description")
        found.put("name", description.column, description.why)
