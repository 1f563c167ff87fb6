"""Scoring batch by batch: what can be made ready once is made ready once.

A batch of Arrow columns goes through look-ups into one matrix and through the estimator, without a frame. The scores
are those of `Bundle.score`, bit by bit, whatever the size of the batches and the number of threads.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost

from tidemill.modeling.bundle import Bundle
from tidemill.modeling.lookups import LookUps

__all__ = ["Scorer"]

_ROWS_PER_THREAD = 4_096  # fewer are done sooner than another thread has woken up


@dataclass(frozen=True, slots=True)
class Scorer:
    """A bundle that is ready for many batches."""

    bundle: Bundle
    """The model."""
    lookups: LookUps | None
    """Its preprocessing, compiled; None if it has to be asked itself."""
    n_threads: int
    """Threads of a prediction."""

    @classmethod
    def of(cls, bundle: Bundle, n_threads: int, n_rows: int) -> Self:
        """Make a bundle ready to score about so many rows with at most so many threads.

        A row is one thread's work from the first tree to the last, so that their number changes no bit.
        """
        threads = max(1, min(n_threads, n_rows // _ROWS_PER_THREAD))
        if isinstance(bundle.model, xgboost.Booster):
            bundle.model.set_param({"nthread": threads})
        return cls(bundle, LookUps.of(bundle.preprocessing, bundle.schema), threads)

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        """Give the scores of some rows, as `Bundle.score` does.

        Raises
        ------
        SchemaChanged, ContractBroken
            If the columns cannot be aligned.
        """
        if self.lookups is None or not batch.num_rows or not self.lookups.takes(batch.schema):
            return self.bundle.score(batch.to_pandas())
        dtype: Any = np.float32 if isinstance(self.bundle.model, xgboost.Booster) else np.float64
        return self.bundle.score_of(self.lookups.matrix(batch, dtype), self.n_threads)
