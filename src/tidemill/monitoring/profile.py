"""A training snapshot as bin counts, and other rows counted into the same bins.

Monitoring keeps only the profile of the reference, a few kilobytes per column. Counting is additive: a stream is counted
batch by batch and merged.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidemill.arrow import is_category, is_number
from tidemill.errors import SchemaChanged
from tidemill.monitoring.counting.columns import level_counts, level_indices, to_floats
from tidemill.monitoring.counting.groups import category_groups, quantile_groups
from tidemill.monitoring.counting.near_misses import add_near_misses, near_misses
from tidemill.monitoring.counting.past import rare_psi, usual_null_share, usual_psi, usual_unseen_share
from tidemill.records import Record

__all__ = [
    "ColumnKind", "ColumnProfile", "build_profile", "count_into", "count_table", "merge", "profile_of_bins",
    "profile_of_levels",
]  # fmt: skip

MAX_BINS = 200  # within 1 % of the exact Kolmogorov-Smirnov and Wasserstein figures, in 1.5 KB per column
MAX_CATEGORIES = 100  # levels with a separate count
MAX_LEVELS = 10_000  # levels stored by name to distinguish unseen from rare levels: 100 KB


class ColumnKind(StrEnum):
    """How a column is counted."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile(Record):
    """Rows of one column in each bin."""

    name: str
    """Name of the column, e.g. ``dep_hour``."""
    kind: ColumnKind
    """``numeric`` or ``categorical``."""
    counts: tuple[int, ...]
    """Rows in each bin of a number, or in each of ``categories`` followed by all other levels of the reference."""
    n: int
    """Rows including nulls."""
    n_null: int
    """Rows without a value; NaN counts as null."""
    n_unseen: int = 0
    """Rows with a level that is not in the reference; 0 in a reference."""
    n_infinite: int = 0
    """Rows with an infinite number, also counted in the outer bins."""
    edges: tuple[float, ...] = ()
    """Cut points between a number's bins, ascending; bin i holds ``edges[i - 1] <= x < edges[i]``. The outer bins
    reach to infinity: the first lies below the reference's minimum, the last above its maximum."""
    categories: tuple[str, ...] = ()
    """The most frequent levels of the reference, up to 100, most frequent first."""
    rare: tuple[str, ...] = ()
    """Its other levels, sorted."""
    all_levels_known: bool = True
    """False if the reference had more than 10,000 levels; unseen levels then count as others."""
    minimum: float | None = None
    """Minimum of the finite numbers, or None without one."""
    maximum: float | None = None
    """Maximum of the finite numbers."""
    mean: float | None = None
    """Mean of the finite numbers."""
    std: float | None = None
    """Population standard deviation of the finite numbers."""
    n_blocks: int = 0
    """Partitions of the reference, if known."""
    psi_quantile: float | None = None
    """Stability index that a new partition rarely exceeded within the reference; None with a single partition."""
    psi_rare: float | None = None
    """Stability index that at least two partitions of the reference had against all others; None with under 14."""
    null_share_quantile: float | None = None
    """Share of nulls that a partition rarely exceeded within the reference, 0 to 1; None with under 14 partitions."""
    unseen_share_quantile: float | None = None
    """Share of rows with a level not seen before that a partition rarely exceeded within the reference; None likewise."""
    near_misses: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Up to five unseen levels that look like a level of the reference, each with that level and its row count."""

    @property
    def frequencies(self) -> tuple[int, ...]:
        """Rows in each bin, then with an unseen level, then null; the sum is ``n``."""
        return (*self.counts, self.n_unseen, self.n_null)

    @property
    def groups(self) -> NDArray[np.int64]:
        """The group of each of ``frequencies``; distances are computed over these groups."""
        return quantile_groups(self.counts) if self.kind is ColumnKind.NUMERIC else category_groups(self.counts)


def build_profile(
    table: pa.Table,
    numeric: Sequence[str],
    categorical: Sequence[str],
    *,
    blocks: NDArray[np.integer] | None = None,
) -> tuple[ColumnProfile, ...]:
    """Profile a reference: choose bins, count rows, and learn how much its partitions vary.

    Parameters
    ----------
    table : pyarrow.Table of shape (n_rows, n_columns)
        The rows of the reference, such as a training snapshot.
    numeric, categorical : sequence of str
        Columns to profile as numbers (booleans too) and as categories (texts, booleans, integers).
    blocks : numpy.ndarray of shape (n_rows,), default None
        Number of each row's partition, ascending in time. If None, drift thresholds are not adapted to the past.

    Returns
    -------
    tuple of ColumnProfile
        Numeric columns first, in the given order.

    Raises
    ------
    SchemaChanged
        If columns are missing or have a type that cannot be counted that way; lists all of them.
    ValueError
        If ``blocks`` and the table differ in length.

    Examples
    --------
    >>> profile, = build_profile(pa.table({"hour": [6, 6, 7, None]}), ["hour"], [])
    >>> profile.edges[:2], profile.counts, profile.n_null
    ((6.0, 7.0), (0, 2, 1, 0), 1)
    """
    if blocks is not None and len(blocks) != table.num_rows:
        raise ValueError(f"blocks has {len(blocks)} entries for {table.num_rows} rows: give one to each row")
    _require(table, numeric, categorical)
    index = None if blocks is None else np.unique(blocks, return_inverse=True)[1].astype(np.int64)
    numbers = [_build_numeric(name, to_floats(table.column(name)), index) for name in numeric]
    return (*numbers, *(_build_categorical(name, table.column(name), index) for name in categorical))


def count_into(reference: ColumnProfile, column: pa.ChunkedArray) -> ColumnProfile:
    """Count a column of an analysis set into the bins of its reference.

    Parameters
    ----------
    reference : ColumnProfile
        Profile whose bins are used.
    column : pyarrow.ChunkedArray of shape (n_rows,)
        The column of the analysis set.

    Raises
    ------
    SchemaChanged
        If the column's type cannot be counted that way.

    Examples
    --------
    >>> reference, = build_profile(pa.table({"origin": ["EWR", "JFK", "EWR"]}), [], ["origin"])
    >>> counted = count_into(reference, pa.chunked_array([["JFK", "SWF", None]]))
    >>> counted.counts, counted.n_unseen, counted.n_null
    ((0, 1, 0), 1, 1)
    """
    if reference.kind is ColumnKind.NUMERIC:
        _refuse([reference.name] if not is_number(column.type) else [], "be numbers")
        return _count_numeric(reference, to_floats(column))
    _refuse([reference.name] if not is_category(column.type) else [], "be texts")
    return _count_categorical(reference, *level_counts(column))


def count_table(references: Sequence[ColumnProfile], table: pa.Table) -> tuple[ColumnProfile, ...]:
    """Count every profiled column of an analysis set.

    Raises
    ------
    SchemaChanged
        If columns are missing or have a type that cannot be counted that way; lists all of them.
    """
    numeric = [profile.name for profile in references if profile.kind is ColumnKind.NUMERIC]
    _require(table, numeric, [profile.name for profile in references if profile.kind is ColumnKind.CATEGORICAL])
    return tuple(count_into(profile, table.column(profile.name)) for profile in references)


def profile_of_bins(
    reference: ColumnProfile,
    counts: Sequence[int],
    *,
    span: tuple[float, float] | None,
    moments: tuple[float, float] | None,
) -> ColumnProfile:
    """Return the profile of finite numbers that were counted into the bins of a reference elsewhere.

    Parameters
    ----------
    reference : ColumnProfile
        Profile whose bins were used.
    counts : sequence of int, of shape (n_edges + 1,)
        Rows in each bin.
    span : (float, float) or None
        Minimum and maximum; None without rows.
    moments : (float, float) or None
        Mean and population standard deviation; None without rows.
    """
    minimum, maximum = span or (None, None)
    mean, std = moments or (None, None)
    return replace(
        _without_past(reference),
        counts=tuple(counts),
        n=sum(counts),
        n_null=0,
        minimum=minimum,
        maximum=maximum,
        mean=mean,
        std=std,
        n_infinite=0,
    )


def profile_of_levels(reference: ColumnProfile, counts: Mapping[str, int]) -> ColumnProfile:
    """Return the profile of levels that were counted elsewhere, in the categories of a reference."""
    return _count_categorical(reference, Counter(counts), 0)


def merge(first: ColumnProfile, second: ColumnProfile) -> ColumnProfile:
    """Add two profiles counted into the same bins, such as two batches of a stream.

    The quantiles over past partitions cannot be merged and become None.

    Raises
    ------
    ValueError
        If they differ in columns or bins.

    Examples
    --------
    >>> reference, = build_profile(pa.table({"hour": [6, 7]}), ["hour"], [])
    >>> merge(reference, count_into(reference, pa.chunked_array([[7, 8]]))).counts
    (0, 1, 2, 1)
    """
    if (first.name, first.edges, first.categories) != (second.name, second.edges, second.categories):
        raise ValueError(f"profiles of {first.name!r} and {second.name!r} have other bins: count both into the same")
    mean, std = _pooled_moments(first, second)
    return replace(
        _without_past(first),
        counts=tuple(a + b for a, b in zip(first.counts, second.counts, strict=True)),
        n=first.n + second.n,
        n_null=first.n_null + second.n_null,
        n_unseen=first.n_unseen + second.n_unseen,
        n_infinite=first.n_infinite + second.n_infinite,
        near_misses=add_near_misses(first.near_misses, second.near_misses),
        minimum=min((v for v in (first.minimum, second.minimum) if v is not None), default=None),
        maximum=max((v for v in (first.maximum, second.maximum) if v is not None), default=None),
        mean=mean,
        std=std,
    )


def _require(table: pa.Table, numeric: Sequence[str], categorical: Sequence[str]) -> None:
    names = set(table.column_names)
    _refuse([name for name in (*numeric, *categorical) if name not in names], "be in the snapshot")
    _refuse([name for name in numeric if not is_number(table.schema.field(name).type)], "be numbers")
    _refuse([name for name in categorical if not is_category(table.schema.field(name).type)], "be texts")


def _refuse(columns: Sequence[str], expected: str) -> None:
    if columns:
        raise SchemaChanged(
            f"Column(s) {list(columns)} cannot be profiled: the model expects them to {expected}.",
            "Restore them in the features query, or correct 'features' in the spec and train again.",
        )


def _build_numeric(name: str, values: NDArray[np.float64], blocks: NDArray[np.int64] | None) -> ColumnProfile:
    edges = _edges(np.sort(values[np.isfinite(values)]))
    empty = ColumnProfile(name=name, kind=ColumnKind.NUMERIC, counts=(), n=0, n_null=0, edges=edges)
    profile = _count_numeric(empty, values)
    if blocks is None:
        return profile
    bins = np.searchsorted(edges, values, side="right")
    bins[np.isnan(values)] = len(profile.counts) + 1  # the last of the frequencies is null
    return _with_past(profile, bins, blocks)


def _edges(ordered: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the edges of at most 200 bins of sorted finite numbers: one per value if few, else quantiles."""
    if not ordered.size:
        return ()
    starts = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    if starts.size > MAX_BINS:
        starts = np.unique(ordered[np.arange(MAX_BINS) * ordered.size // MAX_BINS])
    return (*starts.tolist(), math.nextafter(ordered[-1], math.inf))


def _count_numeric(reference: ColumnProfile, values: NDArray[np.float64]) -> ColumnProfile:
    # Sorting a million floats takes 8 ms, finding 200 edges in them almost nothing; finding each value's bin takes 60 ms.
    ordered = np.sort(values)[: values.size - int(np.isnan(values).sum())]
    cuts = np.searchsorted(ordered, reference.edges, side="left")
    low, high = np.searchsorted(ordered, -math.inf, side="right"), np.searchsorted(ordered, math.inf, side="left")
    finite = ordered[low:high]
    mean, std = _moments(finite)
    return replace(
        _without_past(reference),
        counts=tuple(np.diff(cuts, prepend=0, append=ordered.size).tolist()),
        n=values.size,
        n_null=values.size - ordered.size,
        n_infinite=ordered.size - finite.size,
        minimum=float(finite[0]) if finite.size else None,
        maximum=float(finite[-1]) if finite.size else None,
        mean=mean,
        std=std,
    )


def _moments(finite: NDArray[np.float64]) -> tuple[float | None, float | None]:
    if not finite.size:
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e308: the mean overflows to inf
        return float(finite.mean()), float(finite.std())


def _pooled_moments(first: ColumnProfile, second: ColumnProfile) -> tuple[float | None, float | None]:
    parts = [
        (part.n - part.n_null - part.n_infinite, part.mean, part.std)
        for part in (first, second)
        if part.mean is not None and part.std is not None
    ]
    if not parts:
        return None, None
    n, means, stds = (np.array(column, np.float64) for column in zip(*parts, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(means, weights=n)
        return float(mean), float(np.sqrt(np.average(stds**2 + (means - mean) ** 2, weights=n)))


def _build_categorical(name: str, column: pa.ChunkedArray, blocks: NDArray[np.int64] | None) -> ColumnProfile:
    counts, n_null = level_counts(column)
    levels = sorted(counts, key=lambda level: (-counts[level], level))
    known = len(levels) <= MAX_LEVELS
    empty = ColumnProfile(
        name=name,
        kind=ColumnKind.CATEGORICAL,
        counts=(),
        n=0,
        n_null=0,
        categories=tuple(levels[:MAX_CATEGORIES]),
        rare=tuple(sorted(levels[MAX_CATEGORIES:])) if known else (),
        all_levels_known=known,
    )
    profile = _count_categorical(empty, counts, n_null)
    if blocks is None:
        return profile
    index_of = {level: i for i, level in enumerate(levels)}
    indices = level_indices(column, index_of, missing=-1, null=-1)
    n_categories = len(profile.categories)
    bins = np.where(indices < 0, n_categories + 2, np.minimum(indices, n_categories))
    unseen = usual_unseen_share(indices, blocks) if known else None
    return replace(_with_past(profile, bins, blocks), unseen_share_quantile=unseen)


def _count_categorical(reference: ColumnProfile, counts: Counter[str], n_null: int) -> ColumnProfile:
    named = tuple(counts[level] for level in reference.categories)
    n_rest = counts.total() - sum(named)
    n_other = sum(counts[level] for level in reference.rare) if reference.all_levels_known else n_rest
    n_unseen = n_rest - n_other
    levels = {*reference.categories, *reference.rare} if n_unseen else set()
    unseen = Counter({level: n for level, n in counts.items() if level not in levels} if n_unseen else {})
    return replace(
        _without_past(reference),
        counts=(*named, n_other),
        n=counts.total() + n_null,
        n_null=n_null,
        n_unseen=n_unseen,
        near_misses=near_misses(unseen, sorted(levels)),
    )


def _without_past(profile: ColumnProfile) -> ColumnProfile:
    known = replace(profile, n_blocks=0, null_share_quantile=None, unseen_share_quantile=None)
    return replace(known, psi_quantile=None, psi_rare=None)


def _with_past(profile: ColumnProfile, bins: NDArray[np.int64], blocks: NDArray[np.int64]) -> ColumnProfile:
    groups = profile.groups
    n_groups = int(groups[-1]) + 1
    return replace(
        profile,
        n_blocks=int(blocks.max(initial=-1)) + 1,
        psi_quantile=usual_psi(groups[bins], blocks, n_groups=n_groups),
        psi_rare=rare_psi(groups[bins], blocks, n_groups=n_groups),
        null_share_quantile=usual_null_share(bins == groups.size - 1, blocks),
    )
