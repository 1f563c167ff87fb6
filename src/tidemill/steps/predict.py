"""Predict: score a snapshot with a resolved release, and write the rows; nobody sees them yet.

The rows stream: while Postgres takes one batch, threads score the next ones, and no more than a few are in memory.
"""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from tidemill.errors import IncompletePublish
from tidemill.modeling.scorer import Scorer
from tidemill.records import PredictionRef, ReleaseRef, SnapshotRef
from tidemill.steps.ahead import ahead
from tidemill.steps.answers import answers, reasons_of
from tidemill.steps.extract import FEATURES
from tidemill.steps.limits import cores
from tidemill.steps.running import Job
from tidemill.storage.bundles import load_bundle
from tidemill.storage.tables import read_batches, read_schema

__all__ = ["BATCH_ROWS", "predict"]

N_KEYS = 5  # keys named in an error
BATCH_ROWS = 32_768
"""Rows read, scored and encoded at once: 5 MB of 20 columns. The scores do not depend on it."""
COMPILED_FROM_ROWS = 250_000
"""Rows from which trees are compiled: that takes 1.5 s of a processor, and saves 6 microseconds a row. Scores are the same."""


def predict(job: Job, release: ReleaseRef, snapshot: SnapshotRef) -> PredictionRef:
    """Score every row of a snapshot and write the scores into a table of their own.

    Raises
    ------
    ArtifactCorrupt
        If the bundle or the snapshot is not what the ledger says.
    IncompletePublish
        If a score is not a number, or a row is lost on the way.
    StaleAttempt
        If a newer attempt has claimed the partition, before or meanwhile.
    """
    spec = job.spec
    # Each attempt at this step has a token of its own, so that of two which overlap the older one is stale.
    token = job.publisher.renew(spec.model, release.partition, release.token, job.run_id) if release.token else 0
    asked = job.store.path(release.bundle_uri), release.bundle_digest, spec.train.trusted
    scorer = _compiled(*asked) if snapshot.n_rows >= COMPILED_FROM_ROWS else _scorer(*asked)
    bundle = scorer.bundle
    path = job.store.folder(snapshot.uri, snapshot.digest) / FEATURES
    bundle.score(read_schema(path).empty_table().to_pandas())  # refuses columns that do not fit, of no rows too
    job.publisher.declare(spec.model, spec.entity_key, spec.event_time, bundle.task)
    names = [spec.entity_key, spec.event_time, *bundle.schema.names]
    score = partial(_scored, job, release, scorer)
    n_threads = min(spec.predict.threads or cores(), snapshot.n_rows // BATCH_ROWS)
    with ahead(score, read_batches(path, names, BATCH_ROWS), n_threads) as rows:
        return job.publisher.write(release, snapshot, rows, token=token, threshold=bundle.threshold, run_id=job.run_id)


@lru_cache(maxsize=2)  # a backfill crosses from one release to the next
def _scorer(folder: Path, digest: str, trusted: frozenset[str]) -> Scorer:
    return Scorer.of(load_bundle(folder, digest, trusted))


@lru_cache(maxsize=2)
def _compiled(folder: Path, digest: str, trusted: frozenset[str]) -> Scorer:
    return _scorer(folder, digest, trusted).compiled()


def _scored(job: Job, release: ReleaseRef, scorer: Scorer, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give what is published of some rows of the snapshot."""
    spec, bundle = job.spec, scorer.bundle
    scores = scorer.score(batch)
    keys = batch.column(spec.entity_key).cast(pa.string())
    _refuse_undefined(keys, scores, release)
    columns = {"entity_key": keys, "event_time": batch.column(spec.event_time), **answers(bundle, scores)}
    if spec.predict.reasons:
        columns["reasons"] = reasons_of(bundle, batch.to_pandas(), spec.predict.reasons)
    return pa.record_batch(columns)


def _refuse_undefined(keys: pa.Array, scores: np.ndarray, release: ReleaseRef) -> None:
    undefined = ~np.isfinite(scores).all(axis=tuple(range(1, scores.ndim)))  # of every class, where there are several
    if undefined.any():
        examples = keys.filter(pa.array(undefined)).slice(0, N_KEYS).to_pylist()
        raise IncompletePublish(
            f"Release {release.release_id} of {release.model!r} gives no number for {int(undefined.sum())} of "
            f"{len(scores)} rows, such as {examples}.",
            "Nothing was published; look at these rows, or roll the release back.",
        )
