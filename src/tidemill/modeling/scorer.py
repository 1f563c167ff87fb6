"""Score Arrow batches without data frames; everything that can be prepared in advance is prepared once.

The scores equal those of `Bundle.score` bit by bit, for any batch size and number of threads.
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
    """A bundle prepared for many batches; thread-safe."""

    bundle: Bundle
    """Fitted model."""
    lookups: LookUps | None
    """Compiled preprocessing; None if it cannot be compiled."""
    forest: Forest | None = None
    """Compiled trees; None if the model predicts itself."""

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """Prepare a bundle.

        One thread scores a batch, since threads that share a batch wait for each other at every tree. For more
        throughput, score several batches in parallel.
        """
        if isinstance(bundle.model, xgboost.Booster):
            bundle.model.set_param({"nthread": 1})
        return cls(bundle, LookUps.of(bundle.preprocessing, bundle.schema))

    def compiled(self) -> Self:
        """Compile the trees too, for many rows: this takes a second or two, and saves some microseconds per row."""
        if self.lookups is None:
            return self
        return replace(self, forest=Forest.of(self.bundle.model, self.bundle.task, self.lookups.n_columns))

    def score(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        """Return the scores of a batch, as `Bundle.score` does.

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
