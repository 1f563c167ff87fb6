"""Analyse: what is in a training snapshot, as a page and pictures, with what a person should look at."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.monitoring.profile import ColumnKind, build_profile
from tidemill.monitoring.profile import ColumnProfile as Counted
from tidemill.records import MetricValue, ProfileRef, SnapshotRef
from tidemill.report import charts
from tidemill.report.pages import profile_page
from tidemill.report.values import ColumnProfile
from tidemill.spec import ModelSpec
from tidemill.steps.extract import FEATURES, LABELS, PARTITION
from tidemill.steps.features import feature_schema
from tidemill.steps.labels import labelled
from tidemill.steps.monitor_page import distribution_of
from tidemill.steps.running import Job

__all__ = ["analyse"]

MANY_NULLS = 0.3  # share from which a column's nulls are worth a sentence
STRONG = 0.6  # correlation with the label that is too good to pass unread
SWING = 0.1  # change of the label's rate between the window's first and last third that is worth a sentence


def analyse(job: Job, snapshot: SnapshotRef) -> ProfileRef:
    """Draw the profile of a training snapshot: types, nulls, distributions, correlation with the label, drift within."""
    folder = job.store.folder(snapshot.uri, snapshot.digest)
    rows = pq.ParquetFile(folder / FEATURES).read()
    y = _labels(rows, pq.ParquetFile(folder / LABELS).read(), job.spec)
    schema = feature_schema(job.spec, rows.schema)
    counted = build_profile(rows, schema.numeric, schema.categorical)
    correlations = {name: _correlation(rows[name], y) for name in schema.numeric}
    columns = [_column(item, rows.schema.field(item.name).type, correlations.get(item.name)) for item in counted]
    by_partition = _by_partition(rows, y)
    findings = tuple(_findings(counted, correlations, by_partition))
    pictures = {
        "label_rate": charts.label_rate_over_time(by_partition),
        "correlation": charts.correlation(
            [MetricValue(name="correlation", value=value, feature=name) for name, value in correlations.items()]
        ),
    }
    drawn = [charts.to_svg(chart) for chart in pictures.values()]
    page = profile_page(
        snapshot, columns, findings, label_rate=float(np.nanmean(y)) if np.isfinite(y).any() else None, pictures=drawn
    )

    def fill(target: Path) -> None:
        (target / "profile.html").write_text(page, encoding="utf-8")
        for name, chart in pictures.items():
            charts.save(chart, target / name)

    stored = job.store.write(job.spec.model, "reports", fill)
    return ProfileRef(snapshot_digest=snapshot.digest, uri=stored.uri, n_columns=len(columns), findings=findings)


def _labels(rows: pa.Table, labels: pa.Table, spec: ModelSpec) -> npt.NDArray[np.float64]:
    """Labels in the rows' order: 1, 0, or NaN where unknown."""
    return np.array(labelled(rows[spec.entity_key], labels, spec).cast(pa.float64()).to_numpy(), dtype=np.float64)


def _correlation(column: pa.ChunkedArray, y: npt.NDArray[np.float64]) -> float:
    """Pearson's correlation over the rows where both are known; NaN where it is not defined."""
    values = np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    known = np.isfinite(values) & np.isfinite(y)
    if known.sum() < 2 or np.ptp(values[known]) == 0 or np.ptp(y[known]) == 0:
        return float("nan")
    return float(np.corrcoef(values[known], y[known])[0, 1])


def _column(counted: Counted, kind: pa.DataType, correlation: float | None) -> ColumnProfile:
    drawn = charts.distribution(distribution_of(counted), title=counted.name, size="mini")
    if counted.kind is ColumnKind.CATEGORICAL:
        kind_name, summary = "categorical", f"most often {counted.categories[0]}" if counted.categories else "no values"
    else:
        kind_name = "boolean" if pa.types.is_boolean(kind) else "numeric"
        summary = (
            "no values"
            if counted.mean is None
            else f"mean {counted.mean:.3g}, {counted.minimum:.3g} to {counted.maximum:.3g}"
        )
    n_distinct = len(counted.categories) + len(counted.rare) if counted.kind is ColumnKind.CATEGORICAL else None
    return ColumnProfile(
        name=counted.name, type=kind_name, null_share=counted.n_null / counted.n, n_distinct=n_distinct, summary=summary,
        label_correlation=correlation, picture=charts.to_svg(drawn),
    )  # fmt: skip


def _by_partition(rows: pa.Table, y: npt.NDArray[np.float64]) -> dict[str, tuple[int, int]]:
    """Positive labels and labelled rows of each partition that has labels, in order."""
    known = np.isfinite(y)
    keys = np.array(rows[PARTITION].to_pylist(), dtype=object)[known]
    return {str(key): (int(y[known][keys == key].sum()), int((keys == key).sum())) for key in sorted(set(keys))}


def _findings(
    counted: tuple[Counted, ...], correlations: dict[str, float], by_partition: dict[str, tuple[int, int]]
) -> Iterator[str]:
    for item in counted:
        values = item.n - item.n_null
        if item.n_null / item.n >= MANY_NULLS:
            yield f"{item.name} has no value in {item.n_null / item.n:.0%} of the rows."
        if values and (max(item.counts) == values and (item.minimum == item.maximum)):
            yield f"{item.name} has the same value in every row."
    for name, value in sorted(correlations.items(), key=lambda pair: -abs(np.nan_to_num(pair[1]))):
        if abs(value) >= STRONG:
            yield f"{name} goes with the label more than is usual (correlation {value:.2f}): is it known at the cutoff?"
    thirds = np.array_split(np.array(list(by_partition.values()), dtype=np.float64).reshape(-1, 2), 3)
    if all(len(third) and third[:, 1].sum() for third in thirds):
        first, last = (float(third[:, 0].sum() / third[:, 1].sum()) for third in (thirds[0], thirds[-1]))
        if abs(last - first) >= SWING:
            yield f"The share of positive labels has moved within the window, from {first:.1%} to {last:.1%}."
