"""Fit XGBoost on more rows than memory: read them in pieces, encode them, and keep them on disk as bins.

The model equals that of `fit` on the same rows. On one machine, even the bits have been the same so far, which XGBoost
does not guarantee. Memory holds one piece, some pages of bins, and a few numbers per row: label, prediction, gradient.

The caller decides where the trees are grown: here (`boost_on_disk`), or in several processes with a share of the rows each.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost
from threadpoolctl import threadpool_limits

from tidemill.arrow import to_frame
from tidemill.errors import StorageFull
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.compiled.lookups import LookUps
from tidemill.modeling.estimators.boosting import Boosting
from tidemill.modeling.estimators.fitting import Options, choose_rest, refuse_unfit
from tidemill.modeling.estimators.targets import Labels
from tidemill.modeling.levels import fit_for_trees
from tidemill.modeling.schema import FeatureSchema
from tidemill.modeling.scorer import Scorer
from tidemill.modeling.tasks import task_type

__all__ = ["Boost", "Encoding", "Page", "Pieces", "boost_on_disk", "fit_in_pieces", "score_in_pieces"]

Matrix = npt.NDArray[np.float32]
Page = tuple[Matrix, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """A data set that can be read in pieces any number of times."""

    read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    """Returns the given columns of all rows, always in the same order and the same pieces."""
    y: npt.NDArray[Any]
    """Labels of all rows, as for `fit`, shape (n_samples,)."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Fitted encoders, which convert a piece to a matrix for XGBoost."""

    transformer: Any
    """Fitted by `fit_for_trees`."""
    schema: FeatureSchema
    lookups: LookUps | None
    """The compiled transformer."""

    @classmethod
    def fit(cls, schema: FeatureSchema, pieces: Pieces) -> Self:
        """Fit in one pass over the train set."""
        texts = FeatureSchema(categorical=schema.categorical)
        batches = pieces.read(schema.categorical) if schema.categorical else ()
        encoders = fit_for_trees(schema, (align(to_frame(batch), texts) for batch in batches))
        return cls(encoders, schema, LookUps.of(encoders, schema))

    def matrix(self, batch: pa.RecordBatch) -> Matrix:
        """Return the encoded matrix of a piece, shape (n_samples, n_features)."""
        if self.lookups is not None and self.lookups.takes(batch.schema):
            return np.asarray(self.lookups.matrix(batch, np.float32))
        return np.asarray(self.transformer.transform(align(to_frame(batch), self.schema)), dtype=np.float32)

    def pages(self, pieces: Pieces, y: npt.NDArray[Any], used: npt.NDArray[np.bool_]) -> Iterator[Page]:
        """Yield the matrix and the labels of each piece's used rows."""
        start = 0
        for batch in pieces.read(self.schema.names):
            rows = slice(start, start := start + batch.num_rows)
            if used[rows].any():
                yield self.matrix(batch.filter(pa.array(used[rows]))), y[rows][used[rows]]


Boost = Callable[[Boosting, Encoding, Labels, npt.NDArray[np.bool_]], xgboost.Booster]
"""Grows the trees from settings, fitted encoders, labels, and the validation rows that stop boosting."""


def fit_in_pieces(
    task: str,
    schema: FeatureSchema,
    train: Pieces,
    validation: Pieces,
    *,
    stops: npt.NDArray[np.bool_],
    boost: Boost,
    **options: Unpack[Options],
) -> tuple[Bundle, npt.NDArray[np.float64]]:
    """Fit ``xgboost``, and choose its threshold or the quantiles of its residuals.

    Parameters
    ----------
    task, schema, **options
        As for `fit`.
    stops : ndarray of bool, shape (n_validation,)
        Validation rows that stop boosting.

    Returns
    -------
    bundle : Bundle
        Fitted model.
    score : ndarray of shape (n_validation,), or (n_validation, n_classes)
        Scores of the validation set.

    Raises
    ------
    SpecError, NotTrainable, SchemaChanged, ContractBroken
        As for `fit`.
    """
    parameters, n_threads = options.get("parameters") or {}, options["n_threads"]
    refuse_unfit("xgboost", task, schema, parameters)
    labels = Labels.of(task, train.y, validation.y)
    used = labels.known & stops
    engine = {**parameters, "seed": options["random_state"], "nthread": n_threads}
    boosting = Boosting.of(task, schema, len(labels.classes), engine, watched=bool(used.any()))
    with threadpool_limits(limits=n_threads):
        encoding = Encoding.fit(schema, train)
        booster = boost(boosting, encoding, labels, used)
    bundle = Bundle(
        task=task,
        estimator="xgboost",
        schema=schema,
        preprocessing=encoding.transformer,
        model=booster,
        classes=labels.classes,
        threshold=task_type(task).first_threshold,
        threshold_criterion="",
        remarks=labels.remarks,
        random_state=options["random_state"],
        n_threads=n_threads,
    )
    score = score_in_pieces(bundle, validation)
    return choose_rest(bundle, labels.validation[used], lambda: score[used]), score


def score_in_pieces(bundle: Bundle, pieces: Pieces) -> npt.NDArray[np.float64]:
    """Return the scores of a set, equal to those of `Bundle.score` on all rows at once."""
    scorer = Scorer.of(bundle)
    scores = [scorer.score(batch) for batch in pieces.read(bundle.schema.names)]
    return np.concatenate(scores) if scores else np.empty(0)


class _Pages(xgboost.DataIter):  # type: ignore[misc]  # untyped
    """Iterator over pages; XGBoost reads them several times to compute bins."""

    def __init__(self, pages: Callable[[], Iterator[Page]], kinds: list[str], cache: Path) -> None:
        self._make, self._kinds, self._folder = pages, kinds, cache.parent
        super().__init__(cache_prefix=str(cache))

    def reset(self) -> None:
        self._pages = self._make()

    def next(self, input_data: Callable[..., None]) -> bool:
        for X, y in self._pages:
            # XGBoost ends the process if it cannot write a page. The page is four times as large as its bins.
            free = shutil.disk_usage(self._folder).free
            if free < X.nbytes:
                raise StorageFull(
                    f"The storage is full: the bins of a training need up to {X.nbytes:,} more bytes in {self._folder}, "
                    f"where {free:,} are free.",
                    "Nothing was kept. Free some space, for example with 'tidemill gc', and run it again.",
                )
            input_data(data=X, label=y, feature_types=self._kinds)
            return True
        return False


def boost_on_disk(
    boosting: Boosting, train: Callable[[], Iterator[Page]], validation: Callable[[], Iterator[Page]], cache: Path
) -> xgboost.Booster:
    """Grow trees on pages that are kept on disk as bins, about one byte per value.

    Parameters
    ----------
    train, validation : callable
        Return the pages from the first one, any number of times.
    cache : Path
        Empty folder for the bins.

    Raises
    ------
    StorageFull
        If the disk has no room for the next page.
    """
    bins = _binned(boosting, train, cache / "train")
    aside = _binned(boosting, validation, cache / "validation", ref=bins) if boosting.watched else None
    try:
        return boosting.boost(bins, aside)
    finally:
        del bins, aside  # deletes their files before the folder is removed


def _binned(boosting: Boosting, pages: Callable[[], Iterator[Page]], cache: Path, ref: Any = None) -> Any:
    return xgboost.ExtMemQuantileDMatrix(
        _Pages(pages, boosting.kinds, cache),
        nthread=boosting.parameters["nthread"],
        max_bin=boosting.max_bin,
        ref=ref,
        enable_categorical=True,
    )
