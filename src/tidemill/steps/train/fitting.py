"""Fitting one estimator on a split, with all rows in memory or in pieces, depending on `train.engine`.

Both return a bundle that is finished and measured on the validation set.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import xgboost

from tidemill.arrow import to_frame
from tidemill.errors import SettingsError
from tidemill.faults import fault_point
from tidemill.metrics.evaluation import point_value
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.calibration import newer_half
from tidemill.modeling.estimators import (
    Boost,
    Boosting,
    Encoding,
    Labels,
    Pieces,
    SetWeights,
    boost_on_disk,
    fit,
    fit_in_pieces,
    score_in_pieces,
)
from tidemill.modeling.postprocess import Validated, finish, with_constant_answer, with_interval
from tidemill.modeling.schema import FeatureSchema
from tidemill.records import Parameters, SplitRef
from tidemill.runtime.job import Job
from tidemill.spec import BASELINES, ModelSpec
from tidemill.steps.data.features import (
    LabelledSet,
    feature_schema,
    keys_of,
    one_of,
    piece_rows,
    read_columns,
    read_sample,
    read_set,
    target_values,
)
from tidemill.storage.layout import PARTITION, TARGET
from tidemill.storage.scratch import scratch
from tidemill.storage.tables import read_batches, read_schema

__all__ = ["Fitted", "fitting_of"]

_FIRST_ROWS = 1_000  # rows read for the few that a bundle stores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """Result of a fit."""

    bundle: Bundle
    """The finished model."""
    first: pd.DataFrame
    """First raw rows of the validation set, at least as many as a bundle stores."""
    validation_score: float
    """The acceptance metric on the validation set."""
    fit_s: float
    """Fit time in seconds, excluding reading where that happens before."""

    @classmethod
    def finished(
        cls,
        spec: ModelSpec,
        bundle: Bundle,
        first: pd.DataFrame,
        rows: Validated,
        started: float,
    ) -> "Fitted":
        """Finish a bundle on the validation set."""
        newer = newer_half(rows.blocks)
        bundle = finish(
            bundle, rows, calibration=spec.train.calibration, calibrate_on=newer, threshold=spec.train.threshold
        )
        bundle = with_constant_answer(bundle, rows, spec.accept.metric)
        bundle = with_interval(bundle, rows)
        fit_s = time.perf_counter() - started
        worth = point_value(
            spec.accept.metric,
            rows.y,
            bundle.calibrated(rows.score),
            bundle.threshold,
            task=bundle.task,
            classes=bundle.class_names,
            sample_weight=rows.sample_weight,
            partitions=rows.blocks,
        )
        return cls(bundle=bundle, first=first, validation_score=worth, fit_s=fit_s)


def fitting_of(spec: ModelSpec, estimator: str) -> Callable[[Job, SplitRef, str, Parameters], Fitted]:
    """Return the fit function of a model's estimator; it may raise like `tidemill.modeling.estimators.fit`."""
    if spec.train.engine == "local":
        return _in_memory
    if estimator in BASELINES:
        return _on_a_sample
    return _on_cluster if spec.train.engine == "dask" else _in_pieces


def _learning_begins() -> None:
    """Mark the instant at which the training set is available, for every engine."""
    fault_point("fit-started")


def _in_memory(job: Job, split: SplitRef, estimator: str, parameters: Parameters) -> Fitted:
    train, validation = read_set(job, split, "train"), read_set(job, split, "validation")
    started = time.perf_counter()
    _learning_begins()
    newer = newer_half(validation.blocks)
    bundle = _fit(job.spec, estimator, train, validation, _stops(job.spec, newer), parameters)
    rows = Validated(
        score=bundle.score(validation.X),
        y=validation.y,
        blocks=validation.blocks,
        sample_weight=validation.sample_weight,
    )
    return Fitted.finished(job.spec, bundle, validation.X, rows, started)


def _on_a_sample(job: Job, split: SplitRef, estimator: str, parameters: Parameters) -> Fitted:
    """Fit a baseline on a sample, which suffices; finish and measure it on the whole validation set."""
    train, some = read_sample(job, split, "train"), read_sample(job, split, "validation")
    started = time.perf_counter()
    _learning_begins()
    whole = _Streamed.of(job, split, "validation")
    bundle = _fit(job.spec, estimator, train, some, _stops(job.spec, newer_half(some.blocks)), parameters)
    if (every := one_of(split.n_train)) > 1:
        bundle = replace(bundle, remarks=(*bundle.remarks, f"Fitted on one of {every} rows of the train set."))
    rows = Validated(score=score_in_pieces(bundle, whole.pieces), y=whole.pieces.y, blocks=whole.blocks())
    return Fitted.finished(job.spec, bundle, whole.first(), rows, started)


def _in_pieces(job: Job, split: SplitRef, estimator: str, parameters: Parameters) -> Fitted:
    started = time.perf_counter()
    train, validation = _Streamed.of(job, split, "train"), _Streamed.of(job, split, "validation")

    def boost(boosting: Boosting, encoding: Encoding, labels: Labels, used: npt.NDArray[np.bool_]) -> xgboost.Booster:
        every = np.full(len(labels.train), True)
        with scratch(job.store.root / job.spec.model / "bundles") as cache:
            _learning_begins()
            return boost_on_disk(
                boosting,
                lambda: encoding.pages(train.pieces, labels.train, every),
                lambda: encoding.pages(validation.pieces, labels.validation, used),
                cache,
            )

    return _fitted_in_pieces(job, parameters, train, validation, boost, started)


def _on_cluster(job: Job, split: SplitRef, estimator: str, parameters: Parameters) -> Fitted:
    if importlib.util.find_spec("distributed") is None:
        raise SettingsError(
            f"train.engine of {job.spec.model!r} is dask, and Dask is not installed here.",
            "Install the lock, or Tidemill with its extra 'dask': docs/deploy/dask.md.",
        )
    from tidemill.steps.train.dask_cluster.boosting import address_of, boost_on_cluster  # loads Dask, which is an extra

    started = time.perf_counter()
    address_of(job.spec)  # refuses a missing address before anything is read
    train, validation = _Streamed.of(job, split, "train"), _Streamed.of(job, split, "validation")
    _learning_begins()
    return _fitted_in_pieces(job, parameters, train, validation, partial(boost_on_cluster, job, split), started)


def _fitted_in_pieces(
    job: Job, parameters: Parameters, train: "_Streamed", validation: "_Streamed", boost: Boost, started: float
) -> Fitted:
    spec, blocks = job.spec, validation.blocks()
    bundle, score = fit_in_pieces(
        spec.task.value,
        train.schema,
        train.pieces,
        validation.pieces,
        stops=_stops(spec, newer_half(blocks)),
        boost=boost,
        random_state=spec.train.random_state,
        n_threads=spec.train.threads,
        parameters=parameters,
    )
    rows = Validated(score=score, y=validation.pieces.y, blocks=blocks)
    return Fitted.finished(spec, bundle, validation.first(), rows, started)


def _fit(
    spec: ModelSpec,
    estimator: str,
    train: LabelledSet,
    validation: LabelledSet,
    stops: npt.NDArray[np.bool_],
    parameters: Parameters,
) -> Bundle:
    return fit(
        estimator,
        spec.task.value,
        train.schema,
        train.X,
        train.y,
        validation.X[stops],
        validation.y[stops],
        random_state=spec.train.random_state,
        n_threads=spec.train.threads,
        parameters=parameters,
        own=spec.train.own,
        metric=spec.accept.metric,
        sample_weight=_weights(train, validation, stops),
        class_weight=spec.train.class_weight,
    )


def _weights(train: LabelledSet, validation: LabelledSet, stops: npt.NDArray[np.bool_]) -> SetWeights:
    if train.sample_weight is None or validation.sample_weight is None:
        return None
    return train.sample_weight, validation.sample_weight[stops]


def _stops(spec: ModelSpec, newer: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the validation rows for early stopping: those not used to fit the calibration."""
    return np.ones_like(newer) if spec.train.calibration == "none" else ~newer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Streamed:
    """The train or validation set on disk."""

    path: Path
    schema: FeatureSchema
    """Which columns are features."""
    pieces: Pieces
    """Its rows, in pieces, and its labels."""

    @classmethod
    def of(cls, job: Job, split: SplitRef, name: str) -> "_Streamed":
        path = job.store.folder(split.uri, split.digest) / f"{name}.parquet"
        y = target_values(read_columns(path, [TARGET])[TARGET])
        pieces = Pieces(read=partial(_read, path), y=y)
        return cls(path=path, schema=feature_schema(job.spec, read_schema(path), split.with_gaps), pieces=pieces)

    def blocks(self) -> npt.NDArray[np.object_]:
        """Key of each row's partition."""
        return keys_of(read_columns(self.path, [PARTITION])[PARTITION])

    def first(self) -> pd.DataFrame:
        """Return the first rows, with all columns."""
        columns = read_schema(self.path)
        some = next(read_batches(self.path, columns.names, _FIRST_ROWS), None)
        frame: pd.DataFrame = to_frame(columns.empty_table() if some is None else some)
        return frame


def _read(path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    return read_batches(path, names, piece_rows(len(names)))
