"""Labels of a window: their distribution, its change within the window, and their associations."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.intervals import key_order
from tidemill.metrics.student import half_width
from tidemill.records import MetricValue, percent, significant
from tidemill.report import answer_charts, charts
from tidemill.report.values import Categories, Histogram
from tidemill.spec import Task

__all__ = ["BinaryLabels", "ClassLabels", "LabelView", "NumberLabels", "label_view"]

SHARE_SWING = 0.1  # reported change of a class's share between the window's first and last third
MEAN_SWING = 0.5  # the same of a number's mean, in standard deviations of the label
N_SHOWN = 5  # classes listed in figures

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelView(ABC):
    """The known labels of a window, in order of rows."""

    known: npt.NDArray[np.bool_]
    """Rows that have a label, shape (n_rows,)."""
    y: Labels
    """Their labels: 0 and 1, classes, or numbers."""
    keys: npt.NDArray[np.object_]
    """Their partitions."""

    def association(self, values: Floats) -> float:
        """Return the association of a number with the label; NaN if undefined."""
        x = values[self.known]
        finite = np.isfinite(x)
        x = x[finite]
        with np.errstate(over="ignore", invalid="ignore"):  # squares near 1e308 overflow: NaN, no association
            return float("nan") if x.size < 2 or np.ptp(x) == 0 else self._associated(x, self.y[finite])

    def findings(self) -> list[str]:
        """Return a sentence for each change of the labels within the window."""
        thirds = np.array_split(np.unique(self.keys.astype(str)), 3)
        if any(not len(third) for third in thirds):
            return []
        first, last = (self.y[np.isin(self.keys.astype(str), thirds[end])] for end in (0, -1))
        return self._moved(first, last)

    def facts(self) -> dict[str, str]:
        """Return the figures for the top of the page, by their names."""
        return self._facts() if self.y.size else {}

    def pictures(self) -> dict[str, charts.Chart]:
        """Draw the distribution and its change by partition."""
        return self._pictures({str(key): self.y[self.keys == key] for key in sorted(set(self.keys), key=key_order)})

    def _associated(self, x: Floats, labels: Labels) -> float:
        """Return Pearson's correlation."""
        y = labels.astype(np.float64)
        return float("nan") if np.ptp(y) == 0 else float(np.corrcoef(x, y)[0, 1])

    @abstractmethod
    def _moved(self, first: Labels, last: Labels) -> list[str]: ...

    @abstractmethod
    def _facts(self) -> dict[str, str]: ...

    @abstractmethod
    def _pictures(self, parts: Mapping[str, Labels]) -> dict[str, charts.Chart]: ...


class BinaryLabels(LabelView):
    """Labels 0 and 1."""

    __slots__ = ()

    def _moved(self, first: Labels, last: Labels) -> list[str]:
        return _share_moved("positive labels", first == 1, last == 1)

    def _facts(self) -> dict[str, str]:
        return {"Positive labels": percent(float(self.y.mean()))}

    def _pictures(self, parts: Mapping[str, Labels]) -> dict[str, charts.Chart]:
        counts = {key: (int(part.sum()), len(part)) for key, part in parts.items()}
        return {"label_rate": charts.label_rate_over_time(counts)}


class ClassLabels(LabelView):
    """Labels that are classes."""

    __slots__ = ()

    @property
    def classes(self) -> list[str]:
        """Classes, the most frequent first."""
        names, counts = np.unique(self.y.astype(str), return_counts=True)
        return [str(name) for name in names[np.argsort(-counts, kind="stable")]]

    def _associated(self, x: Floats, labels: Labels) -> float:
        """Return the correlation ratio: the root of the share of variance that lies between classes, 0 to 1."""
        codes = np.unique(labels.astype(str), return_inverse=True)[1]
        counts = np.bincount(codes)
        means = np.bincount(codes, weights=x) / counts
        return float(np.sqrt((counts * (means - x.mean()) ** 2).sum() / ((x - x.mean()) ** 2).sum()))

    def _moved(self, first: Labels, last: Labels) -> list[str]:
        before, now = first.astype(str), last.astype(str)
        return [
            sentence
            for name in self.classes
            for sentence in _share_moved(f"labels {name!r}", before == name, now == name)
        ]

    def _facts(self) -> dict[str, str]:
        texts = self.y.astype(str)
        return {f"Labels {name}": percent(float((texts == name).mean())) for name in self.classes[:N_SHOWN]}

    def _pictures(self, parts: Mapping[str, Labels]) -> dict[str, charts.Chart]:
        names, texts = self.classes, self.y.astype(str)
        shares = {
            name: {key: float((part.astype(str) == name).mean()) for key, part in parts.items()} for name in names
        }
        drawn = Categories(names=tuple(names), counts=tuple(int((texts == name).sum()) for name in names))
        return {
            "labels": charts.distribution(drawn, title="Labels"),
            "label_rate": answer_charts.shares_over_time(shares, title="Labels over the partitions"),
        }


class NumberLabels(LabelView):
    """Labels that are numbers."""

    __slots__ = ()

    def _moved(self, first: Labels, last: Labels) -> list[str]:
        before, now, spread = float(first.mean()), float(last.mean()), float(self.y.std())
        moved = spread > 0 and abs(now - before) >= MEAN_SWING * spread
        return (
            [f"The mean label has moved within the window, from {significant(before, 4)} to {significant(now, 4)}."]
            if moved
            else []
        )

    def _facts(self) -> dict[str, str]:
        low, middle, high = np.quantile(self.y.astype(np.float64), [0.1, 0.5, 0.9])
        return {
            "Median label": significant(middle, 4),
            "Labels, four of five": f"{significant(low, 4)} to {significant(high, 4)}",
        }

    def _pictures(self, parts: Mapping[str, Labels]) -> dict[str, charts.Chart]:
        means = {key: _mean(part.astype(np.float64)) for key, part in parts.items()}
        return {
            "labels": charts.distribution(_histogram(self.y.astype(np.float64)), title="Labels"),
            "label_rate": charts.metric_over_partitions(means, title="Mean label"),
        }


_VIEWS: Mapping[Task, type[LabelView]] = {
    Task.BINARY: BinaryLabels,
    Task.MULTICLASS: ClassLabels,
    Task.REGRESSION: NumberLabels,
}


def label_view(task: Task, target: pa.ChunkedArray, partitions: pa.ChunkedArray) -> LabelView:
    """Return the view of what ``labelled`` returned, with the partition of each row."""
    known = np.asarray(target.is_valid().to_numpy(), dtype=bool)
    labels = target.drop_null()
    y = np.array(labels.to_pylist(), dtype=object) if pa.types.is_string(labels.type) else np.asarray(labels.to_numpy())
    return _VIEWS[task](known=known, y=y, keys=np.array(partitions.to_pylist(), dtype=object)[known])


def _share_moved(what: str, first: npt.NDArray[np.bool_], last: npt.NDArray[np.bool_]) -> list[str]:
    before, now = float(first.mean()), float(last.mean())
    if abs(now - before) < SHARE_SWING:
        return []
    return [f"The share of {what} has moved within the window, from {percent(before)} to {percent(now)}."]


def _mean(values: Floats) -> MetricValue:
    """Return the mean of one partition's labels, with the 95 % interval of its rows by Student's t."""
    n, mean = len(values), float(values.mean())
    half = half_width(values.tolist()) if n > 1 else None
    ends = (None, None) if half is None else (mean - half, mean + half)
    return MetricValue(name="mean_label", value=mean, n=n, low=ends[0], high=ends[1])


def _histogram(values: Floats) -> Histogram:
    if not values.size:
        return Histogram(edges=(0.0, 1.0), counts=(0,))
    counts, edges = np.histogram(values, bins=40, range=tuple(np.quantile(values, [0.0, 1.0])))
    return Histogram(edges=tuple(map(float, edges)), counts=tuple(map(int, counts)))
