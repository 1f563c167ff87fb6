"""What the labels of a window look like: their distribution, how it moves within the window, what goes with them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.records import MetricValue
from tidemill.report import answer_charts, charts
from tidemill.report.html import percent
from tidemill.report.values import Categories, Histogram
from tidemill.spec import Task

__all__ = ["LabelView"]

SHARE_SWING = 0.1  # change of a class's share between the window's first and last third that is worth a sentence
MEAN_SWING = 0.5  # the same of a number's mean, in standard deviations of the label
N_SHOWN = 5  # classes that are named in figures

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelView:
    """The known labels of a window, in order of rows."""

    task: Task
    """What is predicted."""
    known: npt.NDArray[np.bool_]
    """Rows that have a label, shape (n_rows,)."""
    y: npt.NDArray[np.generic]
    """Their labels: 0 and 1, classes, or numbers."""
    keys: npt.NDArray[np.object_]
    """Their partitions."""

    @classmethod
    def of(cls, task: Task, target: pa.ChunkedArray, partitions: pa.ChunkedArray) -> Self:
        """Take what ``labelled`` gave, with the partition of each row."""
        known = np.asarray(target.is_valid().to_numpy(), dtype=bool)
        labels = target.drop_null()
        y = np.array(labels.to_pylist(), dtype=object) if task is Task.MULTICLASS else np.asarray(labels.to_numpy())
        return cls(task=task, known=known, y=y, keys=np.array(partitions.to_pylist(), dtype=object)[known])

    @property
    def classes(self) -> list[str]:
        """Classes, the most frequent first."""
        names, counts = np.unique(self.y.astype(str), return_counts=True)
        return [str(name) for name in names[np.argsort(-counts, kind="stable")]]

    def association(self, values: Floats) -> float:
        """Return how far a number goes with the label: Pearson's correlation, or the correlation ratio of several classes.

        The ratio, 0 to 1, is the root of the share of the number's variance that lies between the classes. NaN where it
        is not defined.
        """
        x = values[self.known]
        finite = np.isfinite(x)
        x = x[finite]
        if x.size < 2 or np.ptp(x) == 0:
            return float("nan")
        if self.task is Task.MULTICLASS:
            codes = np.unique(self.y[finite].astype(str), return_inverse=True)[1]
            counts = np.bincount(codes)
            means = np.bincount(codes, weights=x) / counts
            return float(np.sqrt((counts * (means - x.mean()) ** 2).sum() / ((x - x.mean()) ** 2).sum()))
        y = self.y[finite].astype(np.float64)
        return float("nan") if np.ptp(y) == 0 else float(np.corrcoef(x, y)[0, 1])

    def facts(self) -> dict[str, str]:
        """Return the figures for the top of the page, by their names."""
        if not self.y.size:
            return {}
        if self.task is Task.BINARY:
            return {"Positive labels": percent(float(self.y.mean()))}
        if self.task is Task.MULTICLASS:
            texts = self.y.astype(str)
            return {f"Labels {name}": percent(float((texts == name).mean())) for name in self.classes[:N_SHOWN]}
        low, middle, high = np.quantile(self.y.astype(np.float64), [0.1, 0.5, 0.9])
        return {"Median label": f"{middle:.4g}", "Labels, four of five": f"{low:.4g} to {high:.4g}"}

    def findings(self) -> list[str]:
        """Return whether the labels have moved within the window."""
        thirds = np.array_split(np.unique(self.keys.astype(str)), 3)
        if any(not len(third) for third in thirds):
            return []
        first, last = (self.y[np.isin(self.keys.astype(str), thirds[end])] for end in (0, -1))
        if self.task is Task.REGRESSION:
            before, now, spread = float(first.mean()), float(last.mean()), float(self.y.std())
            moved = spread > 0 and abs(now - before) >= MEAN_SWING * spread
            return [f"The mean label has moved within the window, from {before:.4g} to {now:.4g}."] if moved else []
        watched = [1] if self.task is Task.BINARY else self.classes
        found = []
        for name in watched:
            before, now = (float((part.astype(str) == str(name)).mean()) for part in (first, last))
            what = "positive labels" if self.task is Task.BINARY else f"labels {name!r}"
            if abs(now - before) >= SHARE_SWING:
                found.append(f"The share of {what} has moved within the window, from {before:.1%} to {now:.1%}.")
        return found

    def pictures(self) -> dict[str, charts.Chart]:
        """Draw the distribution, and how it moves over the partitions."""
        parts = {str(key): self.y[self.keys == key] for key in sorted(set(self.keys))}
        if self.task is Task.BINARY:
            counts = {key: (int(part.sum()), len(part)) for key, part in parts.items()}
            return {"label_rate": charts.label_rate_over_time(counts)}
        if self.task is Task.MULTICLASS:
            names = self.classes
            texts = self.y.astype(str)
            shares = {
                name: {key: float((part.astype(str) == name).mean()) for key, part in parts.items()} for name in names
            }
            drawn = Categories(names=tuple(names), counts=tuple(int((texts == name).sum()) for name in names))
            return {
                "labels": charts.distribution(drawn, title="Labels"),
                "label_rate": answer_charts.shares_over_time(shares, title="Labels over the partitions"),
            }
        means = {key: _mean(part.astype(np.float64)) for key, part in parts.items()}
        return {
            "labels": charts.distribution(_histogram(self.y.astype(np.float64)), title="Labels"),
            "label_rate": charts.metric_over_partitions(means, title="Mean label"),
        }


def _mean(values: Floats) -> MetricValue:
    half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else None
    mean = float(values.mean())
    return MetricValue(
        name="mean_label",
        value=mean,
        n=len(values),
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
    )


def _histogram(values: Floats) -> Histogram:
    if not values.size:
        return Histogram(edges=(0.0, 1.0), counts=(0,))
    counts, edges = np.histogram(values, bins=40, range=tuple(np.quantile(values, [0.0, 1.0])))
    return Histogram(edges=tuple(map(float, edges)), counts=tuple(map(int, counts)))
