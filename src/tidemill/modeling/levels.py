"""Encoders for trees, fitted in one pass over batches of rows: only the frequency of each level matters.

The encoder is fitted on a few synthetic rows in which frequent levels are frequent and rare levels are rare. Its state
equals that of a fit on all rows; a test compares the two.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd

from tidemill.modeling.preprocessing import MAX_LEVELS_OF_TREES, MIN_FREQUENCY, for_trees
from tidemill.modeling.schema import FeatureSchema

__all__ = ["fit_for_trees"]

_Text = str | float  # NaN for missing


def fit_for_trees(schema: FeatureSchema, pieces: Iterable[pd.DataFrame]) -> Any:
    """Fit the encoders of `for_trees` in one pass.

    Parameters
    ----------
    pieces : iterable of pandas.DataFrame
        Aligned rows of the train set, each row once. Memory grows with the number of distinct texts, not of rows.

    Examples
    --------
    >>> schema = FeatureSchema(categorical=("origin",))
    >>> encoder = fit_for_trees(schema, [pd.DataFrame({"origin": ["JFK"] * 9}), pd.DataFrame({"origin": ["JFK", "EWR"]})])
    >>> encoder.transform(pd.DataFrame({"origin": ["JFK", "EWR"]})).ravel().tolist()
    [0.0, 1.0]
    """
    counts = {name: Counter[str]() for name in schema.categorical}
    missing = Counter[str]()
    for piece in pieces:
        for name, seen in counts.items():
            seen.update({str(level): n for level, n in piece[name].value_counts().items()})
            missing[name] += int(piece[name].isna().sum())
    made_up = {name: _made_up(seen, has_missing=missing[name] > 0) for name, seen in counts.items()}
    n_rows = max((len(rows) for rows, _ in made_up.values()), default=1)
    columns = {name: [*rows, *islice(cycle(more), n_rows - len(rows))] for name, (rows, more) in made_up.items()}
    numbers = pd.DataFrame(np.nan, index=range(n_rows), columns=list(schema.numeric))
    transformer = for_trees(schema).fit(pd.concat([numbers, pd.DataFrame(columns, dtype="str")], axis=1))
    if counts:
        transformer.named_transformers_["categorical"].code_unseen(list(counts.values()))
    return transformer


def _made_up(seen: Counter[str], *, has_missing: bool) -> tuple[list[_Text], list[_Text]]:
    """Return a synthetic column with every level, and levels that may pad it without making a rare one frequent."""
    levels = sorted(seen)
    frequent = _frequent(np.array([seen[level] for level in levels]))
    often: list[_Text] = [level for level, is_frequent in zip(levels, frequent, strict=True) if is_frequent]
    rare: list[_Text] = [level for level, is_frequent in zip(levels, frequent, strict=True) if not is_frequent]
    nothing: list[_Text] = [np.nan] * has_missing
    # Without a frequent level, all real rows have rare levels. Padding with these in turn makes none of them frequent,
    # since no synthetic column is longer than the real one.
    return [*often * MIN_FREQUENCY, *rare, *nothing], often[:1] or nothing or rare


def _frequent(counts: Any) -> Any:
    """Return which levels get their own code, as in `OrdinalEncoder` (scikit-learn 1.9)."""
    frequent = counts >= MIN_FREQUENCY
    if frequent.sum() + 1 > MAX_LEVELS_OF_TREES:  # all others share one code
        frequent[np.argsort(counts, kind="stable")[: -(MAX_LEVELS_OF_TREES - 1)]] = False
    return frequent
