"""Charts of one column's distribution, compared with the reference if there is one.

Numbers become areas (grey for the reference, an outline in colour for the partition), categories become
bars. This module does not count rows; it takes counts.
"""

from collections.abc import Sequence

import altair as alt

from tidemill.report.pictures import marks
from tidemill.report.pictures.histograms import Bar, equal_bars
from tidemill.report.pictures.marks import ACCENT, REFERENCE, Row
from tidemill.report.values import Categories, Histogram

__all__ = ["layers_of"]

_MOST_CATEGORIES = 12  # maximum readable bars of a chart


def layers_of(sets: Sequence[Histogram | Categories], title: str, *, bare: bool) -> list[alt.Chart]:
    """Return the layers for one set, or for reference and analysis.

    Parameters
    ----------
    sets : sequence of Histogram or Categories
        One or two, all of one kind.
    bare : bool
        True to leave out axes and labels.

    Raises
    ------
    ValueError
        If the kinds are mixed.
    """
    histograms = [one for one in sets if isinstance(one, Histogram)]
    if len(histograms) == len(sets):
        return _numeric(histograms, title, bare)
    categories = [one for one in sets if isinstance(one, Categories)]
    if len(categories) == len(sets):
        return _categorical(categories, bare)
    raise ValueError(f"Column {title!r} is counted in two ways: reference and analysis must be of one kind.")


def _numeric(sets: Sequence[Histogram], title: str, bare: bool) -> list[alt.Chart]:
    """Draw the first set as bars, and the second as an outline over it."""
    first, *others = equal_bars(sets)
    x = alt.X("left:Q", title=title, scale=alt.Scale(zero=False, nice=False), axis=_axis(bare, grid=False))
    y = alt.Y("y:Q", title=None if bare else "share of rows", axis=_axis(bare, labels=False), stack=None)
    colour = REFERENCE if others else ACCENT
    bars = alt.Chart(marks.data(first)).mark_rect(color=colour, opacity=0.55)
    layers = [bars.encode(x=x, x2=alt.X2("right:Q"), y=y, y2=alt.Y2Datum(0))]
    for bins in others:
        outline = alt.Chart(marks.data(_outline(bins))).mark_line(color=ACCENT, strokeWidth=1.6)
        layers.append(outline.encode(x=x, y=y, order=alt.Order("order:Q")))
    return layers


def _outline(bins: Sequence[Bar]) -> list[Row]:
    """Return the corners of a histogram's outline, starting and ending at 0."""
    corners = [(bins[0]["left"], 0.0)]
    for one in bins:
        corners += [(one["left"], one["y"]), (one["right"], one["y"])]
    corners.append((bins[-1]["right"], 0.0))
    return [{"left": x, "y": y, "order": order} for order, (x, y) in enumerate(corners)]


def _categorical(sets: Sequence[Categories], bare: bool) -> list[alt.Chart]:
    """Draw the first set as bars, and the second as narrower bars inside them."""
    names = _leading_names(sets)
    position = alt.Scale(domain=names, paddingInner=0.25)
    layers = []
    for depth, one in enumerate(sets):
        colour = REFERENCE if len(sets) > 1 and depth == 0 else ACCENT
        band = alt.RelativeBandSize(band=0.4 if depth else 1.0)
        rows = alt.Chart(marks.data(_shares(one, names)))
        if bare:
            mark = rows.mark_bar(color=colour, width=band, opacity=1 if depth else 0.55)
            name = alt.X("name:N", sort=None, scale=position, axis=None)
            layers.append(mark.encode(x=name, y=alt.Y("share:Q", axis=None)))
        else:
            mark = rows.mark_bar(color=colour, height=band, opacity=1 if depth else 0.55)
            axis = alt.Axis(grid=False, ticks=False)
            name_of_row = alt.Y("name:N", sort=None, title=None, scale=position, axis=axis)
            share = alt.X("share:Q", title=None, axis=alt.Axis(format=".0%", tickCount=5))
            layers.append(mark.encode(y=name_of_row, x=share))
    return layers


def _leading_names(sets: Sequence[Categories]) -> list[str]:
    """Return the categories to draw: the most frequent of all sets, and one bar for the others."""
    largest: dict[str, float] = {}
    for one in sets:
        total = max(sum(one.counts), 1)
        for name, count in zip(one.names, one.counts, strict=True):
            largest[name] = max(largest.get(name, 0.0), count / total)
    names = sorted(largest, key=lambda name: (-largest[name], name))
    return names if len(names) <= _MOST_CATEGORIES else [*names[: _MOST_CATEGORIES - 1], "(others)"]


def _shares(one: Categories, names: Sequence[str]) -> list[Row]:
    total = max(sum(one.counts), 1)
    shares = dict.fromkeys(names, 0.0)
    for name, count in zip(one.names, one.counts, strict=True):
        shares[name if name in shares else "(others)"] += count / total
    return [{"name": name, "share": round(share, 6)} for name, share in shares.items()]


def _axis(bare: bool, *, grid: bool = True, labels: bool = True) -> alt.Axis | None:
    return None if bare else alt.Axis(grid=grid, labels=labels, tickCount=5)
