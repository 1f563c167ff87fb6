"""Values from after the cutoff: by their observation time, or because they differ from what was served."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.modeling.leakage.finding import Leak
from tidemill.records import percent
from tidemill.spec import OBSERVED_AT

__all__ = ["CHANGED_LIMIT", "find_changed", "find_late"]

CHANGED_LIMIT = 0.05
"""Share of rows in which a value may differ from what was served, since sources are corrected occasionally."""

_TOLERANCE = 1e-9  # relative: a mean over the same rows in another order differs by less


def find_late(X: pd.DataFrame, cutoffs: Iterable[pd.Timestamp], keys: Iterable[object]) -> list[Leak]:
    """Return the columns with values observed after the cutoff of their row.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_columns)
        Raw columns; those named ``observed_at`` (for the row) or ``<column>_observed_at`` that contain times are checked.
    cutoffs : iterable of Timestamp, length n_samples
        Cutoff of each row.
    keys : iterable of object, length n_samples
        Entity keys, used to report an example.
    """
    known_until, named = pd.Series(pd.DatetimeIndex(list(cutoffs))), list(keys)
    found = []
    for name in X.columns:
        is_time = isinstance(X[name].dtype, pd.DatetimeTZDtype)
        if not is_time or not (name == OBSERVED_AT or name.endswith(f"_{OBSERVED_AT}")):
            continue
        late = (X[name].reset_index(drop=True) > known_until).to_numpy()
        if late.any():
            subject = "rows" if name == OBSERVED_AT else name.removesuffix(f"_{OBSERVED_AT}")
            first = named[int(late.argmax())]
            found.append(
                Leak(
                    kind="late",
                    subject=subject,
                    how=f"{subject!r} was observed after the cutoff in {late.sum():,} of {len(late):,} rows, by its "
                    f"{name!r}, for example {first!r}",
                )
            )
    return found


def find_changed(
    served: pd.DataFrame, made_now: pd.DataFrame, key: Sequence[str], names: Iterable[str], limit: float = CHANGED_LIMIT
) -> list[Leak]:
    """Return the columns whose values differ between the rows as served and the rows as the query returns them now.

    The cutoff is the same, so any difference was written after it. Training sees such a column in a better state than
    scoring does.

    Parameters
    ----------
    served, made_now : pandas.DataFrame
        Rows of the same partitions; only common keys are compared.
    key : sequence of str
        Columns that identify a row.
    names : iterable of str
        Columns to compare; columns missing from either frame are skipped.
    limit : float, default 0.05
        Share of the rows in which a value may differ.
    """
    before, after = (frame.set_index([*key]) for frame in (served, made_now))
    both = before.index.intersection(after.index)
    found = []
    for name in names:
        if not len(both) or name not in before or name not in after:
            continue
        share = float(_differs(before.loc[both, name], after.loc[both, name]).mean())
        if share > limit:
            found.append((share, name))
    return [
        Leak(
            kind="changed",
            subject=name,
            how=f"{name!r} differs in {percent(share)} of {len(both):,} rows from what was served at the same cutoff: it is "
            "written later",
        )
        for share, name in sorted(found, reverse=True)
    ]


def _differs(before: pd.Series, after: pd.Series) -> npt.NDArray[np.bool_]:
    missing = before.isna().to_numpy(), after.isna().to_numpy()
    if pd.api.types.is_integer_dtype(before) and pd.api.types.is_integer_dtype(after):
        exactly = before.reset_index(drop=True).eq(after.reset_index(drop=True))  # float64 rounds ids above 2^53
        same = exactly.fillna(False).to_numpy(dtype=np.bool_)
    elif pd.api.types.is_numeric_dtype(before) and pd.api.types.is_numeric_dtype(after):
        old, new = (series.to_numpy(dtype=np.float64, na_value=np.nan) for series in (before, after))
        same = np.isclose(old, new, rtol=_TOLERANCE, atol=0.0)
    else:
        same = before.astype(str).to_numpy() == after.astype(str).to_numpy()
    return np.asarray(np.where(missing[0] | missing[1], missing[0] != missing[1], ~same), dtype=np.bool_)
