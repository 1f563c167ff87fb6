"""All charts of Tidemill, as Altair charts from plain values.

The title states what a chart shows, the subtitle how to read it. Untrusted text (column names, categories)
enters only as data or as a title, never as a field name or an expression. An undefined chart, such as the ROC
curve of a single class, becomes a picture that states why.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import altair as alt
import numpy as np
from altair.utils.schemapi import debug_mode
from numpy.typing import ArrayLike

from tidemill.intervals import key_order
from tidemill.records import MetricValue
from tidemill.report.curves import reliability_bins, roc_points, wilson_interval
from tidemill.report.pictures import marks
from tidemill.report.pictures.distributions import layers_of
from tidemill.report.pictures.marks import ACCENT, GRID, INK, MUTED, REFERENCE, SERIES, Row
from tidemill.report.pictures.render import Chart, save, to_png, to_svg
from tidemill.report.values import Categories, Histogram

__all__ = [
    "Chart",
    "Size",
    "correlation",
    "distribution",
    "drift_over_time",
    "estimator_comparison",
    "importance",
    "label_rate_over_time",
    "metric_over_partitions",
    "reliability",
    "roc_curve",
    "save",
    "score_histogram",
    "to_png",
    "to_svg",
]

Size = Literal["standard", "wide", "mini"]
"""Size class of a chart; see ``tidemill.report.theme.SIZES``."""

_MOST_DOTS = 45  # maximum partitions in a chart that get a dot each
_MOST_BARS = 15  # features, one bar each
_MOST_LINES = 4  # features in colour and in the legend; the others are grey
_DIAGONAL = [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]


def roc_curve(y_true: ArrayLike, scores: Mapping[str, ArrayLike]) -> Chart:
    """Draw the ROC curve of one or more models on the same rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True for the positive class.
    scores : mapping of str to array-like of shape (n_samples,)
        Scores by model name, the main model first.

    Returns
    -------
    Chart
        Lines with the area under each in the legend, or a note if there is only one class.
    """
    title = "ROC curve"
    y = np.asarray(y_true, dtype=bool)
    if not scores or y.all() or not y.any():
        return marks.nothing(title, "Not defined: the rows do not have two classes.")
    rows: list[Row] = []
    for name, score in scores.items():
        false, found, area = roc_points(y, np.asarray(score, dtype=float))
        legend = f"{name}  {marks.figure(area)}"
        rows += [{"x": x, "y": y, "series": legend} for x, y in zip(false, found, strict=True)]
    curve = (
        alt.Chart(marks.data(rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=marks.share(alt.X, "x", "negatives predicted as positive"),
            y=marks.share(alt.Y, "y", "positives found"),
            color=marks.series(list(dict.fromkeys(row["series"] for row in rows))),
        )
    )
    chance = marks.lines(_DIAGONAL, color=REFERENCE, dash=True)
    return marks.finish(marks.layered(chance, curve), title, "Further to the top left is better; dashed: chance.")


def reliability(y_true: ArrayLike, y_score: ArrayLike) -> Chart:
    """Draw the observed positive share against the predicted one, with the number of rows in each bin.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True for the positive class.
    y_score : array-like of shape (n_samples,)
        Probabilities, 0 to 1; rows without a score are left out.

    Returns
    -------
    Chart
        Dots with 95 % Wilson intervals over bars of counts.
    """
    title = "Calibration"
    y, score = np.asarray(y_true, dtype=bool), np.asarray(y_score, dtype=float)
    scored = np.isfinite(score)
    rows = reliability_bins(y[scored], score[scored], 10)
    if not rows:
        return marks.nothing(title, "Not defined: there are no scored rows.")
    base = alt.Chart(marks.data(rows))
    quarter = alt.Scale(domain=[0, 4 * max(row["n"] for row in rows)])  # counts stay in the lowest quarter
    n = alt.Y("n:Q", axis=None, scale=quarter)
    left = marks.share(alt.X, "left", "predicted share")
    counts = base.mark_rect(color=GRID).encode(x=left, x2=alt.X2("right:Q"), y=n, y2=alt.Y2Datum(0))
    numbers = base.mark_text(baseline="bottom", dy=-2, fontSize=9, color=MUTED).encode(
        x=alt.X("centre:Q"), y=alt.YDatum(0, axis=None, scale=quarter), text=alt.Text("n:Q", format=",")
    )
    x = marks.share(alt.X, "mean", "predicted share")
    ranges = base.mark_rule(color=ACCENT).encode(
        x=x, y=marks.share(alt.Y, "low", "observed share"), y2=alt.Y2("high:Q")
    )
    dots = base.mark_circle(color=ACCENT, size=55, opacity=1).encode(x=x, y=marks.share(alt.Y, "y", "observed share"))
    ideal = marks.lines(_DIAGONAL, color=REFERENCE, dash=True)
    both = marks.layered(marks.layered(counts, numbers), marks.layered(ideal, ranges, dots)).resolve_scale(
        y="independent"
    )
    return marks.finish(both, title, "On the dashed line a score of 0.3 means 30 of 100. Bars: rows in each bin.")


def importance(values: Sequence[MetricValue]) -> Chart:
    """Draw the importance of each feature with its interval, largest first.

    Parameters
    ----------
    values : sequence of MetricValue
        One per feature, named by ``feature``; ``low`` and ``high`` where known.
    """
    defined = sorted((v for v in values if np.isfinite(v.value)), key=lambda v: (-v.value, marks.subject(v)))
    note = "Loss of the metric when a column is shuffled; lines: 95 % interval."
    return marks.bars(defined[:_MOST_BARS], "What the model relies on", note)


def correlation(values: Sequence[MetricValue]) -> Chart:
    """Draw each feature's correlation with the label, strongest first.

    Parameters
    ----------
    values : sequence of MetricValue
        One per feature, -1 to 1, named by ``feature``.
    """
    defined = sorted((v for v in values if np.isfinite(v.value)), key=lambda v: (-abs(v.value), marks.subject(v)))
    return marks.bars(defined[:_MOST_BARS], "Correlation with the label", "To the right: more often positive.")


def score_histogram(y_score: ArrayLike, y_true: ArrayLike | None = None) -> Chart:
    """Draw the distribution of scores, by class if the labels are known.

    Parameters
    ----------
    y_score : array-like of shape (n_samples,)
        Probabilities, 0 to 1; rows without a score are left out.
    y_true : array-like of shape (n_samples,), optional
        True for the positive class.
    """
    score = np.asarray(y_score, dtype=float)
    known = np.isfinite(score)
    if not known.any():
        return marks.nothing("Scores", "Not defined: there are no scored rows.")
    y = np.zeros(score.shape, dtype=bool) if y_true is None else np.asarray(y_true, dtype=bool)
    groups = {"all rows": known} if y_true is None else {"not positive": known & ~y, "positive": known & y}
    rows: list[Row] = []
    for name, member in groups.items():
        counts, edges = np.histogram(score[member], bins=30, range=(0.0, 1.0))
        legend = f"{name} ({counts.sum():,})"
        shares = counts / max(counts.sum(), 1)
        rows += [
            {"left": float(left), "right": float(right), "y": float(y), "series": legend}
            for left, right, y in zip(edges[:-1], edges[1:], shares, strict=True)
        ]
    columns = (
        alt.Chart(marks.data(rows))
        .mark_rect(opacity=0.55)
        .encode(
            x=marks.share(alt.X, "left", "score"),
            x2=alt.X2("right:Q"),
            y=alt.Y("y:Q", title="share of rows", axis=alt.Axis(format=".0%", tickCount=4)),
            y2=alt.Y2Datum(0),
            color=marks.series(list(dict.fromkeys(row["series"] for row in rows))),
        )
    )
    note = "Each bar is a share of its own class." if y_true is not None else "All scored rows."
    return marks.finish(marks.layered(columns), "Scores", note)


@debug_mode(False)  # a page has dozens, and Altair would validate each part when it is made: 40 % of their time
def distribution(
    reference: Histogram | Categories,
    analysis: Histogram | Categories | None = None,
    *,
    title: str,
    size: Size = "standard",
) -> Chart:
    """Draw a column's distribution in the reference and in the partition.

    Parameters
    ----------
    reference : Histogram or Categories
        Counts of the reference.
    analysis : Histogram or Categories, optional
        Counts of the partition, of the same kind; bins may differ.
    size : {"standard", "wide", "mini"}, default "standard"
        ``mini`` has neither title nor axes, for table cells.

    Raises
    ------
    ValueError
        If the kinds differ.
    """
    sets = (reference,) if analysis is None else (reference, analysis)
    if not any(sum(one.counts) for one in sets):
        return marks.nothing(title, "no values", size)
    note = "Share of rows." if analysis is None else "Grey: reference. Colour: the partition."
    return marks.finish(marks.layered(*layers_of(sets, title, bare=size == "mini")), title, note, size)


def drift_over_time(drift: Mapping[str, Mapping[str, float]], *, metric: str) -> Chart:
    """Draw each feature's drift by partition; the legend lists the features with the largest drift.

    Parameters
    ----------
    drift : mapping of str to mapping of str to float
        By feature, then by partition key.
    """
    title = "Drift over the partitions"
    peaks = {name: max(filter(np.isfinite, of.values()), default=-np.inf) for name, of in drift.items()}
    leading = sorted(drift, key=lambda name: (-peaks[name], name))[:_MOST_LINES]
    others = sorted(set(drift) - set(leading))
    rows = [
        {"x": key, "y": marks.or_none(value), "feature": name, "series": name if name in leading else "others"}
        for name in (*others, *reversed(leading))  # the largest is drawn last, on top
        for key, value in drift[name].items()
    ]
    if not rows:
        return marks.nothing(title, "No partition has been compared yet.", "wide")
    colours = [*(colour for colour in SERIES if colour != REFERENCE)][: len(leading)]
    legend = marks.series([*leading, "others"] if others else leading, [*colours, REFERENCE])
    line = (
        alt.Chart(marks.data(rows))
        .mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=18))
        .encode(
            x=marks.over_partitions(key for of in drift.values() for key in of),
            y=alt.Y("y:Q", title=metric, axis=alt.Axis(tickCount=4)),
            color=legend,
            detail=alt.Detail("feature:N"),
            opacity=alt.condition("datum.series == 'others'", alt.value(0.45), alt.value(1)),
        )
    )
    return marks.finish(marks.layered(line), title, "Distance from the training data.", "wide")


def metric_over_partitions(
    values: Mapping[str, MetricValue], *, title: str, threshold: float | None = None, size: Size = "wide"
) -> Chart:
    """Draw one metric by partition with its interval.

    Parameters
    ----------
    values : mapping of str to MetricValue
        By partition key; an undefined value leaves a gap.
    title : str
        Title of the chart, e.g. ``Realised roc_auc``.
    threshold : float, optional
        Drawn as a dashed line.
    """
    rows = [
        {"x": key, "y": marks.or_none(v.value), **marks.ends(v)}
        for key, v in sorted(values.items(), key=lambda item: key_order(item[0]))
    ]
    if not any(row["y"] is not None for row in rows):
        return marks.nothing(title, "No partition has a value yet.", size)
    base = alt.Chart(marks.data(rows)).encode(x=marks.over_partitions(values))
    scale, axis = alt.Scale(zero=False), alt.Axis(tickCount=4)
    low = alt.Y("low:Q", title=None, scale=scale, axis=axis)
    y = alt.Y("y:Q", title=None, scale=scale, axis=axis)
    band = base.mark_area(color=ACCENT, opacity=0.18).encode(y=low, y2=alt.Y2("high:Q"))
    line = base.mark_line(color=ACCENT, strokeWidth=1.8).encode(y=y)
    dots = base.mark_circle(color=ACCENT, size=28 if len(rows) <= _MOST_DOTS else 8, opacity=1).encode(y=y)
    note = "Band: 95 % interval." + ("" if threshold is None else " Dashed: threshold.")
    return marks.finish(marks.layered(band, line, dots, *marks.level(threshold)), title, note, size)


def label_rate_over_time(positives: Mapping[str, tuple[int, int]]) -> Chart:
    """Draw the share of positive labels by partition: the drift within a window.

    Parameters
    ----------
    positives : mapping of str to (int, int)
        By partition key: positive labels, and labelled rows.
    """
    rates = {}
    for key, (n_positive, n) in positives.items():
        low, high = wilson_interval(n_positive, n)
        rates[key] = MetricValue(
            name="label_rate", value=n_positive / n if n else float("nan"), low=low, high=high, n=n
        )
    return metric_over_partitions(rates, title="Share of positive labels")


def estimator_comparison(
    values: Mapping[str, MetricValue], *, chosen: str | None = None, greater_is_better: bool = True
) -> Chart:
    """Draw the acceptance metric of each estimator and baseline with its interval, best first.

    Parameters
    ----------
    values : mapping of str to MetricValue
        One metric on the same rows, by estimator name.
    chosen : str, optional
        Drawn in colour; the others are grey.
    greater_is_better : bool, default True
        False for errors and losses.
    """
    title, sign = "Estimators on the same rows", -1 if greater_is_better else 1
    ordered = sorted(((n, v) for n, v in values.items() if np.isfinite(v.value)), key=lambda item: sign * item[1].value)
    rows = [
        {"name": name, "x": v.value, **marks.ends(v), "label": marks.figure(v.value), "chosen": name == chosen}
        for name, v in ordered
    ]
    if not rows:
        return marks.nothing(title, "No estimator has a value.")
    names = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(grid=False, ticks=False))
    base = alt.Chart(marks.data(rows)).encode(y=names)
    colour = alt.condition("datum.chosen", alt.value(ACCENT), alt.value(REFERENCE))
    metric, scale = ordered[0][1].name, alt.Scale(zero=False, padding=24)  # px: room for a label at the edge
    low = alt.X("low:Q", title=metric, scale=scale, axis=alt.Axis(tickCount=5))
    x = alt.X("x:Q", title=metric, scale=scale, axis=alt.Axis(tickCount=5))
    ranges = base.mark_rule(strokeWidth=2).encode(x=low, x2=alt.X2("high:Q"), color=colour)
    dots = base.mark_circle(size=70, opacity=1).encode(x=x, color=colour)
    labels = base.mark_text(dy=-10, fontSize=10, color=INK).encode(x=x, text=alt.Text("label:N"))
    height = 84 + 34 * len(rows)  # px: the frame, and a row with space for its label
    note = "Dots with 95 % intervals, best first."
    return marks.finish(marks.layered(ranges, dots, labels), title, note, height=height)
