"""The features that a model reads, and the numbers that no model may be given. Importing this module loads no pandas."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from tidemill.errors import ContractBroken
from tidemill.record import Record

__all__ = ["EXACT", "FeatureKind", "FeatureSchema", "refuse_overlarge", "refuse_rounded"]

FeatureKind = Literal["number", "whole number", "boolean", "text"]

EXACT = 2**53
"""Beyond it, neighbouring whole numbers share a float64."""
_LARGEST = float(np.finfo(np.float32).max)  # XGBoost reads float32: anything larger would silently become infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSchema(Record):
    """The columns that a model reads, by what they mean."""

    numeric: tuple[str, ...] = ()
    """Numbers and booleans, e.g. ``("dep_hour", "wind_speed")``."""
    categorical: tuple[str, ...] = ()
    """Texts, e.g. ``("origin", "carrier")``."""
    increasing: tuple[str, ...] = ()
    """Numbers with which the score may only rise."""
    decreasing: tuple[str, ...] = ()
    """Numbers with which the score may only fall."""
    kinds: dict[str, FeatureKind] = field(default_factory=dict)
    """Kind of each feature in the train set; empty in older bundles. Whole numbers are a kind only for categories."""
    with_gaps: tuple[str, ...] = ()
    """Features that had no value in at least one whole partition of the train set."""

    @property
    def names(self) -> tuple[str, ...]:
        """All features in the order in which the model sees them: numeric first."""
        return self.numeric + self.categorical

    def directions(self, names: Iterable[str]) -> tuple[int, ...] | None:
        """Return 1, -1 or 0 for each name: where the score may go when it grows; None if nothing is declared.

        Examples
        --------
        >>> FeatureSchema(numeric=("km", "age"), decreasing=("age",)).directions(["km", "age"])
        (0, -1)
        """
        if not self.increasing and not self.decreasing:
            return None
        return tuple((name in self.increasing) - (name in self.decreasing) for name in names)


def refuse_rounded(counts: Mapping[str, int], n_rows: int) -> None:
    """Refuse whole numbers that float64 cannot distinguish from their neighbours: such a feature is an identifier.

    Parameters
    ----------
    counts : mapping of str to int
        For each numeric feature of an integer type, how many values lie beyond 2**53.
    n_rows : int
        Total number of rows.

    Raises
    ------
    ContractBroken
        If there are any; features and counts are named.
    """
    found = [f"{name!r} ({count} of {n_rows} rows)" for name, count in counts.items() if count]
    if found:
        raise ContractBroken(
            f"Numeric feature(s) hold whole numbers beyond 2**53: {', '.join(found)}; a model's float64 does not tell "
            "them from their neighbours.",
            "Declare an identifier as a categorical feature or leave it out; scale a quantity in the features query.",
        )


def refuse_overlarge(numbers: Mapping[str, npt.NDArray[np.float64]]) -> None:
    """Refuse numbers that no float32 holds: XGBoost would silently read them as infinite.

    Parameters
    ----------
    numbers : mapping of str to ndarray of shape (n_samples,)
        Values of each numeric feature.

    Raises
    ------
    ContractBroken
        If there are any; features and counts are named.
    """
    counts = {name: int((np.abs(values) > _LARGEST).sum()) for name, values in numbers.items()}
    found = [f"{name!r} ({count} of {len(numbers[name])} rows)" for name, count in counts.items() if count]
    if found:
        raise ContractBroken(
            f"Numeric feature(s) hold infinite or overlarge values: {', '.join(found)}; "
            f"expected finite numbers up to {_LARGEST:.3g}, or missing.",
            "Turn them into NULL in the features query, or correct the source.",
        )
