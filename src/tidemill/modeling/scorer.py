"""Scoring batch by batch: what can be made ready once is made ready once.

A batch of Arrow columns goes through look-ups into one matrix and through the estimator, without a frame. The scores
are those of `Bundle.score`, bit by bit, whatever the size of the batches and the number of threads.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost

from tidemill.arrow import to_frame
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.compiled.forest import Forest
from tidemill.modeling.compiled.lookups import LookUps

__all__ = ["Scorer"]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A bundle that is ready for many batches, several at once if several threads ask it."""

    bundle: Bundle
    """The model."""
    lookups: LookUps | None
    """Its preprocessing, compiled; None if it has to be asked itself."""
    forest: Forest | None = None
    """Its trees, compiled; None if the model has to be asked itself."""

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """Make a bundle ready.

        Each batch is one thread's work: threads that share a batch wait for each other at every tree, and whoever
        wants more of them scores several batches side by side. A row's bits do not depend on it, for it is one thread's
        work from the first tree to the last either way.
        """
        if isinstance(bundle.model, xgboost.Booster):
            bundle.model.set_param({"nthread": 1})
        return cls(bundle, LookUps.of(bundle.preprocessing, bundle.schema))

    def compiled(self) -> Self:
        """Compile the trees as well, for many rows: it takes a second or two, and saves some microseconds a row."""
        if self.lookups is None:
            return self
        return replace(self, forest=Forest.of(self.bundle.model, self.bundle.task, self.lookups.n_columns))

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        """Return the scores of some rows, as `Bundle.score` does.

        Raises
        ------
        SchemaChanged, ContractBroken
            If the columns cannot be aligned.
        """
        if self.lookups is None or not batch.num_rows or not self.lookups.takes(batch.schema):
            return self.bundle.score(to_frame(batch))
        dtype: Any = np.float32 if isinstance(self.bundle.model, xgboost.Booster) else np.float64
        matrix = self.lookups.matrix(batch, dtype)
        if self.forest is None:
            return self.bundle.score_of(matrix, n_threads=1)
        return self.bundle.calibrated(self.forest.answer(matrix, self.bundle.task))
