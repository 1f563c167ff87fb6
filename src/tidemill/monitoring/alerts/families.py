"""Rule families: their meaning, the persistence they require, and the metric to plot.

``docs/runbook.md`` has a section for each family with the full instructions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A rule family, such as ``nulls`` for every feature."""

    title: str
    """What is wrong; the subject's name follows, e.g. ``missing values of``."""
    means: str
    """One sentence on what it means for users of the predictions."""
    part: str
    """Monitoring part that finds it."""
    persistence: str = "1 of 1"
    """Number of newest partitions that must show a warning before an alert opens, as ``N of M``."""
    metric: str = ""
    """Metric to plot over time; empty where no plot helps."""
    withholds: bool = False
    """Whether a finding that opens an alert at once withholds a run before it is published."""


_FAMILIES: dict[str, Family] = {
    "drift": Family(
        title="drift", part="drift", withholds=True, metric="drift_weighted", persistence="3 of 5",
        means="The model works on data unlike its training data; its quality may fall before labels show it.",
    ),
    "score_drift": Family(
        title="drift of the scores", part="drift", withholds=True, metric="score_psi", persistence="4 of 5",
        means="The distribution of the scores has shifted; decisions by a share or a threshold change with it.",
    ),
    "break": Family(
        title="sudden break of", part="drift", withholds=True, metric="psi",
        means="A column has changed overnight, as a broken feed does and the world does not: today's scores are suspect.",
    ),
    "nulls": Family(
        title="missing values of", part="drift", withholds=True, metric="null_share",
        means="The model imputes these values; the scores of these rows are less reliable than they look.",
    ),
    "unseen": Family(
        title="unknown levels of", part="drift", withholds=True, metric="unseen_share",
        means="The model has never seen these levels and treats them as unknown.",
    ),
    "quality": Family(
        title="low quality:", part="performance", persistence="2 of 3",
        means="The predictions are worse than the floor that the model was accepted with.",
    ),
    "label_coverage": Family(
        title="missing labels", part="performance", metric="label_coverage", persistence="2 of 3",
        means="The realised quality covers only part of the rows, and training will lack the others too.",
    ),
    "unknown": Family(
        title="no figure for", part="drift",
        means="A figure could not be computed, so what it measures is not monitored.",
    ),
    "slow": Family(
        title="slow step", part="compute", metric="wall_s", persistence="2 of 3",
        means="The predictions may soon be late, or cost more than they should.",
    ),
    "memory": Family(
        title="large step", part="compute", metric="peak_rss_bytes", persistence="2 of 3",
        means="The step may run out of memory and be killed, and the partition not be published.",
    ),
    "growth": Family(
        title="growing step", part="compute", metric="wall_s", persistence="2 of 3",
        means="Something leaks or accumulates: in some weeks the step will be late or be killed.",
    ),
    "estimate": Family(
        title="low estimate of", part="performance", persistence="2 of 3",
        means="The quality of today's scores is below the floor, if outcomes still follow the scores as before.",
    ),
    "change": Family(
        title="lasting rise of", part="performance",
        means="Predictions have been worse than at acceptance for longer than chance can explain.",
    ),
    "skew": Family(
        title="training-serving skew of", part="performance",
        means="The model is trained on values that it does not get when it scores rows.",
    ),
    "missing": Family(
        title="missing predictions", part="collect",
        means="Readers find no row for a partition that they expect.",
    ),
    "late": Family(
        title="late data", part="ready",
        means="The data were not ready at the deadline: readers find no row for the partition, or incomplete ones.",
    ),
    "agreement": Family(
        title="disagreement with the previous run:", part="inspect", withholds=True,
        means="Scoring the partition again gives other rows or scores than before, so one of the two runs is wrong.",
    ),
    "set_aside": Family(
        title="many rows set aside", part="inspect", withholds=True,
        means="Readers find no row for some entities: their rows break the contract, or have no score.",
    ),
    "withheld": Family(
        title="withheld rows of", part="inspect",
        means="New rows wait for a person; readers see the partition's earlier rows, or none.",
    ),
    "volume": Family(
        title="unusual number of rows", part="freshness", withholds=True, metric="n_rows",
        means="Rows are missing or doubled, so sums and shares over the predictions are wrong.",
    ),
    "age": Family(
        title="old", part="freshness", metric="age_days",
        means="The predictions rest on data that may be out of date.",
    ),
    "schema": Family(
        title="changed columns", part="freshness",
        means="The features query returns other columns or types than before, so the model may read wrong values.",
    ),
    "dependencies": Family(
        title="changed dependencies", part="freshness",
        means="Code, packages or query differ from those of the previous partition, which may explain changed figures.",
    ),
}  # fmt: skip

FAMILIES: Mapping[str, Family] = MappingProxyType(_FAMILIES)
"""Families by name; the spec's ``monitor.rules`` uses the same names."""
