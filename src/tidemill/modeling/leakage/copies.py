"""Rows of the test set that the model has been fitted on."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.leakage.finding import Leak
from tidemill.modeling.schema import FeatureSchema, align

__all__ = ["COPIES_LIMIT", "find_copies"]

COPIES_LIMIT = 0.01
"""Share of the test rows that may equal a train row in every feature, where rows are told apart by their features."""

_TELLS_APART = 0.9  # share of distinct rows from which an equal row is a copy and no coincidence
_LEAST_FEATURES = 3


def find_copies(
    train: pd.DataFrame, test: pd.DataFrame, schema: FeatureSchema, key: str, limit: float = COPIES_LIMIT
) -> list[Leak]:
    """Look for test rows that stand in the train set too, by their key or by all of their features.

    Equal features say nothing where rows share them by nature, as those of a few categories do: they count only if nine
    of ten train rows, and nine of ten test rows, have features that no other row of their set has.

    Parameters
    ----------
    train, test : pandas.DataFrame
        Raw columns.
    schema : FeatureSchema
        Columns that are features.
    key : str
        Column that names a row.
    limit : float, default 0.01
        Share of the test rows that may have an equal in the train set.
    """
    if train.empty or test.empty:
        return []
    again = test[key].isin(train[key]).to_numpy()
    found = [_leak(again, test, key, "their key")] if again.any() else []
    if len(schema.names) >= _LEAST_FEATURES:
        seen, asked = (pd.util.hash_pandas_object(align(frame, schema), index=False) for frame in (train, test))
        tell_apart = min(seen.nunique() / len(seen), asked.nunique() / len(asked)) >= _TELLS_APART
        equal = asked.isin(seen).to_numpy()
        if tell_apart and equal.mean() > limit and not again.any():
            found.append(_leak(equal, test, key, f"all of {len(schema.names)} features"))
    return found


def _leak(copied: npt.NDArray[np.bool_], test: pd.DataFrame, key: str, by: str) -> Leak:
    first = test[key].tolist()[int(copied.argmax())]
    return Leak(
        kind="copies",
        subject="rows",
        how=f"{copied.sum():,} of {len(test):,} test rows stand in the train set too, by {by}, such as {first!r}",
    )
