"""Charts for multiclass and regression models: confusion, residuals, classes over time.

As in ``charts``, untrusted text enters only as data or as a title, and an undefined chart states why.
"""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
from numpy.typing import ArrayLike

from tidemill.intervals import key_order
from tidemill.report.pictures import marks
from tidemill.report.pictures.marks import ACCENT, GRID, INK, REFERENCE, SERIES, Row
from tidemill.report.pictures.render import Chart

__all__ = ["confusion_matrix", "predicted_against_actual", "residuals", "shares_over_time"]

_MOST_CLASSES = 12  # maximum readable rows and columns of a chart
_OTHERS = "(others)"
_N_GROUPS = 10  # tenths of the rows by predicted value


def confusion_matrix(y_true: Sequence[str], y_pred: Sequence[str]) -> Chart:
    """Draw the confusion matrix as shares of each true class.

    Parameters
    ----------
    y_true, y_pred : sequence of str, of length n_samples
        Classes; all but the eleven most frequent true classes are merged into one.
    """
    title = "Confusion"
    truth, answer = np.asarray(y_true, dtype=object), np.asarray(y_pred, dtype=object)
    if not truth.size:
        return marks.nothing(title, "Not defined: there are no labelled rows.")
    names = _leading(truth, answer)
    truth, answer = _folded(truth, names), _folded(answer, names)
    rows: list[Row] = []
    for name in names:
        of_class = answer[truth == name]
        for other in names:
            share = float((of_class == other).mean()) if of_class.size else 0.0
            rows.append({"y": name, "x": other, "share": share, "label": f"{share:.0%}", "dark": share > 0.55})
    base = alt.Chart(marks.data(rows)).encode(
        x=alt.X("x:N", sort=names, title="predicted", axis=alt.Axis(grid=False, ticks=False, labelAngle=0)),
        y=alt.Y("y:N", sort=names, title="came true", axis=alt.Axis(grid=False, ticks=False)),
    )
    colour = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=[GRID, ACCENT]), legend=None)
    cells = base.mark_rect().encode(color=colour)
    texts = base.mark_text(fontSize=11).encode(
        text=alt.Text("label:N"), color=alt.condition("datum.dark", alt.value("#ffffff"), alt.value(INK))
    )
    return marks.finish(
        marks.layered(cells, texts), title, "Each row is 100 % of a class; correct predictions on the diagonal."
    )


def predicted_against_actual(y_true: ArrayLike, y_pred: ArrayLike, low: ArrayLike, high: ArrayLike) -> Chart:
    """Draw actual against predicted values by tenths of the rows, with the published interval.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Values.
    low, high : array-like of shape (n_samples,)
        Ends of the interval; NaN where there is none.
    """
    title = "Predicted and actual"
    truth, predicted, lower, upper = (np.asarray(column, dtype=float) for column in (y_true, y_pred, low, high))
    if not truth.size:
        return marks.nothing(title, "Not defined: there are no labelled rows.")
    rows: list[Row] = []
    for group in np.array_split(np.argsort(predicted, kind="stable"), min(_N_GROUPS, truth.size)):
        ends = (lower[group], upper[group])
        known = all(np.isfinite(end).all() for end in ends)
        rows.append(
            {
                "x": float(predicted[group].mean()),
                "y": float(truth[group].mean()),
                "low": float(ends[0].mean()) if known else None,
                "high": float(ends[1].mean()) if known else None,
            }
        )
    span = [min(row["x"] for row in rows), max(row["x"] for row in rows)]
    scale, axis = alt.Scale(zero=False), alt.Axis(tickCount=5)
    base = alt.Chart(marks.data(rows)).encode(x=alt.X("x:Q", title="mean predicted", scale=scale, axis=axis))
    band = base.mark_area(color=ACCENT, opacity=0.18).encode(
        y=alt.Y("low:Q", title="mean that came", scale=scale, axis=axis), y2=alt.Y2("high:Q")
    )
    dots = base.mark_circle(color=ACCENT, size=55, opacity=1).encode(
        y=alt.Y("y:Q", title="mean that came", scale=scale, axis=axis)
    )
    ideal = marks.lines([{"x": end, "y": end} for end in span], color=REFERENCE, dash=True)
    note = "Tenths of the rows; on the dashed line predictions are correct on average. Band: mean interval."
    return marks.finish(marks.layered(band, ideal, dots), title, note)


def residuals(y_true: ArrayLike, y_pred: ArrayLike) -> Chart:
    """Draw the distribution of prediction minus actual value, without the outer hundredths.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Values.
    """
    title = "Residuals"
    error = np.asarray(y_pred, dtype=float) - np.asarray(y_true, dtype=float)
    error = error[np.isfinite(error)]
    if not error.size:
        return marks.nothing(title, "Not defined: there are no labelled rows.")
    span = np.quantile(error, [0.005, 0.995])
    counts, edges = np.histogram(error, bins=40, range=(float(span[0]), float(span[1])))
    rows: list[Row] = [
        {"left": float(left), "right": float(right), "y": float(count) / error.size}
        for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    bars = (
        alt.Chart(marks.data(rows))
        .mark_rect(color=ACCENT, opacity=0.55)
        .encode(
            x=alt.X("left:Q", title="predicted minus actual", scale=alt.Scale(zero=False, nice=False)),
            x2=alt.X2("right:Q"),
            y=alt.Y("y:Q", title="share of rows", axis=alt.Axis(format=".0%", tickCount=4)),
            y2=alt.Y2Datum(0),
        )
    )
    zero = alt.Chart(marks.data([{"x": 0.0}])).mark_rule(color=INK, strokeDash=[4, 4]).encode(x=alt.X("x:Q"))
    return marks.finish(marks.layered(bars, zero), title, "To the right: predicted too high. 99 % of the rows.")


def shares_over_time(shares: Mapping[str, Mapping[str, float]], *, title: str) -> Chart:
    """Draw the share of each class by partition.

    Parameters
    ----------
    shares : mapping of str to mapping of str to float
        By class, then by partition key, 0 to 1; the five largest are drawn.
    """
    largest = sorted(shares, key=lambda name: (-max(shares[name].values(), default=0.0), name))[: len(SERIES)]
    rows = [
        {"x": key, "y": marks.or_none(value), "series": name}
        for name in largest
        for key, value in sorted(shares[name].items(), key=lambda item: key_order(item[0]))
    ]
    if not rows:
        return marks.nothing(title, "No partition has labels yet.", "wide")
    line = (
        alt.Chart(marks.data(rows))
        .mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=18))
        .encode(
            x=marks.over_partitions(key for of in shares.values() for key in of),
            y=alt.Y("y:Q", title=None, axis=alt.Axis(format=".0%", tickCount=4)),
            color=marks.series(largest),
        )
    )
    return marks.finish(marks.layered(line), title, "Shares of the labelled rows of a partition.", "wide")


def _leading(truth: np.ndarray, answer: np.ndarray) -> list[str]:
    names, counts = np.unique(truth.astype(str), return_counts=True)
    frequent = [str(name) for name in names[np.argsort(-counts, kind="stable")]]
    frequent += sorted({str(name) for name in answer}.difference(frequent))
    return sorted(frequent) if len(frequent) <= _MOST_CLASSES else [*sorted(frequent[: _MOST_CLASSES - 1]), _OTHERS]


def _folded(values: np.ndarray, names: list[str]) -> np.ndarray:
    return np.array([value if value in names else _OTHERS for value in map(str, values)], dtype=object)
