"""The families of rules: what each means, how persistent a finding has to be, and which figure shows it.

``docs/runbook.md`` has a section for each, with what to do in full.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of rules, such as ``nulls`` of any feature."""

    title: str
    """What is wrong, before the subject's name, e.g. ``missing values of``."""
    means: str
    """What it means for whoever uses the predictions; a sentence."""
    part: str
    """Part of monitoring that finds it."""
    persistence: str = "1 of 1"
    """In how many of the newest partitions a warning has to be found before it opens an alert."""
    metric: str = ""
    """Metric whose course shows it; empty where no picture helps."""


_FAMILIES: dict[str, Family] = {
    "drift": Family(
        title="drift", part="drift", metric="drift_weighted", persistence="3 of 5",
        means="The model works on data unlike its training data; its quality may fall before labels show it.",
    ),
    "score_drift": Family(
        title="drift of the scores", part="drift", metric="score_psi", persistence="4 of 5",
        means="The model answers differently than it used to; whoever acts on a share or a threshold will notice.",
    ),
    "break": Family(
        title="sudden break of", part="drift", metric="psi",
        means="A column has changed overnight, as a broken feed does and the world does not: today's scores are suspect.",
    ),
    "nulls": Family(
        title="missing values of", part="drift", metric="null_share",
        means="The model fills the gaps with what it learned; the scores of these rows say less than they seem to.",
    ),
    "unseen": Family(
        title="unknown levels of", part="drift", metric="unseen_share",
        means="The model has never seen these levels and treats them as unknown.",
    ),
    "quality": Family(
        title="low quality:", part="performance", persistence="2 of 3",
        means="The predictions are worse than the floor that the model was accepted with.",
    ),
    "label_coverage": Family(
        title="missing labels", part="performance", metric="label_coverage", persistence="2 of 3",
        means="The known quality rests on a part of the rows, and training will lack the others too.",
    ),
    "unknown": Family(
        title="no figure for", part="drift",
        means="A figure could not be computed, so nothing watches what it stands for.",
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
        means="Something leaks or piles up: the step will be late, or be killed, some weeks from now.",
    ),
    "estimate": Family(
        title="low estimate of", part="performance", persistence="2 of 3",
        means="Today's scores are worth less than the floor allows, if outcomes still follow the scores as they did.",
    ),
    "change": Family(
        title="lasting rise of", part="performance",
        means="Predictions have been worse than at acceptance for longer than chance explains.",
    ),
    "skew": Family(
        title="training-serving skew of", part="performance",
        means="The model is trained on values that it does not get when it scores.",
    ),
    "missing": Family(
        title="missing predictions", part="collect",
        means="Readers find no row for a partition that they expect.",
    ),
    "volume": Family(
        title="unusual number of rows", part="freshness", metric="n_rows",
        means="Rows are missing or doubled, so sums and shares over the predictions are wrong.",
    ),
    "age": Family(
        title="old", part="freshness", metric="age_days",
        means="The predictions rest on data that may be out of date.",
    ),
    "schema": Family(
        title="changed columns", part="freshness",
        means="The features query returns other columns or types than it did, so the model may read something else.",
    ),
    "dependencies": Family(
        title="changed dependencies", part="freshness",
        means="Code, packages or image differ from those of the previous partition, which may explain a change of the figures.",
    ),
}  # fmt: skip

FAMILIES: Mapping[str, Family] = MappingProxyType(_FAMILIES)
"""Every family, by name; the spec's ``monitor.rules`` takes the same names."""
