"""Rows whose score is not a number: they are set aside, as rows that break the contract are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.checks import RECORD
from tidemill.errors import IncompletePublish
from tidemill.records import ReleaseRef, SnapshotRef

__all__ = ["UndefinedRows", "is_defined", "with_undefined"]

NOT_A_NUMBER = "score_is_a_number"
"""Stands for an expectation in ``tidemill.quarantine``."""
N_KEYS = 5  # keys listed in an error


def is_defined(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which rows have a finite score, of every class if there are several.

    Examples
    --------
    >>> is_defined(np.array([[0.2, 0.8], [0.1, np.nan]])).tolist()
    [True, False]
    """
    return np.asarray(np.isfinite(scores).all(axis=tuple(range(1, scores.ndim))))


def with_undefined(defined: pa.RecordBatch, undefined: pa.RecordBatch) -> pa.RecordBatch:
    """Append rows to answered ones; they have a key and a time, and every answer is null."""
    columns = [
        undefined[field.name] if field.name in undefined.schema.names else pa.nulls(undefined.num_rows, field.type)
        for field in defined.schema
    ]
    return pa.concat_batches([defined, pa.record_batch(columns, schema=defined.schema)])


@dataclass(slots=True, kw_only=True)
class UndefinedRows:
    """The rows without a score, collected while the others are written."""

    release: ReleaseRef
    """Release that scores."""
    snapshot: SnapshotRef
    """Rows to score."""
    limit: int
    """How many rows of the partition may be set aside, those that break the contract included."""
    keys: list[str] = field(default_factory=list)
    """Keys found so far."""

    def left_out(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches without the rows that have no score.

        Raises
        ------
        IncompletePublish
            If there are more of them than may be set aside.
        """
        for batch in batches:
            if batch["score"].null_count:
                self.keys += batch["entity_key"].filter(pc.is_null(batch["score"])).to_pylist()
                self._refuse_too_many()
                batch = batch.filter(pc.is_valid(batch["score"]))
            yield batch

    def records(self) -> Iterator[pa.RecordBatch]:
        """Yield why the rows collected so far are set aside."""
        rows = [{"entity_key": key, "expectation": NOT_A_NUMBER, "column_name": "score"} for key in self.keys]
        yield pa.RecordBatch.from_pylist(rows, schema=RECORD)

    def _refuse_too_many(self) -> None:
        if self.snapshot.n_set_aside + len(self.keys) > self.limit:
            raise IncompletePublish(
                f"Release {self.release.release_id} of {self.release.model!r} returns a score that is not a number "
                f"for {len(self.keys)} or more "
                f"of {self.snapshot.n_rows} rows, such as {self.keys[:N_KEYS]}; the contract has set aside "
                f"{self.snapshot.n_set_aside}, and predict.quarantine allows {self.limit} together.",
                "Nothing was published; look at these rows, roll the release back, or raise predict.quarantine.",
            )
