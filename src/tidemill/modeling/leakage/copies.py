"""Test rows that are also in the train set."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.alignment import align
from tidemill.modeling.leakage.finding import Leak
from tidemill.modeling.schema import FeatureSchema

__all__ = ["find_copies"]

_LIMIT = 0.01
"""Share of test rows that may equal a train row in all features, if features normally identify a row."""

_TELLS_APART = 0.9  # share of distinct rows from which an equal row is a copy, not a coincidence
_LEAST_FEATURES = 3


def find_copies(train: pd.DataFrame, test: pd.DataFrame, schema: FeatureSchema, key: Sequence[str]) -> list[Leak]:
    """Return test rows that are also in the train set, by key or by all features.

    Equal features mean nothing where rows naturally share them, as with a few categories. They count only if at least 90 %
    of the rows in each set are distinct, and no entity is in both sets: the same customer looks alike on two days.

    Parameters
    ----------
    key : sequence of str
        Columns that identify a row, that of its entity first.
    """
    if train.empty or test.empty:
        return []
    again = _identities(test, key).isin(_identities(train, key))
    found = [_leak(again, test, key[0], "their key")] if again.any() else []
    same_entities = test[key[0]].isin(train[key[0]]).any()
    if len(schema.names) >= _LEAST_FEATURES and not same_entities:
        seen, asked = (pd.util.hash_pandas_object(align(frame, schema), index=False) for frame in (train, test))
        tell_apart = min(seen.nunique() / len(seen), asked.nunique() / len(asked)) >= _TELLS_APART
        equal = asked.isin(seen).to_numpy()
        if tell_apart and equal.mean() > _LIMIT:
            found.append(_leak(equal, test, key[0], f"all of {len(schema.names)} features"))
    return found


def _identities(rows: pd.DataFrame, key: Sequence[str]) -> pd.Index:
    return pd.MultiIndex.from_frame(rows[[*key]]) if len(key) > 1 else pd.Index(rows[key[0]])


def _leak(copied: npt.NDArray[np.bool_], test: pd.DataFrame, key: str, by: str) -> Leak:
    first = test[key].tolist()[int(copied.argmax())]
    return Leak(
        kind="copies",
        subject="rows",
        how=f"{copied.sum():,} of {len(test):,} test rows are also in the train set, by {by}, for example {first!r}",
    )
