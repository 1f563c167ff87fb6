"""The fold of a row without a time: a hash of its key, equal in every run and on every engine."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.intervals import Partition
from tidemill.spec import N_FOLDS, ModelSpec, fold_key

__all__ = ["fold_numbers", "in_test_folds", "row_marks"]


def fold_numbers(keys: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the fold of each key, 0 to 99; a missing key counts as an empty text, which the contract refuses.

    The first eight bytes of SHA-256 of the key as text, modulo the number of folds. The hash has no seed: a release must
    never have been fitted on rows with which another training tests it.

    Examples
    --------
    >>> fold_numbers(pa.array([7, 8])).to_pylist() == fold_numbers(pa.array(["7", "8"])).to_pylist()
    True
    """
    texts = keys.cast(pa.string()).to_pylist()
    digests = (hashlib.sha256((text or "").encode()).digest() for text in texts)
    return pa.array([int.from_bytes(digest[:8], "big") % N_FOLDS for digest in digests], pa.uint8())


def row_marks(spec: ModelSpec, batch: pa.RecordBatch, partition: Partition | None) -> pa.Array:
    """Return the key of each row's partition; without one, that of its fold."""
    if partition is not None:
        return pa.repeat(pa.scalar(partition.key, pa.string()), batch.num_rows)
    names = pa.array([fold_key(number) for number in range(N_FOLDS)], pa.string())
    return names.take(fold_numbers(batch.column(spec.entity_key)))


def in_test_folds(keys: pa.ChunkedArray, spec: ModelSpec) -> pa.Array:
    """Return which keys lie in the test folds, on which no release was fitted or chosen."""
    return pc.greater_equal(fold_numbers(keys), N_FOLDS - spec.train.folds.test)
