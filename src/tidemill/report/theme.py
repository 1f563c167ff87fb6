"""The look that pictures and pages share: one palette, light and dark, and one chart configuration.

A picture is drawn once, in the light colours. In a page the stylesheet maps each of them to a CSS variable,
so the same SVG is readable on a dark background. This module must not import Altair.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["CHART_CONFIG", "COLOURS", "FONT", "SIZES", "stylesheet_colours"]

FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"
"""Fonts of one width, so that a picture is laid out alike wherever it is drawn or shown."""

COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ink": ("#1c2b36", "#e3eaef"),
        "muted": ("#566573", "#a3b2be"),
        "grid": ("#e1e6ea", "#2c3842"),
        "reference": ("#8494a1", "#7d8c99"),  # what is usual: the training data, the baselines
        "accent": ("#19708c", "#58b4d1"),  # what the page is about: the analysis set, the candidate
        "second": ("#c0621a", "#eb9e5b"),  # the positive class
        "good": ("#2a7a4b", "#67c08b"),
        "warn": ("#8f6200", "#e0b04a"),
        "fail": ("#b0322b", "#f08a82"),
    }
)
"""Light and dark form of each colour; text has a contrast of 4.5 or more on its background, marks 3 or more.

Blue against orange, and never only colour, so that the pictures work for colour-blind readers.
"""

SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"standard": (460, 260), "wide": (1080, 240), "mini": (168, 38)}
)
"""Width and height in pixels of a whole picture, labels included."""

_INK, _MUTED, _GRID = (COLOURS[name][0] for name in ("ink", "muted", "grid"))

CHART_CONFIG: Mapping[str, Any] = MappingProxyType(
    {
        "background": "transparent",
        "font": FONT,
        "padding": 4,
        "aria": False,  # one label for the whole picture, instead of one for each mark
        "view": {"stroke": None},
        "axis": {
            "domain": False,
            "gridColor": _GRID,
            "labelColor": _MUTED,
            "labelFontSize": 11,
            "labelLimit": 150,
            "labelPadding": 4,
            "tickColor": _GRID,
            "titleColor": _MUTED,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
        },
        "legend": {
            "labelColor": _INK,
            "labelFontSize": 11,
            "labelLimit": 260,
            "orient": "top",
            "offset": 4,
            "title": None,
        },
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "color": _INK,
            "fontSize": 13,
            "fontWeight": "bold",
            "offset": 8,
            "subtitleColor": _MUTED,
            "subtitleFontSize": 11,
        },
        "text": {"color": _MUTED, "fontSize": 10},
    }
)
"""Vega-Lite's ``config`` block of every picture."""


def stylesheet_colours() -> str:
    """Return the CSS that defines the palette and recolours pictures by it.

    Examples
    --------
    >>> ".picture [fill='#19708c']{fill:var(--accent)}" in stylesheet_colours()
    True
    """
    light = ";".join(f"--{name}:{pair[0]}" for name, pair in COLOURS.items())
    dark = ";".join(f"--{name}:{pair[1]}" for name, pair in COLOURS.items())
    recolour = "\n".join(
        f".picture [{kind}='{pair[0]}']{{{kind}:var(--{name})}}"
        for name, pair in COLOURS.items()
        for kind in ("fill", "stroke")
    )
    return f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{recolour}\n"
