"""Leaks: probe the sets of a training before fitting, and report all findings together.

A column that predicts the label well may be an honest feature, so it is a warning by itself. Values from after the cutoff,
copied rows and a pipeline that carries labels are refused.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tidemill.arrow import to_frame
from tidemill.errors import ArtifactCorrupt, LeakageFound
from tidemill.modeling.estimators import fit
from tidemill.modeling.leakage import Leak, find_changed, find_copies, find_late, find_telling, placebo
from tidemill.modeling.schema import FeatureSchema
from tidemill.runtime.job import Job
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import feature_schema, target_values
from tidemill.storage.layout import FEATURES, PARTITION, TARGET
from tidemill.storage.tables import read_table
from tidemill.warehouse.model_queries import query_digest

__all__ = ["probe_leaks"]

_ACKNOWLEDGE = (
    "If its value is known by the cutoff, list it in train.known_ahead; if it follows from the outcome, leave it out."
)
_log = logging.getLogger(__name__)

N_SERVED = 3  # newest partitions of the window to compare with the rows scored on their day


def probe_leaks(job: Job, rows: pa.Table, sets: Mapping[str, pa.Table]) -> tuple[str, ...]:
    """Run the leak probe on the rows of a training; return a sentence about each column that predicts the label very well.

    Parameters
    ----------
    rows : pyarrow.Table
        All rows of the training snapshot, with the key of their partition.
    sets : mapping of str to pyarrow.Table
        The labelled rows of ``train``, ``validation`` and ``test``.

    Raises
    ------
    LeakageFound
        If there is a sign of a leak besides such a column.
    """
    spec = job.spec
    # All columns of the query, not only features: any that knows the outcome shows that the query reads the future.
    every = feature_schema(spec.model_copy(update={"features": None}), rows.schema)
    vouched = set(spec.train.known_ahead)
    looked_at = FeatureSchema(
        numeric=tuple(name for name in every.numeric if name not in vouched),
        categorical=tuple(name for name in every.categorical if name not in vouched),
    )
    frames = {name: to_frame(table) for name, table in sets.items()}
    train, features = frames["train"], feature_schema(spec, rows.schema)
    y = target_values(sets["train"][TARGET])
    strong = find_telling(train, y, looked_at, spec.task.value, entities=train[spec.entity_key])
    found = [
        *_late(job, rows, vouched),
        *_changed(job, rows, [name for name in every.names if name not in vouched]),
        *_copied(spec, frames, features),
    ]
    if not found:  # a placebo needs a fit and does not identify a column
        found = _placebo(job, frames, sets, features)
    if found:
        signs = "; ".join(leak.how for leak in (*strong, *found))
        raise LeakageFound(
            f"The training of {spec.model!r} knows what only the future knows: {signs}.",
            f"Let {spec.source.features} count only what was observed by :cutoff; a column that is known ahead beyond doubt "
            "goes into train.known_ahead.",
        )
    warnings = tuple(f"{leak.how}. {_ACKNOWLEDGE}" for leak in strong)
    for warning in warnings:
        _log.warning("%s", warning)
    return warnings


def _copied(spec: ModelSpec, frames: Mapping[str, pd.DataFrame], features: FeatureSchema) -> list[Leak]:
    """Return rows that are in two sets. A hash puts no key into two, and alike rows of other keys into any set."""
    if not spec.has_time:
        return []
    return find_copies(frames["train"], frames["test"], features, (spec.entity_key, spec.time_column))


def _late(job: Job, rows: pa.Table, vouched: set[str]) -> list[Leak]:
    frame = rows.select([name for name in rows.column_names if name.endswith("observed_at")]).to_pandas()
    if frame.columns.empty:
        return []
    cutoffs = {key: pd.Timestamp(_cutoff_of(job, key)) for key in set(rows[PARTITION].to_pylist())}
    found = find_late(
        frame, (cutoffs[key] for key in rows[PARTITION].to_pylist()), rows[job.spec.entity_key].to_pylist()
    )
    return [leak for leak in found if leak.subject not in vouched]


def _cutoff_of(job: Job, key: str) -> datetime:
    """Return the cutoff of a training row; without a time, all rows are as of the training's."""
    return job.spec.partition(key).cutoff if job.spec.has_time else job.partition.cutoff


def _changed(job: Job, rows: pa.Table, names: list[str]) -> list[Leak]:
    served = list(_served(job, rows)) if job.spec.has_time else []  # without a time, a table is as it is now
    if not served:
        return []
    before = pd.concat(served)
    now = to_frame(rows)
    key = (job.spec.entity_key, PARTITION)
    return find_changed(before, now[now[PARTITION].isin(set(before[PARTITION]))], key, names)


def _served(job: Job, rows: pa.Table) -> Iterator[pd.DataFrame]:
    """Return the rows of the window's newest partitions as scored: same query, same cutoff."""
    digest = query_digest(*(job.workspace.query(file) for file in job.spec.source.queries(labelled=False)))
    keys = sorted(set(rows[PARTITION].to_pylist()))
    for served in job.publisher.served(job.spec.model, keys, digest, limit=N_SERVED):
        if served.cutoff == job.spec.partition(served.partition).cutoff:
            with suppress(ArtifactCorrupt):  # removed by retention; the doctor reports other reasons
                folder = job.store.folder(served.snapshot_uri, served.snapshot_digest)
                yield to_frame(read_table(folder / FEATURES))


def _placebo(
    job: Job, frames: Mapping[str, pd.DataFrame], sets: Mapping[str, pa.Table], features: FeatureSchema
) -> list[Leak]:
    train, spec = job.spec.train, job.spec
    y = {name: target_values(table[TARGET]) for name, table in sets.items()}

    def scorer(
        X_train: pd.DataFrame, y_train: npt.NDArray[np.generic], X_stop: pd.DataFrame, y_stop: npt.NDArray[np.generic]
    ) -> Callable[[pd.DataFrame], npt.NDArray[np.float64]]:
        return fit(
            train.estimators[0],
            spec.task.value,
            features,
            X_train,
            y_train,
            X_stop,
            y_stop,
            random_state=train.random_state,
            n_threads=train.threads,
            own=train.own,
        ).score

    return placebo(
        scorer, frames["train"], y["train"], frames["validation"], y["validation"], random_state=train.random_state
    )
