"""Predict: score a snapshot with a resolved release, and write the rows without publishing them.

The rows stream: while Postgres takes one batch, threads score the next ones, so that only a few are in memory. If a
partition is cut into shards, ``score`` scores one of them and ``predict`` writes the scores of all.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.arrow import to_frame
from tidemill.checks import RECORD
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.scorer import Scorer
from tidemill.records import PredictionRef, ReleaseRef, ScoresRef, Shard, SnapshotRef
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.runtime.limits import BATCH_ROWS, usable_cores
from tidemill.runtime.memory import give_back
from tidemill.steps.predict.answers import answers, reasons_of
from tidemill.steps.predict.compatibility import refuse_unlike_training
from tidemill.steps.predict.prefetch import ahead
from tidemill.steps.predict.shards import SCORES, put_together
from tidemill.steps.predict.undefined import UndefinedRows, is_defined, with_undefined
from tidemill.storage.bundles import load_bundle
from tidemill.storage.layout import FEATURES, QUARANTINE
from tidemill.storage.tables import read_batches, read_schema, table_writer
from tidemill.warehouse.predictions.rows import ScoredRows

__all__ = ["predict", "score", "write_scores"]

COMPILED_FROM_ROWS = 250_000
"""Rows from which trees are compiled: it takes 1.5 s of processor time, saves 6 µs per row, and keeps the scores."""


@declarations.predict
def predict(job: Job, release: ReleaseRef, snapshot: SnapshotRef, scores: tuple[ScoresRef, ...] = ()) -> PredictionRef:
    """Write the scores of every row of a snapshot into a table of their own.

    Rows whose score is not a number are set aside, beside those that `extract` has set aside.

    Parameters
    ----------
    scores : tuple of ScoresRef, default ()
        Scores of each shard; if empty, all rows are scored here.

    Raises
    ------
    ArtifactCorrupt
        If the bundle, the snapshot or a shard's scores differ from the ledger.
    IncompletePublish
        If more scores are not a number than ``predict.quarantine`` allows, or a row or a shard is missing.
    StaleAttempt
        If a newer attempt has claimed the partition, before or meanwhile.
    """
    # Each attempt at this step has a separate token, so that the older of two overlapping attempts is stale.
    token = job.publisher.renew(job.spec.model, release.partition, release.token, job.run_id) if release.token else 0
    return write_scores(job, replace(release, token=token), snapshot, scores)


def write_scores(
    job: Job, release: ReleaseRef, snapshot: SnapshotRef, scores: tuple[ScoresRef, ...] = ()
) -> PredictionRef:
    """Write the scores of a snapshot into a table of their own, under the release's claim; without one nothing publishes it."""
    spec = job.spec
    bundle = _scorer(job.store.path(release.bundle_uri), release.bundle_digest, spec.train.trusted).bundle
    job.publisher.declare(spec.model, spec.entity_key, spec.time_column, bundle.task)
    limit = spec.predict.quarantine.limit(snapshot.n_rows + snapshot.n_set_aside)
    undefined = UndefinedRows(release=release, snapshot=snapshot, limit=limit)
    with ExitStack() as stack:
        if scores:
            rows = put_together(job.store, snapshot, release.bundle_digest, scores, BATCH_ROWS)
        else:
            rows = stack.enter_context(_answered(job, release, snapshot, Shard(start=0, stop=snapshot.n_rows)))
        set_aside = chain(_recorded(job, snapshot), undefined.records())
        written = ScoredRows(published=undefined.left_out(rows), set_aside=set_aside)
        return job.publisher.write(
            release, snapshot, written, token=release.token, threshold=bundle.threshold, run_id=job.run_id
        )


@declarations.score
def score(job: Job, release: ReleaseRef, snapshot: SnapshotRef, shard: Shard) -> ScoresRef:
    """Score a shard of a snapshot and store its prediction columns; idempotent.

    Raises
    ------
    ArtifactCorrupt
        If the bundle or the snapshot differs from the ledger.
    """
    n_rows = 0

    def fill(folder: Path) -> None:
        nonlocal n_rows
        writer = None
        with _answered(job, release, snapshot, shard) as rows:
            for batch in rows:
                writer = writer or table_writer(folder / SCORES, batch.schema)
                writer.write_batch(batch)
                n_rows += batch.num_rows
        if writer is not None:
            writer.close()

    stored = job.store.write(job.spec.model, "scores", fill)
    return ScoresRef(
        shard=shard,
        snapshot_digest=snapshot.digest,
        bundle_digest=release.bundle_digest,
        digest=stored.digest,
        uri=stored.uri,
        n_rows=n_rows,
    )


def _recorded(job: Job, snapshot: SnapshotRef) -> Iterator[pa.RecordBatch]:
    """Yield why `extract` has set rows aside."""
    if snapshot.n_set_aside:
        yield from read_batches(job.store.folder(snapshot.uri, snapshot.digest) / QUARANTINE, RECORD.names, BATCH_ROWS)


@contextmanager
def _answered(job: Job, release: ReleaseRef, snapshot: SnapshotRef, shard: Shard) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield the prediction columns of some rows of the snapshot, scored lazily."""
    spec = job.spec
    asked = job.store.path(release.bundle_uri), release.bundle_digest, spec.train.trusted
    n_rows = shard.stop - shard.start
    many = n_rows >= COMPILED_FROM_ROWS
    if many:
        give_back()  # left in this process by the extraction
    scorer = (_compiled if many else _scorer)(*asked)
    path = job.store.folder(snapshot.uri, snapshot.digest) / FEATURES
    refuse_unlike_training(scorer.bundle.schema, release, snapshot, path)
    scorer.bundle.score(to_frame(read_schema(path).empty_table()))  # refuses columns that do not fit, even without rows
    names = [spec.entity_key, spec.time_column, *scorer.bundle.schema.names]
    batches = read_batches(path, names, BATCH_ROWS, shard.start, shard.stop)
    n_threads = min(spec.predict.threads or usable_cores(), n_rows // BATCH_ROWS)
    with ahead(partial(_scored, job, scorer), batches, n_threads) as rows:
        yield rows


@lru_cache(maxsize=2)  # a backfill may span several releases
def _scorer(folder: Path, digest: str, trusted: frozenset[str]) -> Scorer:
    return Scorer.of(load_bundle(folder, digest, trusted))


@lru_cache(maxsize=2)
def _compiled(folder: Path, digest: str, trusted: frozenset[str]) -> Scorer:
    return _scorer(folder, digest, trusted).compiled()


def _scored(job: Job, scorer: Scorer, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the prediction columns of some rows of the snapshot; where the score is not a number, all answers are null."""
    scores = scorer.score(batch)
    defined = is_defined(scores)
    if defined.all():
        return _answers(job, scorer.bundle, batch, scores)
    answered = _answers(job, scorer.bundle, batch.filter(pa.array(defined)), scores[defined])
    return with_undefined(answered, _identified(job, batch.filter(pa.array(~defined))))


def _answers(job: Job, bundle: Bundle, batch: pa.RecordBatch, scores: npt.NDArray[np.float64]) -> pa.RecordBatch:
    """Return the prediction columns of rows by their scores."""
    rows = _identified(job, batch)
    columns = {name: rows[name] for name in rows.schema.names} | answers(bundle, scores)
    if job.spec.predict.reasons:
        columns["reasons"] = reasons_of(bundle, to_frame(batch), job.spec.predict.reasons)
    return pa.record_batch(columns)


def _identified(job: Job, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return key and time of rows under the names of the predictions."""
    key, time = batch.column(job.spec.entity_key).cast(pa.string()), batch.column(job.spec.time_column)
    return pa.record_batch({"entity_key": key, "event_time": time})
