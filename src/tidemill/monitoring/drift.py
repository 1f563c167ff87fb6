"""Distance of a partition's features and scores from the champion's training data.

A feature has drifted when its stability index exceeds its threshold, the greatest of

- the fixed threshold plus the average contribution of chance at these sample sizes,
- the index that chance exceeds about once in a thousand partitions (measured: 0 to 3, depending on the rows),
- the usual level: 1.1 times the index that a new partition rarely exceeded in the reference's past.

So neither chance in small partitions nor the nature of weekdays, weather and histories counts as drift. The thresholds
are returned as separate figures for charts, alerts and the ledger. The alert rules decide which figures raise an
alert.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tidemill.monitoring.counting.groups import group_counts
from tidemill.monitoring.distances import (
    chance_psi,
    chi_square_statistic,
    expected_psi,
    jensen_shannon_distance,
    kolmogorov_smirnov_statistic,
    population_stability_index,
    wasserstein_distance,
)
from tidemill.monitoring.profile import ColumnKind, ColumnProfile
from tidemill.records import MetricValue

__all__ = ["detect_drift", "detect_score_drift"]

PAST_MARGIN = 1.1  # a high quantile of some 45 past partitions is uncertain by about a tenth


def detect_drift(
    reference: Sequence[ColumnProfile],
    analysis: Sequence[ColumnProfile],
    *,
    psi_threshold: float = 0.2,
    importance: Mapping[str, float] | None = None,
) -> tuple[MetricValue, ...]:
    """Compare each feature of a partition with its reference.

    Parameters
    ----------
    reference : sequence of ColumnProfile
        The champion's training snapshot.
    analysis : sequence of ColumnProfile
        The partition, counted into the same bins.
    psi_threshold : float, default 0.2
        Stability index from which a feature has drifted, before the allowances in the module docstring.
    importance : mapping of str to float, optional
        Importance of each feature; negative values count as 0. By default all features are equally important.

    Returns
    -------
    tuple of MetricValue
        For each feature ``psi``, ``psi_threshold``, ``psi_rare`` (reached by at least two partitions of the reference, if
        known), ``jensen_shannon`` (base 2), ``null_share``,
        ``null_share_rise`` (analysis minus reference), ``null_share_usual`` (rarely exceeded by a partition of the
        reference, if known) and ``importance_share`` (0 to 1). For a number also ``out_of_range_share`` and the effect
        sizes ``ks`` (0 to 1) and ``wasserstein`` (in standard deviations of the reference, clipped to its range). For
        a category also ``unseen_share``, ``unseen_share_usual`` (both omitted if the reference had too many levels),
        ``near_miss_share`` for each unseen level that looks like a known one, and the effect size ``cohens_w``.
        Finally ``drift_share``, the share of features over their threshold, and ``drift_weighted``, their share of the
        importance. All are NaN if the partition has no rows.

    Raises
    ------
    ValueError
        If a feature of the reference is missing or was counted into different bins.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from tidemill.monitoring.profile import build_profile, count_table
    >>> reference = build_profile(pa.table({"hour": list(range(24)) * 50}), ["hour"], [])
    >>> night = count_table(reference, pa.table({"hour": [1, 2, 3] * 100}))
    >>> detect_drift(reference, night)[-1].value
    1.0
    """
    counted = {profile.name: profile for profile in analysis}
    missing = [profile.name for profile in reference if profile.name not in counted]
    if missing:
        raise ValueError(f"analysis lacks {missing}: count the whole reference with count_table")
    metrics: list[MetricValue] = []
    weights = _weights([profile.name for profile in reference], importance or {})
    n_drifted = weighted = math.nan if not reference else 0.0
    for profile in reference:
        psi, *others = _feature_figures(profile, counted[profile.name], psi_threshold)
        weight = weights[profile.name]
        metrics += [psi, *others, MetricValue(name="importance_share", value=weight, n=psi.n, feature=profile.name)]
        # NaN stays NaN: an unknown feature must not count as stable.
        drifted = math.nan if math.isnan(psi.value) else float(psi.value > others[0].value)
        n_drifted, weighted = n_drifted + drifted, weighted + weight * drifted
    n = max((p.n for p in analysis), default=0)
    return (
        *metrics,
        MetricValue(name="drift_share", value=n_drifted / max(len(reference), 1), n=n),
        MetricValue(name="drift_weighted", value=weighted, n=n),
    )


def detect_score_drift(
    reference: ColumnProfile, analysis: ColumnProfile, *, psi_threshold: float = 0.2
) -> tuple[MetricValue, ...]:
    """Compare a partition's scores with those of the champion's test set.

    Parameters
    ----------
    reference : ColumnProfile
        Scores of the release on rows that were not used to fit it.
    analysis : ColumnProfile
        Scores of the partition, counted into the same bins.
    psi_threshold : float, default 0.2
        Stability index from which the scores have drifted.

    Returns
    -------
    tuple of MetricValue
        ``score_psi``, ``score_psi_threshold`` and ``score_jensen_shannon``.
    """
    psi, threshold, distance, *_ = _feature_figures(reference, analysis, psi_threshold)
    figures = (psi, threshold, distance)
    return tuple(MetricValue(name=f"score_{figure.name}", value=figure.value, n=figure.n) for figure in figures)


def _weights(names: Sequence[str], importance: Mapping[str, float]) -> dict[str, float]:
    """Return each feature's share of the importance; equal shares if none is known."""
    known = {name: value if (value := importance.get(name, 0.0)) > 0 else 0.0 for name in names}  # NaN counts as 0
    total = sum(known.values())
    return (
        {name: value / total for name, value in known.items()}
        if total > 0
        else dict.fromkeys(names, 1 / len(names or [""]))
    )


def _feature_figures(reference: ColumnProfile, analysis: ColumnProfile, fixed: float) -> tuple[MetricValue, ...]:
    if (reference.edges, reference.categories) != (analysis.edges, analysis.categories):
        raise ValueError(f"{analysis.name!r} was counted into other bins than the reference's: use count_into")
    groups = reference.groups
    before, now = group_counts(groups, reference.frequencies), group_counts(groups, analysis.frequencies)
    null_share = _share(analysis.n_null, analysis.n)
    figures = {
        "psi": population_stability_index(before, now),
        "psi_threshold": _threshold(reference, analysis, int(np.count_nonzero(before)), fixed),
        "jensen_shannon": jensen_shannon_distance(before, now),
        "null_share": null_share,
        "null_share_rise": null_share - _share(reference.n_null, reference.n),
        **({} if reference.psi_rare is None else {"psi_rare": reference.psi_rare}),
        **({} if reference.null_share_quantile is None else {"null_share_usual": reference.null_share_quantile}),
        **({} if reference.unseen_share_quantile is None else {"unseen_share_usual": reference.unseen_share_quantile}),
        **_novelty(analysis),
        **_shift(reference, analysis, before, now),
    }
    near = {
        f"{level[:60]!r} for {known[:60]!r}": _share(n, analysis.n)
        for level, (known, n) in analysis.near_misses.items()
    }
    return (
        *(MetricValue(name=name, value=value, n=analysis.n, feature=reference.name) for name, value in figures.items()),
        *(
            MetricValue(name="near_miss_share", value=share, n=analysis.n, feature=reference.name, slice=what)
            for what, share in near.items()
        ),
    )


def _shift(
    reference: ColumnProfile, analysis: ColumnProfile, before: NDArray[np.int64], now: NDArray[np.int64]
) -> dict[str, float]:
    """Return the effect sizes; empty where the reference has no spread."""
    if reference.kind is ColumnKind.CATEGORICAL:
        return {"cohens_w": math.sqrt(chi_square_statistic(before, now) / analysis.n)} if analysis.n else {}
    if not sum(reference.counts) or not sum(analysis.counts) or not reference.std:
        return {}
    edges = np.asarray(reference.edges)
    positions = np.concatenate([edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]])
    moved = wasserstein_distance(positions, reference.counts, analysis.counts) / reference.std
    return {"ks": kolmogorov_smirnov_statistic(reference.counts, analysis.counts), "wasserstein": moved}


def _threshold(reference: ColumnProfile, analysis: ColumnProfile, n_groups: int, fixed: float) -> float:
    sizes = (n_groups, reference.n, analysis.n)
    usual = PAST_MARGIN * (reference.psi_quantile or 0.0)
    return float(np.max([fixed + expected_psi(*sizes), chance_psi(*sizes), usual]))  # np.max, since max() drops NaN


def _novelty(analysis: ColumnProfile) -> dict[str, float]:
    if analysis.kind is ColumnKind.NUMERIC:
        outside = analysis.counts[0] + (analysis.counts[-1] if len(analysis.counts) > 1 else 0)
        return {"out_of_range_share": _share(outside, analysis.n)}
    return {"unseen_share": _share(analysis.n_unseen, analysis.n)} if analysis.all_levels_known else {}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
