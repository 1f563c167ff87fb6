"""A figure with its context, as alert rules and messages use it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.records import MetricValue, percent, significant

__all__ = ["RECENT", "AlertThresholds", "Reading"]

RECENT = "_recent"
"""Suffix of a metric computed over the newest matured partitions."""

ESTIMATED = "estimated_"  # prefix of a metric estimated before labels arrive
MOST_NAMED = 5  # features listed in a message
UNLIKE = 1.0  # stability index of partitions that have next to nothing in common; 0.25 is called a major shift


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholds:
    """What deserves an alert."""

    psi: float = 0.2
    """Stability index from which a feature has drifted, if the figures include no ``psi_threshold``."""
    null_share: float = 0.1
    """Rise of the share of nulls as a difference, e.g. 0.1 for a rise from 2 % to 12 %."""
    drift_share: float = 0.3
    """Share of the model's importance in drifted features from which the partition has drifted."""
    unseen_share: float = 0.02
    """Share of rows with a level that is not in the reference, if the reference's past had less."""
    label_coverage: float = 0.9
    """Minimum share of labels expected of a matured partition."""
    metric: str = "roc_auc"
    """Metric that the floor applies to, e.g. ``roc_auc_recent``."""
    greater_is_better: bool = True
    """False for errors and losses: their floor is a ceiling."""
    floor: float | None = None
    """Minimum realised quality, or maximum error; None for no floor."""
    volume_ratio: float = 1.6
    """Maximum factor between the rows of a partition and those of its visible run, either way."""
    set_aside_share: float = 0.01
    """Share of rows that may be set aside; half of it is unusual, if the past had less."""
    compute_ratio: float = 2.0
    """Multiple of the trailing median from which a step is slow or large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One finite figure, with the other figures of the partition and the thresholds."""

    figure: MetricValue
    """The figure to judge."""
    thresholds: AlertThresholds
    """What deserves an alert."""
    others: Mapping[tuple[str, str | None, str | None], MetricValue]
    """All figures by name, feature and slice."""
    partition: str = ""
    """Partition of the figures; empty if messages do not name it."""

    @property
    def value(self) -> float:
        """The figure's value."""
        return self.figure.value

    @property
    def share(self) -> str:
        """The figure's value in percent."""
        return percent(self.value, 2)

    @property
    def times(self) -> str:
        """The figure's value as a multiple, with three digits."""
        return significant(self.value)

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
        """The partition as a phrase for a message."""
        return f" of partition {self.partition}" if self.partition else ""

    def beside(self, name: str) -> float | None:
        """Return another figure of the same feature and slice; None if it is missing or NaN."""
        found = self.others.get((name, self.figure.feature, self.figure.slice))
        return None if found is None or math.isnan(found.value) else found.value

    def known(self, name: str, default: float) -> float:
        """Return another figure of the same feature and slice, or a default."""
        found = self.beside(name)
        return default if found is None else found

    def is_usual(self, name: str) -> bool:
        """Whether a figure is within the range that the reference's past partitions had."""
        now, usual = self.beside(name), self.beside(f"{name}_usual")
        return now is not None and usual is not None and now <= usual

    def extra(self, name: str) -> float:
        """Return how much a figure exceeds the median behind its ratio; NaN if unknown."""
        value = self.beside(name)
        return math.nan if value is None or not self.value else value - value / self.value

    # ---------------------------------------------------------------- drift

    @property
    def has_drifted(self) -> bool:
        """Whether the feature exceeds its drift threshold; True if unknown."""
        psi = self.beside("psi")
        return psi is None or psi > self.known("psi_threshold", self.thresholds.psi)

    @property
    def had_such_days(self) -> bool:
        """Whether two partitions of the reference were as far from the others, or its days are unlike; False if unknown.

        All rows of a morning share the weather. The distance of such days from each other says nothing about the next.
        They are unlike if two days, or the drift threshold that the days before set, have an index of 1 or more.
        """
        psi, rare = self.beside("psi"), self.beside("psi_rare")
        if psi is None or rare is None:
            return False
        return psi <= rare or max(rare, self.known("psi_threshold", 0.0)) >= UNLIKE

    @property
    def drifted(self) -> str:
        """Features beyond their threshold, most important first."""
        shares = {
            name: reading.known("importance_share", 0.0)
            for reading in self._features()
            if (name := reading.figure.feature) and reading.has_drifted
        }
        names = sorted(shares, key=lambda name: -shares[name])
        more = ["and others"] if len(names) > MOST_NAMED else []
        return ", ".join([f"{name} ({percent(shares[name])})" for name in names[:MOST_NAMED]] + more) or "none is named"

    def _features(self) -> list["Reading"]:
        return [
            Reading(figure=figure, thresholds=self.thresholds, others=self.others)
            for figure in self.others.values()
            if figure.name == "psi"
        ]

    @property
    def jump_usual(self) -> float:
        """Greatest stability index among the newest partitions, each against the others."""
        return self.known("jump_usual", 0.0)

    @property
    def points(self) -> float:
        """The figure in percentage points."""
        return 100 * self.value

    @property
    def null_share_now(self) -> str:
        """The share of nulls as a phrase for a message."""
        share = self.beside("null_share")
        return "" if share is None else f" to {percent(share)}"

    @property
    def near_misses(self) -> str:
        """The unseen levels that look like a known one, as a sentence for a message."""
        found = [
            slice_ for name, feature, slice_ in self.others if (name, feature) == ("near_miss_share", self.subject)
        ]
        return f" Written differently: {', '.join(map(str, found))}." if found else ""

    # ---------------------------------------------------------------- quality

    @property
    def floor(self) -> float:
        """Minimum realised quality, or maximum error; NaN for no floor."""
        return math.nan if self.thresholds.floor is None else self.thresholds.floor

    @property
    def metric(self) -> str:
        """Name of the acceptance metric."""
        return self.figure.name.removesuffix(RECENT).removeprefix(ESTIMATED)

    @property
    def metric_in_words(self) -> str:
        """Name of the metric and the partitions that it covers."""
        return self.figure.name.replace(RECENT, ", over the newest matured partitions,")

    def is_worse(self, value: float, floor: float) -> bool:
        """Whether a value is on the wrong side of the floor."""
        return value < floor if self.thresholds.greater_is_better else value > floor

    @property
    def nearest(self) -> float | None:
        """The end of a bad value's interval that is nearest to the floor."""
        return self.figure.high if self.thresholds.greater_is_better else self.figure.low

    @property
    def limit_in_words(self) -> str:
        """The crossed limit as a phrase."""
        return "below its floor" if self.thresholds.greater_is_better else "above its ceiling"

    @property
    def interval(self) -> str:
        """The interval as a phrase for a message."""
        low, high = self.figure.low, self.figure.high
        return "" if low is None or high is None else f", interval {low:.3f} to {high:.3f}"

    @property
    def weight(self) -> str:
        """What the interval implies, and what to do."""
        if self.nearest is None or not self.is_worse(self.nearest, self.floor):
            return "Chance can explain it; watch the next partitions"
        return f"The whole interval lies {self.limit_in_words}: roll back or retrain today"

    # ---------------------------------------------------------------- compute

    def grown(self, name: str) -> float:
        """Return how much a figure has grown over its trend window; NaN if unknown."""
        return self.known(name, math.nan) * self.value / (1 + self.value)

    @property
    def wall_s(self) -> float:
        """Duration of the step in seconds."""
        return self.known("wall_s", math.nan)

    @property
    def peak_mib(self) -> float:
        """Peak memory of the step, in MiB."""
        return self.known("peak_rss_bytes", math.nan) / 2**20

    @property
    def pace(self) -> str:
        """The step's rows per second relative to the usual, as a phrase for a message."""
        pace = self.beside("rows_per_s_ratio")
        return "" if pace is None else f", at {percent(pace)} of the usual rows per second"
