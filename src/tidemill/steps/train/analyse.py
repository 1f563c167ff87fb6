"""Analyse a training snapshot: a page with charts and the findings that need attention."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.monitoring.profile import ColumnKind, build_profile
from tidemill.monitoring.profile import ColumnProfile as Counted
from tidemill.records import MetricValue, ProfileRef, SnapshotRef, percent, significant
from tidemill.report import charts
from tidemill.report.pages import profile_page
from tidemill.report.values import ColumnProfile
from tidemill.runtime import declarations
from tidemill.runtime.job import Job
from tidemill.steps.data.features import feature_schema, one_of, read_some
from tidemill.steps.data.labels import labelled
from tidemill.steps.monitor.page import distribution_of
from tidemill.steps.train.label_view import label_view
from tidemill.storage.layout import FEATURES, LABELS, PARTITION
from tidemill.storage.tables import read_table

__all__ = ["analyse"]

MANY_NULLS = 0.3  # share from which a column's nulls are reported
STRONG = 0.6  # suspiciously high correlation with the label


@declarations.analyse
def analyse(job: Job, snapshot: SnapshotRef) -> ProfileRef:
    """Draw the profile of a training snapshot: types, nulls, distributions, association with the label, drift within."""
    folder = job.store.folder(snapshot.uri, snapshot.digest)
    in_memory = job.spec.train.engine == "local"
    rows = read_table(folder / FEATURES) if in_memory else read_some(folder / FEATURES)[0]
    target = labelled(rows, read_table(folder / LABELS), job.spec)
    label = label_view(job.spec.task, target, rows[PARTITION])
    schema = feature_schema(job.spec, rows.schema)
    counted = build_profile(rows, schema.numeric, schema.categorical)
    associations = {name: label.association(_values(rows[name])) for name in schema.numeric}
    columns = [_column(item, rows.schema.field(item.name).type, associations.get(item.name)) for item in counted]
    findings = (*_findings(counted, associations), *(label.findings() if job.spec.has_time else ()))
    if rows.num_rows < snapshot.n_rows:
        findings += (f"The profile looks at one of {one_of(snapshot.n_rows)} rows.",)
    pictures = {
        **label.pictures(),
        "correlation": charts.correlation(
            [MetricValue(name="correlation", value=value, feature=name) for name, value in associations.items()]
        ),
    }
    if not job.spec.has_time:  # folds are no course of time
        del pictures["label_rate"]
    drawn = [charts.to_svg(chart) for chart in pictures.values()]
    page = profile_page(snapshot, columns, findings, label_facts=label.facts(), pictures=drawn)

    def fill(target: Path) -> None:
        (target / "profile.html").write_text(page, encoding="utf-8")
        for name, chart in pictures.items():
            charts.save(chart, target / name)

    stored = job.store.write(job.spec.model, "reports", fill)
    return ProfileRef(snapshot_digest=snapshot.digest, uri=stored.uri, n_columns=len(columns), findings=findings)


def _values(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _column(counted: Counted, kind: pa.DataType, correlation: float | None) -> ColumnProfile:
    drawn = charts.distribution(distribution_of(counted), title=counted.name, size="mini")
    if counted.kind is ColumnKind.CATEGORICAL:
        kind_name, summary = "categorical", f"most often {counted.categories[0]}" if counted.categories else "no values"
    else:
        kind_name = "boolean" if pa.types.is_boolean(kind) else "numeric"
        known = [significant(v) for v in (counted.mean, counted.minimum, counted.maximum) if v is not None]
        summary = "mean {}, {} to {}".format(*known) if known else "no values"
    n_distinct = len(counted.categories) + len(counted.rare) if counted.kind is ColumnKind.CATEGORICAL else None
    return ColumnProfile(
        name=counted.name,
        type=kind_name,
        null_share=counted.n_null / counted.n,
        n_distinct=n_distinct,
        summary=summary,
        label_correlation=correlation,
        picture=charts.to_svg(drawn),
    )


def _findings(counted: tuple[Counted, ...], associations: dict[str, float]) -> Iterator[str]:
    for item in counted:
        values = item.n - item.n_null
        if item.n_null / item.n >= MANY_NULLS:
            yield f"{item.name} has no value in {percent(item.n_null / item.n)} of the rows."
        if values and (max(item.counts) == values and (item.minimum == item.maximum)):
            yield f"{item.name} has the same value in every row."
    for name, value in sorted(associations.items(), key=lambda pair: -abs(np.nan_to_num(pair[1]))):
        if abs(value) >= STRONG:
            yield f"{name} correlates unusually strongly with the label ({value:.2f}): is it known at the cutoff?"
