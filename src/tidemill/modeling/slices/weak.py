"""Weak slices: parts of the rows, by one or two features, in which a model is worse than on the other rows.

The search looks at bins of every feature and of every pair of features, on the validation set. The few that look worst are
measured again on the test set, which the search has not seen, so that selection does not bias their differences. Holm's
procedure allows for their number.

Hard rows are not a finding. For two classes, the compared figure is therefore the metric minus what the scores predict
for the same rows (`tidemill.metrics.expected`). For other tasks and metrics it is the metric,
and a slice may be weak only because its rows are hard.

References
----------
Y. Chung, T. Kraska, N. Polyzotis, K. Tae, S. Whang, *Slice Finder: Automated Data Slicing for Model Validation*, ICDE 2019.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.metrics.blocks import MAX_LEFT_OUT, MIN_BLOCKS, Blocks, estimate, estimate_combination, index_blocks
from tidemill.metrics.definitions import definition_of
from tidemill.metrics.evaluation import statistic_of
from tidemill.metrics.expected import expected
from tidemill.metrics.rows import BinaryRows, Reading, read_rows
from tidemill.metrics.statistic import Bools, Floats, Integers, Statistic, combination, scattered
from tidemill.modeling.gate.power import harmed
from tidemill.modeling.slices.bins import Bins, cut
from tidemill.records import MetricValue, SliceSearch, WeakSlice

__all__ = ["MAX_MEASURED", "MAX_SEARCHED", "MIN_ROWS", "Measure", "Measured", "ScoredRows", "find_weak_slices"]

MIN_ROWS = 100
"""Rows below which a part is not a slice, in the validation and in the test set."""
MAX_SEARCHED = 20_000
"""Validation rows that a search needs: a slice of 3 % has 600."""
MAX_MEASURED = 200_000
"""Minimum test rows for a confirmation; its uncertainty depends on days, and more rows do not add days."""
_MIN_SHARE = 0.01  # of the rows; a smaller part matters too little
_MAX_SHARE = 0.5  # of the rows; a larger part is not a slice
_N_TESTED = 3  # slices measured again on the test set; each further one makes the others harder to confirm
_OVERLAP = 0.5  # of the rows of the smaller of two slices, from which they are the same finding
_MAX_PAIRED = 15  # features, the first ones, that are searched in pairs: 105, with some 25 slices each
_BINS_ALONE, _BINS_IN_PAIRS = 10, 5  # quantiles of a number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredRows:
    """Labelled rows with their scores."""

    X: pd.DataFrame
    """Aligned columns to slice by, shape (n_samples, n_columns)."""
    y: npt.NDArray[np.generic]
    score: Floats
    blocks: npt.NDArray[np.object_]
    """Key of each row's partition."""
    sample_weight: Floats | None = None
    """How often each row counts, above 0; None for once."""

    def by_score(self) -> "ScoredRows":
        """Return the rows in ascending order of a single score, in which every part of them is quick to rank."""
        if self.score.ndim > 1:
            return self
        order = np.argsort(self.score, kind="stable")
        return ScoredRows(
            X=self.X.iloc[order],
            y=self.y[order],
            score=self.score[order],
            blocks=self.blocks[order],
            sample_weight=None if self.sample_weight is None else self.sample_weight[order],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The metric in which slices are compared."""

    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    metric: str
    """A metric of the task that can decide."""
    sign: float
    """1 where more is better, -1 where less is."""
    reading: Reading
    """How scores are read."""

    def of(self, rows: ScoredRows, chosen: Integers) -> "Measured | None":
        """Measure some rows; None where the metric is not defined."""
        often = None if rows.sample_weight is None else rows.sample_weight[chosen]
        reading: Reading = {**self.reading, "sample_weight": often}
        found = read_rows(self.task, rows.y[chosen], rows.score[chosen], reading)
        if found is None:
            return None
        realised = statistic_of(self.task, self.metric, found)
        if not isinstance(found, BinaryRows) or not definition_of(self.task, self.metric).estimated:
            return Measured(realised=realised, expected=None)
        return Measured(realised=realised, expected=expected(self.metric, found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The metric of some rows."""

    realised: Statistic
    """By their labels."""
    expected: Statistic | None
    """By their scores; None where there is no such figure."""

    @property
    def excess(self) -> Statistic:
        """What is compared: realised minus expected, or the realised metric."""
        if self.expected is None:
            return self.realised
        both = combination([self.realised, self.expected], [1.0, -1.0])
        return replace(both, counted=self.realised.counted, step=self.realised.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """One bin, or one bin of each of two features."""

    parts: tuple[tuple[Bins, int], ...]
    """Bins with the number of the bin."""
    rows: Integers
    """Validation rows in it."""
    deficit: float
    """How much worse than all rows, in units of one over the root of the rows that count."""

    @property
    def label(self) -> str:
        return " and ".join(bins.labels[number] for bins, number in self.parts)

    def contains(self, X: pd.DataFrame) -> Bools:
        """Return the mask of the rows in it."""
        inside = [bins.place(X[bins.feature]) == number for bins, number in self.parts]
        return np.asarray(np.all(inside, axis=0))


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # numbers near the end of float64 are NaN
def find_weak_slices(measure: Measure, validation: ScoredRows, test: ScoredRows) -> SliceSearch:
    """Search the validation set for the slices in which a model is weakest, and confirm them on the test set.

    Parameters
    ----------
    validation : ScoredRows
        Rows to search, by every column and by each pair of the first 15.
    test : ScoredRows
        Rows to confirm on, with the same columns.
    """
    searched = list(_slices(measure, validation.by_score()))
    worst = _distinct(sorted(searched, key=lambda item: -item.deficit))
    blocks = index_blocks(test.blocks, len(test.y)).coarse(MAX_LEFT_OUT)
    measured = [found for item in worst if (found := _confirm(measure, test, blocks, item)) is not None]
    confirmed = harmed(
        [measure.sign * found.difference.value for found in measured],
        [found.difference.standard_error or 0.0 for found in measured],
        [found.difference.n_blocks or 0 for found in measured],
        0.0,
    )
    return SliceSearch(
        n_searched=len(searched),
        n_tested=len(measured),
        weak=tuple(found for found, is_weak in zip(measured, confirmed, strict=True) if is_weak),
    )


def _slices(measure: Measure, rows: ScoredRows) -> Iterator[_Slice]:
    """Yield every slice of one and of two features in which the metric is worse than on all rows."""
    n = len(rows.y)
    measured = measure.of(rows, np.arange(n))
    if measured is None:
        return
    whole = measured.excess.value
    columns = [rows.X[name] for name in rows.X.columns]
    alone = [(cut(column, _BINS_ALONE), column) for column in columns]
    yield from _worse(measure, rows, whole, [((bins,), bins.place(column)) for bins, column in alone])
    paired = [(bins, bins.place(column)) for column in columns[:_MAX_PAIRED] for bins in (cut(column, _BINS_IN_PAIRS),)]
    pairs = [
        ((a, b), np.where((of_a < 0) | (of_b < 0), -1, of_a * len(b.labels) + of_b))
        for (a, of_a), (b, of_b) in combinations(paired, 2)
    ]
    yield from _worse(measure, rows, whole, pairs)


def _worse(
    measure: Measure, rows: ScoredRows, whole: float, divisions: Sequence[tuple[tuple[Bins, ...], Integers]]
) -> Iterator[_Slice]:
    least, most = max(MIN_ROWS, _MIN_SHARE * len(rows.y)), _MAX_SHARE * len(rows.y)
    for bins, codes in divisions:
        for code, members in _members(codes):
            if not least <= len(members) <= most:
                continue
            measured = measure.of(rows, members)
            deficit = np.nan if measured is None else measure.sign * (whole - measured.excess.value)
            if measured is not None and deficit > 0:
                numbers = (code,) if len(bins) == 1 else divmod(code, len(bins[1].labels))
                yield _Slice(
                    parts=tuple(zip(bins, numbers, strict=True)),
                    rows=members,
                    deficit=float(deficit * np.sqrt(measured.realised.counted.sum())),
                )


def _members(codes: Integers) -> Iterator[tuple[int, Integers]]:
    """Yield each code from 0 with the numbers of its rows."""
    order = np.argsort(codes.astype(np.int16), kind="stable")  # by radix
    found, starts = np.unique(codes[order], return_index=True)
    for code, members in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
        if code >= 0:
            yield code, members


def _distinct(ordered: Sequence[_Slice]) -> list[_Slice]:
    """Return the worst slices, without those that share most of their rows with a worse one."""
    chosen: list[_Slice] = []
    for item in ordered:
        if len(chosen) == _N_TESTED:
            break
        shared = (len(np.intersect1d(item.rows, other.rows, assume_unique=True)) for other in chosen)
        sizes = (min(len(item.rows), len(other.rows)) for other in chosen)
        if all(common <= _OVERLAP * size for common, size in zip(shared, sizes, strict=True)):
            chosen.append(item)
    return chosen


def _confirm(measure: Measure, rows: ScoredRows, blocks: Blocks, item: _Slice) -> WeakSlice | None:
    """Measure a slice and the other rows; None where either is too small or defines no interval."""
    inside = item.contains(rows.X)
    parts = np.flatnonzero(inside), np.flatnonzero(~inside)
    within, others = (measure.of(rows, part) if len(part) >= MIN_ROWS else None for part in parts)
    if within is None or others is None:
        return None
    n_blocks = len(np.unique(blocks.index[parts[0][within.realised.counted > 0]]))
    if n_blocks < MIN_BLOCKS:
        return None
    n = len(rows.y)
    gap = estimate_combination(
        [scattered(within.excess, parts[0], n), scattered(others.excess, parts[1], n)], [1.0, -1.0], blocks
    )
    if not np.isfinite(gap.standard_error):
        return None
    bounds = definition_of(measure.task, measure.metric).bounds
    own = estimate(scattered(within.realised, parts[0], n), blocks, bounds)
    about: dict[str, Any] = {"name": measure.metric, "slice": item.label, "n": len(parts[0]), "n_blocks": n_blocks}
    return WeakSlice(
        value=MetricValue(value=own.value, low=own.low, high=own.high, **about),
        expected=None if within.expected is None else within.expected.value,
        difference=MetricValue(value=gap.value, low=gap.low, high=gap.high, standard_error=gap.standard_error, **about),
    )
