"""The embedding index: readers, products and segments as unit vectors in Postgres, and what is near to what.

A vector is computed once for each distinct text, and again only when the text or the model has changed: the
content hash, sha256 of model and text, decides that in SQL.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import F, Model
from django.utils import timezone
from pgvector import HalfVector
from pgvector.django import CosineDistance

from campaigns.models import Product, ProductEmbedding, Profile, ProfileEmbedding, Segment
from campaigns.models.people import EMBEDDING_DIMENSION
from generation import engines
from generation.writer.types import Embedder

log = structlog.get_logger(__name__)

Progress = Callable[[int, int], None]  # (done, of how many)

PAGE = 20_000  # rows compared, embedded and stored in one transaction
REMEMBERED = 4_096  # vectors kept between pages: readers share their texts more often than not
RECENT_DAYS = 90  # what was bought within these days is not offered again
LEAST_SIMILARITY = 0.2  # cosine; below it MiniLM's neighbours are chance
# From this many rows on, and if the index at most doubles, it is built at the end: 10,000 rows took 2 + 5 s
# against 33 s with the HNSW graph kept up to date row by row.
BULK = 5_000
_BULK_LOCK = 0x62756C6B  # "bulk": of several loads at once, one handles the index


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where the texts of one kind of thing come from. `hashed` and `due` are SQL over the alias `t`."""

    table: str
    index: str  # the table of vectors
    model: type[Model]  # of that table
    key: str
    hashed: str  # what stands for the text in the content hash
    columns: str
    due: str


# Traits_hash is the sha256 of lifecycle and traits, so two readers with one hash have one text.
_PROFILES = _Kind(
    "campaigns_profile",
    "campaigns_profileembedding",
    ProfileEmbedding,
    "profile_id",
    "t.traits_hash",
    "t.lifecycle, t.traits",
    "t.traits_hash <> '' AND (t.lifecycle <> '' OR cardinality(t.traits) > 0)",
)
_PRODUCTS = _Kind(
    "campaigns_product",
    "campaigns_productembedding",
    ProductEmbedding,
    "product_id",
    r"concat_ws(E'\n', t.name, t.noun_phrase, t.category, t.description)",
    "t.name, t.noun_phrase, t.category, t.description",
    "true",
)


def profile_text(lifecycle: str, traits: Sequence[str]) -> str:
    """What stands for a reader in the index: the allow-listed words, nothing else."""
    return "; ".join(filter(None, [lifecycle, *traits]))


def product_text(name: str, noun_phrase: str, category: str, description: str) -> str:
    return ". ".join(filter(None, [name, noun_phrase, category, description]))


def embed_profiles(*, limit: int | None = None, progress: Progress | None = None) -> int:
    """Embed the readers whose words or whose model changed, at most `limit`; how many rows were written."""
    return _embed(_PROFILES, profile_text, limit=limit, progress=progress)


def embed_products(*, limit: int | None = None, progress: Progress | None = None) -> int:
    """Embed the products whose name, category or description changed, at most `limit`."""
    return _embed(_PRODUCTS, product_text, limit=limit, progress=progress)


def embed_segments() -> int:
    """Embed the words of every 'people like …' segment that changed; how many there were."""
    segments = list(Segment.objects.exclude(like_text="").only("pk", "like_text", "like_hash"))
    if not segments:
        return 0
    embedder = _embedder()
    due = [(s, content_hash(embedder.name, s.like_text)) for s in segments]
    due = [(segment, digest) for segment, digest in due if segment.like_hash != digest]
    if due:
        for (segment, digest), vector in zip(
            due, embedder.embed([segment.like_text for segment, _ in due]), strict=True
        ):
            # The text is the compare: who changed it meanwhile is embedded at the next round.
            Segment.objects.filter(pk=segment.pk, like_text=segment.like_text).update(
                like_vector=vector, like_hash=digest
            )
    return len(due)


def due_profiles() -> int:
    """How many readers wait to be embedded with the embedder in use. Loads it."""
    return _count_due(_PROFILES, _embedder().name)


def content_hash(model: str, text: str) -> str:
    return hashlib.sha256(f"{model}\n{text}".encode()).hexdigest()


# -- what is near ------------------------------------------------------------------------------------


def similar_products(*, profile_id: int, count: int = 3) -> list[Product]:
    """Available products nearest to this reader's words, nearest first, without what was bought lately."""
    return similar_products_for(profile_ids=[profile_id], count=count).get(profile_id, [])


_NEAR_PRODUCTS = """
SELECT reader.profile_id, near.product_id
FROM campaigns_profileembedding reader
CROSS JOIN LATERAL (
    SELECT item.product_id, item.vector <=> reader.vector AS distance
    FROM campaigns_productembedding item JOIN campaigns_product product ON product.id = item.product_id
    WHERE product.is_available AND item.model = reader.model AND NOT EXISTS (
        SELECT 1 FROM campaigns_event bought
        WHERE bought.profile_id = reader.profile_id AND bought.product_id = item.product_id
          AND bought.name = 'purchased' AND bought.occurred_at > %s)
    ORDER BY item.vector <=> reader.vector LIMIT %s
) near
WHERE reader.profile_id = ANY(%s) AND near.distance <= %s
ORDER BY reader.profile_id, near.distance, near.product_id
"""


@transaction.atomic
def similar_products_for(*, profile_ids: Sequence[int], count: int = 3) -> dict[int, list[Product]]:
    """As `similar_products`, for many readers in one query. A reader without a vector is not in the answer."""
    since = timezone.now() - timedelta(days=RECENT_DAYS)
    with connection.cursor() as cursor:
        # Without it, an index scan ends before enough products that are available and not bought were seen.
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        cursor.execute(_NEAR_PRODUCTS, (since, count, list(profile_ids), 1 - LEAST_SIMILARITY))
        pairs = cursor.fetchall()
    products = Product.objects.in_bulk({product_id for _, product_id in pairs})
    found: dict[int, list[Product]] = {}
    for profile_id, product_id in pairs:
        found.setdefault(profile_id, []).append(products[product_id])
    return found


def similar_profiles(*, profile_id: int, count: int = 10) -> list[Profile]:
    """The readers whose words are nearest to this one's, nearest first, without themselves."""
    own = ProfileEmbedding.objects.filter(profile_id=profile_id).only("vector", "model").first()
    if own is None:
        return []
    near = (
        ProfileEmbedding.objects.filter(model=own.model)
        .exclude(profile_id=profile_id)
        .order_by(CosineDistance("vector", own.vector))
        .select_related("profile")[:count]
    )
    return [row.profile for row in near]


def like_distance(segment: Segment) -> CosineDistance:
    """How far a ProfileEmbedding lies from the words of a 'people like …' segment, for ordering."""
    return CosineDistance(F("vector"), segment.like_vector)


# -- the work ----------------------------------------------------------------------------------------


def _embed(kind: _Kind, text_of: Callable[..., str], *, limit: int | None, progress: Progress | None) -> int:
    embedder = _embedder()
    due = _count_due(kind, embedder.name)
    total = due if limit is None else min(limit, due)
    with _index_built_last(kind, total):
        done = _embed_pages(kind, text_of, embedder, total, progress)
    if done:
        log.info("embedded", kind=kind.table, rows=done, model=embedder.name)
    return done


def _embed_pages(
    kind: _Kind, text_of: Callable[..., str], embedder: Embedder, total: int, progress: Progress | None
) -> int:
    known: OrderedDict[str, list[float]] = OrderedDict()
    done = 0
    while done < total:
        rows = _page(kind, embedder.name, min(PAGE, total - done))
        if not rows:
            break
        texts = {digest: text_of(*words) for _, digest, *words in rows}

        def report(share: float, before: int = done, size: int = len(rows)) -> None:
            if progress:
                progress(before + int(share * size), total)

        _learn(embedder, texts, known, report)
        _store(kind, embedder.name, [(key, digest, known[digest]) for key, digest, *_ in rows])
        done += len(rows)
        while len(known) > REMEMBERED:
            known.popitem(last=False)
        if progress:
            progress(done, total)
    return done


@contextmanager
def _index_built_last(kind: _Kind, count: int) -> Iterator[None]:
    """For a large load, take the vector index away and build it at the end; searches meanwhile scan, and are exact.

    An index that is missing because such a load was killed is built by the next call, whatever its size.
    """
    if connection.in_atomic_block:  # somebody else's transaction must not hold the table's lock
        yield
        return
    index = next(index for index in kind.model._meta.indexes if index.name.endswith("_vector_hnsw"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (_BULK_LOCK,))
        if not cursor.fetchone()[0]:
            yield
            return
        try:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (index.name,))
            present = bool(cursor.fetchone()[0])
            if present and count >= BULK and count > kind.model._default_manager.count():
                with connection.schema_editor() as editor:
                    editor.remove_index(kind.model, index)
                present = False
            try:
                yield
            finally:
                if not present:
                    with connection.schema_editor() as editor:
                        editor.execute("SET LOCAL maintenance_work_mem = '256MB'")
                        editor.add_index(kind.model, index)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (_BULK_LOCK,))


def _embedder() -> Embedder:
    embedder = engines.get_embedder()
    if embedder.dimension != EMBEDDING_DIMENSION:
        raise ImproperlyConfigured(
            f"EMBEDDING_MODEL {embedder.name} makes vectors of {embedder.dimension} numbers; the index holds "
            f"{EMBEDDING_DIMENSION}. Choose a model of that size, or change EMBEDDING_DIMENSION with a migration."
        )
    return embedder


def _learn(
    embedder: Embedder,
    texts: dict[str, str],
    known: OrderedDict[str, list[float]],
    report: Callable[[float], None],
) -> None:
    """Compute the vectors of texts not known yet, the long ones together: a batch is as slow as its longest."""
    unknown = sorted((text, digest) for digest, text in texts.items() if digest not in known)
    unknown.sort(key=lambda pair: len(pair[0]))
    for start in range(0, len(unknown), settings.EMBEDDING_BATCH):
        batch = unknown[start : start + settings.EMBEDDING_BATCH]
        vectors = embedder.embed([text for text, _ in batch])
        known.update((digest, vector) for (_, digest), vector in zip(batch, vectors, strict=True))
        report((start + len(batch)) / len(unknown))


def _hash_sql(kind: _Kind) -> str:
    return f"encode(sha256(convert_to(%s || E'\\n' || {kind.hashed}, 'UTF8')), 'hex')"


def _due_sql(kind: _Kind) -> str:
    return (
        f"FROM {kind.table} t LEFT JOIN {kind.index} e ON e.{kind.key} = t.id "
        f"WHERE {kind.due} AND (e.content_hash IS NULL OR e.content_hash <> {_hash_sql(kind)})"
    )


def _count_due(kind: _Kind, model: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {_due_sql(kind)}", (model,))
        return int(cursor.fetchone()[0])


def _page(kind: _Kind, model: str, size: int) -> list[tuple[int, str, *tuple[object, ...]]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT t.id, {_hash_sql(kind)}, {kind.columns} {_due_sql(kind)} ORDER BY t.id LIMIT %s",
            (model, model, size),
        )
        return list(cursor.fetchall())


@transaction.atomic
def _store(kind: _Kind, model: str, rows: Iterable[tuple[int, str, list[float]]]) -> None:
    """Upsert vectors by COPY into a scratch table. A row whose owner was erased meanwhile is dropped by the join."""
    written: dict[int, str] = {}  # by identity: rows that share a text share the list, and its text form
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE fresh_vector (id bigint, content_hash varchar(64), vector halfvec) ON COMMIT DROP"
        )
        with cursor.copy("COPY fresh_vector (id, content_hash, vector) FROM STDIN") as copy:
            for key, digest, vector in rows:
                if id(vector) not in written:
                    written[id(vector)] = HalfVector(vector).to_text()
                copy.write_row((key, digest, written[id(vector)]))
        cursor.execute(
            f"INSERT INTO {kind.index} ({kind.key}, model, content_hash, vector, updated_at) "
            f"SELECT f.id, %s, f.content_hash, f.vector, now() FROM fresh_vector f JOIN {kind.table} t USING (id) "
            f"ORDER BY f.id ON CONFLICT ({kind.key}) DO UPDATE SET model = EXCLUDED.model, "
            "content_hash = EXCLUDED.content_hash, vector = EXCLUDED.vector, updated_at = EXCLUDED.updated_at",
            (model,),
        )
        cursor.execute("DROP TABLE fresh_vector")
