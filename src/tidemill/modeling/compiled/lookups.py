"""Encoders compiled to look-ups: Arrow columns become the matrix that the fitted transformer would return.

The code of a category does not depend on its row. Therefore the fitted transformer encodes each level, a missing value
and an unseen value once. After that, a column is a hash look-up, without a frame or Python objects. Other columns (scaled
numbers, decimals) go through the transformer itself. A test checks that the bits are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OrdinalEncoder, TargetEncoder

from tidemill.arrow import is_category, is_number, to_texts
from tidemill.modeling.schema import EXACT, FeatureSchema, refuse_overlarge, refuse_rounded

__all__ = ["LookUps"]

Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]
_UNSEEN = "\x00"  # never a level: Postgres does not store NUL in text


@dataclass(frozen=True, slots=True)
class _LookUp:
    """One categorical column."""

    levels: pa.Array
    """Texts that the encoder knows, shape (n_levels,)."""
    codes: npt.NDArray[np.float64]
    """Codes of the levels, then of an unseen and a missing value, shape (n_levels + 2, n_outputs)."""
    outputs: tuple[int, ...]
    """Columns of the matrix."""


@dataclass(frozen=True, slots=True)
class LookUps:
    """A fitted transformer, compiled to look-ups."""

    schema: FeatureSchema
    numeric: tuple[tuple[str, int], ...]
    """Name and matrix column of each numeric feature."""
    categorical: dict[str, _LookUp]
    """Look-up of each categorical feature."""
    n_columns: int
    """Columns of the matrix."""

    @classmethod
    def of(cls, transformer: Any, schema: FeatureSchema) -> Self | None:
        """Compile a transformer; None if it does more than pass numbers through and encode categories."""
        if not isinstance(transformer, ColumnTransformer):
            return None
        parts = {name: (part, tuple(columns)) for name, part, columns in transformer.transformers_ if len(columns)}
        numbers, numeric = parts.pop("numeric", ("passthrough", ()))
        encoder, categorical = parts.pop("categorical", (None, ()))
        simple = not parts and _passes(numbers) and isinstance(encoder, OrdinalEncoder | TargetEncoder | None)
        if not simple or numeric != schema.numeric or categorical != schema.categorical:
            return None
        lookups = _asked(transformer, encoder, categorical, len(numeric)) if categorical else {}
        n_columns = len(numeric) + sum(len(item.outputs) for item in lookups.values())
        return cls(schema, tuple((name, at) for at, name in enumerate(numeric)), lookups, n_columns)

    def takes(self, columns: pa.Schema) -> bool:
        """Return whether these columns can be looked up; `align` converts or rejects the others."""
        kinds = {field.name: field.type for field in columns}
        return len(kinds) == len(columns) and all(
            name in kinds and fits(kinds[name])
            for names, fits in ((self.schema.numeric, _is_plain), (self.schema.categorical, is_category))
            for name in names
        )

    def matrix(self, batch: pa.RecordBatch, dtype: npt.DTypeLike) -> Matrix:
        """Return the encoded matrix of a batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch of n_samples rows
            Columns for which `takes` returns True.
        dtype : dtype
            float32 for XGBoost, or float64.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            The transformer's output for the aligned rows, in that dtype.

        Raises
        ------
        ContractBroken
            If a numeric feature has an infinite value, one beyond the range of float32, or a whole number beyond 2**53.
        """
        matrix = np.empty((batch.num_rows, self.n_columns), dtype=dtype)
        numbers = {name: _numbers(batch.column(name)) for name, _ in self.numeric}
        refuse_rounded({name: _n_rounded(batch.column(name)) for name, _ in self.numeric}, batch.num_rows)
        refuse_overlarge(numbers)
        for name, at in self.numeric:
            matrix[:, at] = numbers[name]
        for name, lookup in self.categorical.items():
            matrix[:, lookup.outputs] = lookup.codes.astype(dtype)[_positions(batch.column(name), lookup.levels)]
        return matrix


def _passes(numbers: Any) -> bool:
    """Return whether a part passes numbers through; a fitted ``passthrough`` is a FunctionTransformer without a function."""
    return numbers == "passthrough" or getattr(numbers, "func", numbers) is None


def _is_plain(kind: pa.DataType) -> bool:
    """Return whether Arrow converts a type to float64 as numpy does; it rounds decimals differently."""
    return is_number(kind) and not pa.types.is_decimal(kind)


def _asked(transformer: Any, encoder: Any, names: Sequence[str], first: int) -> dict[str, _LookUp]:
    """Encode each level with the transformer, and return the look-up of each column."""
    levels = {
        name: [level for level in known if isinstance(level, str)]
        for name, known in zip(names, encoder.categories_, strict=True)
    }
    n_rows = max(map(len, levels.values())) + 2
    columns: dict[str, Any] = {
        name: [*known, *[_UNSEEN] * (n_rows - len(known) - 1), None] for name, known in levels.items()
    }
    rows = pd.DataFrame(columns, dtype="str").reindex(columns=transformer.feature_names_in_)
    codes = np.asarray(transformer.transform(rows), dtype=np.float64)
    # For several classes, TargetEncoder returns one column per class; those of a feature are adjacent.
    width, found = (codes.shape[1] - first) // len(names), {}
    for position, name in enumerate(names):
        outputs = tuple(range(first + position * width, first + (position + 1) * width))
        known = len(levels[name])
        picked = [*range(known), known, n_rows - 1]  # the levels, an unseen value, a missing value
        found[name] = _LookUp(pa.array(levels[name], pa.string()), codes[picked][:, outputs], outputs)
    return found


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """Return float64 with NaN for NULL, as pandas does."""
    wide = column.cast(pa.float64(), safe=False)
    return np.asarray(wide.fill_null(np.nan).to_numpy(zero_copy_only=False))


def _n_rounded(column: pa.Array) -> int:
    """Count the whole numbers that float64 rounds."""
    if not pa.types.is_integer(column.type) or column.type.bit_width <= 32 or not len(column):
        return 0
    least = -EXACT if pa.types.is_signed_integer(column.type) else 0
    beyond = pc.or_(pc.less(column, pa.scalar(least, column.type)), pc.greater(column, pa.scalar(EXACT, column.type)))
    return int(pc.sum(beyond).as_py() or 0)


def _positions(column: pa.Array, levels: pa.Array) -> npt.NDArray[np.int32]:
    """Return each value's position in the codes: the levels, then unseen, then missing."""
    texts = to_texts(column)  # a dictionary's NULL entries become NULL rows
    found = pc.index_in(texts, value_set=levels).fill_null(len(levels)).to_numpy(zero_copy_only=False)
    if texts.null_count:
        found = np.where(texts.is_null().to_numpy(zero_copy_only=False), len(levels) + 1, found)
    return np.asarray(found)
