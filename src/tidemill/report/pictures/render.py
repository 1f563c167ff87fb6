"""A chart's way to SVG and PNG, offline, with the same bytes for the same chart.

The one place that calls vl-convert. It must not know what a chart means.
"""

import hashlib
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import altair as alt
import vl_convert

__all__ = ["Chart", "save", "to_png", "to_svg"]

Chart = alt.LayerChart
"""Every picture is one layered Altair chart."""

_VEGALITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])  # the version that Altair's own schema describes
_IDENTIFIER = re.compile(r'( id="|url\(#)([a-z_]+\d+)')
_ILLEGIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_PNG_SCALE = 2.0  # pixels a CSS pixel: sharp on dense screens, about 40 kB a picture


def to_svg(chart: Chart) -> str:
    """Draw a chart as SVG, ready to be put into a page.

    Parameters
    ----------
    chart : altair.LayerChart
        As the functions of ``tidemill.report.charts`` return it.

    Returns
    -------
    str
        One ``<svg>`` element that refers to nothing outside itself. Its identifiers are numbered anew
        for each picture, and carry the picture's name, so that several pictures share a page.

    Examples
    --------
    >>> from tidemill.report.charts import estimator_comparison
    >>> to_svg(estimator_comparison({}))[:4]
    '<svg'
    """
    return _svg(_spec(chart))


def save(chart: Chart, path_without_suffix: Path) -> None:
    """Write a chart as ``<path>.svg`` for pages, and as ``<path>.png`` for mails and MLflow.

    Parameters
    ----------
    chart : altair.LayerChart
        As the functions of ``tidemill.report.charts`` return it.
    path_without_suffix : Path
        Where to write; the folder must exist.
    """
    spec = _spec(chart)
    target = Path(path_without_suffix)
    target.with_name(f"{target.name}.svg").write_text(_svg(spec), encoding="utf-8")
    target.with_name(f"{target.name}.png").write_bytes(_png(spec))


def to_png(chart: Chart) -> bytes:
    """Draw a chart as PNG on white, for mails.

    Examples
    --------
    >>> from tidemill.report.charts import estimator_comparison
    >>> to_png(estimator_comparison({}))[1:4]
    b'PNG'
    """
    return _png(_spec(chart))


def _png(spec: dict[str, Any]) -> bytes:
    opaque = {**spec, "background": "#ffffff"}  # a mail's background may be dark, and a PNG cannot follow it
    return bytes(vl_convert.vegalite_to_png(opaque, vl_version=_VEGALITE, scale=_PNG_SCALE, allowed_base_urls=[]))


def _spec(chart: Chart) -> dict[str, Any]:
    spec: dict[str, Any] = _legible(chart.to_dict(validate=False))
    return spec


def _legible(value: Any) -> Any:
    """Replace what XML cannot hold in all texts: a category may contain any character."""
    if isinstance(value, str):
        return _ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_legible(key): _legible(item) for key, item in value.items()}
    return [_legible(item) for item in value] if isinstance(value, list) else value


def _svg(spec: dict[str, Any]) -> str:
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=_VEGALITE, allowed_base_urls=[])
    label = quoteattr(str(spec.get("description", "")))
    return _renumbered(drawn).replace("<svg ", f'<svg role="img" aria-label={label} ', 1)


def _renumbered(svg: str) -> str:
    """Rename identifiers per picture: the renderer continues its numbers from one picture to the next."""
    found = dict.fromkeys(match[2] for match in _IDENTIFIER.finditer(svg))
    number = {identifier: str(position) for position, identifier in enumerate(found)}
    neutral = _IDENTIFIER.sub(lambda match: f"{match[1]}{number[match[2]]}", svg)
    name = hashlib.sha256(neutral.encode()).hexdigest()[:10]  # 40 bits: pictures of one page never meet
    return _IDENTIFIER.sub(lambda match: f"{match[1]}{name}-{number[match[2]]}", svg)
