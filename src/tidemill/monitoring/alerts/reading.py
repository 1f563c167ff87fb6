"""A figure with its surroundings, as alert rules and their messages read it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.records import MetricValue

__all__ = ["RECENT", "AlertThresholds", "Reading"]

RECENT = "_recent"
"""Suffix of a metric over the newest matured partitions."""

ESTIMATED = "estimated_"  # of a metric before labels
MOST_NAMED = 5  # features that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholds:
    """What deserves an alert."""

    psi: float = 0.2
    """Stability index from which a feature has drifted, where the figures bring no ``psi_threshold`` of their own."""
    null_share: float = 0.1
    """Rise of the share of nulls, as a difference, e.g. 0.1 from 2 % to 12 %."""
    drift_share: float = 0.3
    """Share of the model's importance whose features have drifted, from which the partition has."""
    unseen_share: float = 0.02
    """Share of rows with a level that is not in the reference, where the reference's past had less."""
    label_coverage: float = 0.9
    """Least share of labels that a matured partition should have."""
    metric: str = "roc_auc"
    """Metric that the floor is for, e.g. ``roc_auc_recent``."""
    greater_is_better: bool = True
    """False for errors and losses: their floor is a ceiling."""
    floor: float | None = None
    """Least realised quality, or greatest error; None for no floor."""
    compute_ratio: float = 2.0
    """Times the trailing median from which a step is slow or large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One finite figure, with the other figures of the partition and the thresholds."""

    figure: MetricValue
    """The figure that is judged."""
    thresholds: AlertThresholds
    """What deserves an alert."""
    others: Mapping[tuple[str, str | None, str | None], MetricValue]
    """Every figure, by name, feature and slice."""
    partition: str = ""
    """Partition of the figures, if it is to be named."""

    @property
    def value(self) -> float:
        """The figure's value."""
        return self.figure.value

    @property
    def subject(self) -> str:
        """Feature or step of the figure."""
        return self.figure.feature or (self.figure.slice or "").removeprefix("step=")

    @property
    def rows(self) -> str:
        """Rows behind the figure."""
        return "rows unknown" if self.figure.n is None else f"{self.figure.n:,} rows"

    @property
    def of_partition(self) -> str:
        """The partition, as part of a sentence."""
        return f" of partition {self.partition}" if self.partition else ""

    def beside(self, name: str) -> float | None:
        """Return another figure of the same feature and slice; None where it is missing or NaN."""
        found = self.others.get((name, self.figure.feature, self.figure.slice))
        return None if found is None or math.isnan(found.value) else found.value

    def known(self, name: str, default: float) -> float:
        """Return another figure of the same feature and slice, or a default."""
        found = self.beside(name)
        return default if found is None else found

    def is_usual(self, name: str) -> bool:
        """Whether a figure is within what partitions of the reference's past had."""
        now, usual = self.beside(name), self.beside(f"{name}_usual")
        return now is not None and usual is not None and now <= usual

    def extra(self, name: str) -> float:
        """Return by how much a figure exceeds the median that the ratio refers to; NaN where it is unknown."""
        value = self.beside(name)
        return math.nan if value is None or not self.value else value - value / self.value

    # ---------------------------------------------------------------- drift

    @property
    def has_drifted(self) -> bool:
        """Whether the feature is beyond its threshold of drift; True where that is unknown."""
        psi = self.beside("psi")
        return psi is None or psi > self.known("psi_threshold", self.thresholds.psi)

    @property
    def drifted(self) -> str:
        """Features beyond their threshold, the most important first."""
        shares = {
            name: reading.known("importance_share", 0.0)
            for reading in self._features()
            if (name := reading.figure.feature) and reading.has_drifted
        }
        names = sorted(shares, key=lambda name: -shares[name])
        more = ["and others"] if len(names) > MOST_NAMED else []
        return ", ".join([f"{name} ({shares[name]:.0%})" for name in names[:MOST_NAMED]] + more) or "none is named"

    def _features(self) -> list["Reading"]:
        return [
            Reading(figure=figure, thresholds=self.thresholds, others=self.others)
            for figure in self.others.values()
            if figure.name == "psi"
        ]

    @property
    def jump_usual(self) -> float:
        """Greatest stability index of one of the newest partitions against the others."""
        return self.known("jump_usual", 0.0)

    @property
    def points(self) -> float:
        """The figure in percentage points."""
        return 100 * self.value

    @property
    def null_share_now(self) -> str:
        """The share of nulls, as part of a sentence."""
        share = self.beside("null_share")
        return "" if share is None else f" to {share:.1%}"

    # ---------------------------------------------------------------- quality

    @property
    def floor(self) -> float:
        """Least realised quality, or greatest error; NaN for no floor."""
        return math.nan if self.thresholds.floor is None else self.thresholds.floor

    @property
    def metric(self) -> str:
        """Name of the acceptance metric."""
        return self.figure.name.removesuffix(RECENT).removeprefix(ESTIMATED)

    @property
    def metric_in_words(self) -> str:
        """Name of the metric, and over what it was computed."""
        return self.figure.name.replace(RECENT, ", over the newest matured partitions,")

    def is_worse(self, value: float, floor: float) -> bool:
        """Whether a value is on the wrong side of the floor."""
        return value < floor if self.thresholds.greater_is_better else value > floor

    @property
    def nearest(self) -> float | None:
        """The end of the interval that is nearest to the floor of a bad value."""
        return self.figure.high if self.thresholds.greater_is_better else self.figure.low

    @property
    def limit_in_words(self) -> str:
        """The limit that is crossed."""
        return "below its floor" if self.thresholds.greater_is_better else "above its ceiling"

    @property
    def interval(self) -> str:
        """The interval, as part of a sentence."""
        low, high = self.figure.low, self.figure.high
        return "" if low is None or high is None else f", interval {low:.3f} to {high:.3f}"

    @property
    def weight(self) -> str:
        """How much the interval says, and what to do."""
        if self.nearest is None or not self.is_worse(self.nearest, self.floor):
            return "Chance can explain it; watch the next partitions"
        return f"The whole interval lies {self.limit_in_words}: roll back or retrain today"

    # ---------------------------------------------------------------- compute

    def grown(self, name: str) -> float:
        """Return by how much a figure has grown over the window of its trend; NaN where it is unknown."""
        return self.known(name, math.nan) * self.value / (1 + self.value)

    @property
    def wall_s(self) -> float:
        """Seconds that the step took."""
        return self.known("wall_s", math.nan)

    @property
    def peak_mib(self) -> float:
        """Peak memory of the step, in MiB."""
        return self.known("peak_rss_bytes", math.nan) / 2**20

    @property
    def pace(self) -> str:
        """The step's rows per second against the usual, as part of a sentence."""
        pace = self.beside("rows_per_s_ratio")
        return "" if pace is None else f", at {pace:.0%} of the usual rows per second"
