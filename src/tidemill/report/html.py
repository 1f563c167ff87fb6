"""Self-contained pages from templates: escaping, number formats, and the content security policy.

Every value is escaped, except pictures, which are checked. A page runs no script and loads nothing, so it can be
mailed, archived, or shown in a sandboxed frame. This module must not depend on the content of pages.
"""

import base64
import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from xml.etree import ElementTree

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from tidemill._version import __version__
from tidemill.records import MetricValue, percent
from tidemill.report.theme import SIZES, stylesheet_colours
from tidemill.report.values import is_small

__all__ = [
    "Answer",
    "Link",
    "Tile",
    "breakable",
    "code",
    "count",
    "environment",
    "figure",
    "interval",
    "page",
    "picture",
    "plural",
    "seconds",
    "short",
    "size",
    "tick",
    "when",
    "with_trail",
]

_MAIN = '<main class="wide">'
_NOT_DEFINED = "not defined"
_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = frozenset(
    f"{_SVG}{tag}" for tag in ("svg", "g", "defs", "clipPath", "path", "rect", "line", "circle", "text", "tspan")
)
_SHORT_DIGEST = 12  # hexadecimal digits: enough to distinguish artifacts by eye
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer at the top of a page."""

    question: str
    """The reader's question, e.g. ``Is my model fine?``."""
    answer: str
    """The answer in one sentence."""
    tone: str
    """``good``, ``warn``, ``fail`` or ``none``: the colour of its edge."""
    reasons: tuple[str, ...] = ()
    """Sentences that support the answer, decisive ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure in the row below the answer."""

    label: str
    value: str
    """Formatted figure."""
    note: str = ""
    """Interval or comparison."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page; without an address it is the page itself."""

    text: str
    href: str = ""


def page(template: str, *, answer: Answer, tiles: Sequence[Tile] = (), **details: object) -> str:
    """Return one self-contained page: heading, answer, tiles, and the details of its template.

    Parameters
    ----------
    template : str
        File name in ``tidemill/report/templates``; it extends ``base.html``.
    **details : object
        Variables of the template, and ``kind``, ``model`` and ``partition`` for the heading; a missing one raises.
        The optional ``digest`` is shown short after ``digest_of``, with the full digest in the tooltip; ``trail`` holds the
        breadcrumb's links, ``links`` those to related pages. Only a page with ``has_form`` may send a form, to its own server,
        and only one with ``has_script`` may load scripts and figures, from its own server.

    Returns
    -------
    str
        HTML text that encodes to UTF-8 for any characters in the values.
    """
    optional = {"digest_of": "snapshot", "digest": "", "trail": (), "links": (), "has_form": False, "has_script": False}
    named = {**optional, **details, "answer": answer, "tiles": tiles, "version": __version__}
    text = environment().get_template(template).render(named)
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no encoding


def with_trail(stored: str, trail: Sequence[Link]) -> str:
    """Return a stored page with a breadcrumb above its answer."""
    nav = environment().get_template("trail.html").render(trail=trail)
    return stored.replace(_MAIN, f"{_MAIN}\n{nav}", 1)


@functools.cache
def environment() -> Environment:
    """Return the template environment, which escapes every value and raises on a missing one."""
    env = Environment(
        loader=PackageLoader("tidemill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (figure, tick, interval, percent, count, short, when, size, seconds, breakable, code, picture, is_small)
    env.filters.update({function.__name__: function for function in filters})
    css = stylesheet_colours() + env.get_template("page.css").render(wide=SIZES["wide"][0])
    env.globals.update(css=Markup(css), policy=_policy(css, "'none'"), policy_of_forms=_policy(css, "'self'"))
    own = "script-src 'self'; connect-src 'self'"
    env.globals["policy_of_scripts"] = f"{env.globals['policy']}; {own}"
    return env


def _policy(css: str, forms: str) -> str:
    """Return a policy that allows only this stylesheet, by its digest; injected styles do not apply."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action {forms}"


def figure(value: float | None) -> str:
    """Return a figure with three decimals, or more if it is small.

    Examples
    --------
    >>> figure(0.7421), figure(0.000042), figure(1520.4), figure(float("nan")), figure(None)
    ('0.742', '0.000042', '1,520', 'not defined', 'not defined')
    """
    if value is None or not math.isfinite(value):
        return _NOT_DEFINED
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{Decimal(f'{value:.2g}'):f}" if 0 < abs(value) < 0.0095 else f"{value:.3f}"


def tick(value: float) -> str:
    """Return a label of an axis, without trailing zeros.

    Examples
    --------
    >>> tick(0.7500000001), tick(1250000.0), tick(-0.0)
    ('0.75', '1,250,000', '0')
    """
    return f"{Decimal(f'{value + 0.0:.5g}'):,f}"


def interval(metric: MetricValue) -> str:
    """Return a metric's interval, or nothing if it has none.

    Examples
    --------
    >>> interval(MetricValue(name="roc_auc", value=0.7, low=0.68, high=0.72))
    '0.680 to 0.720'
    >>> interval(MetricValue(name="roc_auc", value=1.0, low=float("nan"), high=float("nan")))
    ''
    """
    if metric.low is None or metric.high is None or not math.isfinite(metric.high - metric.low):
        return ""
    return f"{figure(metric.low)} to {figure(metric.high)}"


def count(value: int | None) -> str:
    """Return a count with separators.

    Examples
    --------
    >>> count(336776), count(None)
    ('336,776', 'not counted')
    """
    return "not counted" if value is None else f"{value:,}"


def short(digest: str) -> Markup:
    """Return a shortened digest with the full one in the tooltip.

    Examples
    --------
    >>> print(short("ab12" * 16)[:30])
    <code title="ab12ab12ab12ab12a
    """
    return Markup('<code title="{}">{}</code>').format(digest, digest[:_SHORT_DIGEST])


def when(instant: datetime) -> str:
    """Return an instant to the minute with its zone.

    Examples
    --------
    >>> from datetime import UTC
    >>> when(datetime(2013, 7, 1, 9, tzinfo=UTC))
    '2013-07-01 09:00 UTC'
    """
    return f"{instant:%Y-%m-%d %H:%M %Z}".strip()


def plural(noun: str, n: float) -> str:
    """Return a noun, with an s unless there is one of it."""
    return noun if n == 1 else f"{noun}s"


def size(size_bytes: int | None) -> str:
    """Return bytes in decimal units.

    Examples
    --------
    >>> size(1_530_000), size(900), size(None)
    ('1.5 MB', '900 B', 'not measured')
    """
    if size_bytes is None:
        return "not measured"
    power = min(int(math.log10(max(size_bytes, 1)) // 3), len(_UNITS) - 1)
    return f"{size_bytes / 1000**power:.{1 if power else 0}f} {_UNITS[power]}"


def seconds(value: float | None) -> str:
    """Return a duration in a suitable unit.

    Examples
    --------
    >>> seconds(0.0421), seconds(7.25), seconds(431.0), seconds(None)
    ('42 ms', '7.2 s', '7 min 11 s', 'not measured')
    """
    if value is None or not math.isfinite(value):
        return "not measured"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f} s" if value < 100 else f"{int(value // 60)} min {int(value % 60)} s"


def breakable(name: str) -> Markup:
    """Return a long name that may break after its underscores.

    Examples
    --------
    >>> breakable("late_share<b>")
    Markup('late_<wbr>share&lt;b&gt;')
    """
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def code(text: str) -> Markup:
    """Return a text whose parts between backticks are code.

    Examples
    --------
    >>> code("run `a < b` now")
    Markup('run <code>a &lt; b</code> now')
    """
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def picture(svg: str) -> Markup:
    """Return an SVG picture for a page after checking that it is only a picture.

    Raises
    ------
    ValueError
        If the text is not one SVG element of plain shapes, or could run or load something.

    Examples
    --------
    >>> picture('<svg xmlns="http://www.w3.org/2000/svg"><text>late</text></svg>')
    Markup('<svg xmlns="http://www.w3.org/2000/svg"><text>late</text></svg>')
    """
    if not _is_inert(svg):
        raise ValueError("A page takes only pictures from tidemill.report.charts.to_svg; this text is not one.")
    return Markup(svg)


def _is_inert(svg: str) -> bool:
    if "<!" in svg or "<?" in svg:  # without entities, comments and instructions, HTML and XML parse the rest equally
        return False
    try:
        elements = list(ElementTree.fromstring(svg).iter())
    except ElementTree.ParseError:
        return False
    return elements[0].tag == f"{_SVG}svg" and all(
        element.tag in _SHAPES and all(_is_plain(*attribute) for attribute in element.attrib.items())
        for element in elements
    )


def _is_plain(name: str, value: str) -> bool:
    """Return whether an attribute is inert: no handler, no link, no address outside the SVG."""
    loads = "url(" in value.replace("url(#", "") and name != "aria-label"
    return not (loads or name.lower().startswith("on") or name.lower().endswith("href"))
