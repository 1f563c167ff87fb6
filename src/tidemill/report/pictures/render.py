"""Rendering of charts to SVG and PNG, offline, with equal bytes for equal charts.

The only module that calls vl-convert. It must not depend on the content of a chart.
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
"""A chart is one layered Altair chart."""

_VEGALITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])  # the version that Altair's own schema describes
_IDENTIFIER = re.compile(r'( id="|url\(#)([a-z_]+\d+)')
_ILLEGIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_PNG_SCALE = 2.0  # pixels per CSS pixel: sharp on dense screens, about 40 kB per chart


def to_svg(chart: Chart) -> str:
    """Return a chart as SVG for a page.

    Parameters
    ----------
    chart : altair.LayerChart
        As the functions of ``tidemill.report.charts`` return it.

    Returns
    -------
    str
        One ``<svg>`` element without external references. Its identifiers are renumbered for each chart and
        prefixed with its name, so that several charts can share a page.

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
        Target path; the folder must exist.
    """
    spec = _spec(chart)
    target = Path(path_without_suffix)
    target.with_name(f"{target.name}.svg").write_text(_svg(spec), encoding="utf-8")
    target.with_name(f"{target.name}.png").write_bytes(_png(spec))


def to_png(chart: Chart) -> bytes:
    """Return a chart as PNG on white, for mails.

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
    """Return the chart with all characters replaced that XML does not allow, since a category may contain any."""
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
    """Return the SVG with identifiers of its own chart, since the renderer numbers them across charts."""
    found = dict.fromkeys(match[2] for match in _IDENTIFIER.finditer(svg))
    number = {identifier: str(position) for position, identifier in enumerate(found)}
    neutral = _IDENTIFIER.sub(lambda match: f"{match[1]}{number[match[2]]}", svg)
    name = hashlib.sha256(neutral.encode()).hexdigest()[:10]  # 40 bits: no collisions between charts of a page
    return _IDENTIFIER.sub(lambda match: f"{match[1]}{name}-{number[match[2]]}", svg)
