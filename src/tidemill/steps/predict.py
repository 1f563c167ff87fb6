"""Predict: score a snapshot with a resolved release, and write the rows; nobody sees them yet."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from tidemill.errors import IncompletePublish
from tidemill.modeling.bundle import Bundle
from tidemill.records import PredictionRef, ReleaseRef, SnapshotRef
from tidemill.steps.answers import answers, reasons_of
from tidemill.steps.extract import FEATURES
from tidemill.steps.features import read_columns
from tidemill.steps.running import Job
from tidemill.storage.bundles import load_bundle

__all__ = ["predict"]

N_KEYS = 5  # keys named in an error


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
    bundle = _bundle(job.store.path(release.bundle_uri), release.bundle_digest, spec.train.trusted)
    path = job.store.folder(snapshot.uri, snapshot.digest) / FEATURES
    rows = read_columns(path, [spec.entity_key, spec.event_time, *bundle.schema.names])
    X = rows.to_pandas()
    scores = bundle.score(X)
    keys = rows[spec.entity_key].cast(pa.string())
    _refuse_undefined(keys, scores, release)
    job.publisher.declare(spec.model, spec.entity_key, spec.event_time, bundle.task)
    columns = {"entity_key": keys, "event_time": rows[spec.event_time], **answers(bundle, scores)}
    if spec.predict.reasons:
        columns["reasons"] = reasons_of(bundle, X, spec.predict.reasons)
    table = pa.table(columns)
    return job.publisher.write(release, snapshot, table, token=token, threshold=bundle.threshold, run_id=job.run_id)


@lru_cache(maxsize=2)  # a backfill crosses from one release to the next
def _bundle(folder: Path, digest: str, trusted: frozenset[str]) -> Bundle:
    return load_bundle(folder, digest, trusted)


def _refuse_undefined(keys: pa.ChunkedArray, scores: np.ndarray, release: ReleaseRef) -> None:
    undefined = ~np.isfinite(scores).all(axis=tuple(range(1, scores.ndim)))  # of every class, where there are several
    if undefined.any():
        examples = keys.filter(pa.array(undefined)).slice(0, N_KEYS).to_pylist()
        raise IncompletePublish(
            f"Release {release.release_id} of {release.model!r} gives no number for {int(undefined.sum())} of "
            f"{len(scores)} rows, such as {examples}.",
            "Nothing was published; look at these rows, or roll the release back.",
        )
