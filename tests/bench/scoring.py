"""Scoring and publishing one partition, against what people write today: ``make bench``.

Each pair runs both sides one after the other, in alternating order, each in a process of its own; both write the scores
of the same fitted model, and the run fails if the results in Postgres differ. Prints its findings as JSON; ``--write``
puts it into docs/performance.md, and ``--at-least`` sets a ratio that has to be reached.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..chaos.server import Server
from . import pages
from .scene import PIPELINE, XGBOOST, Scene

OURS = "tidemill"
PAIRS = (
    (XGBOOST, "pandas_to_sql"), (XGBOOST, "execute_values"), (PIPELINE, "pandas_to_sql"), (XGBOOST, "adbc"), (PIPELINE, "adbc"),
)  # fmt: skip
ALSO = ((XGBOOST, "pandas_chunks"), (XGBOOST, "insert_rows"))  # other ways to write the same, no faster than these


def pair(scene: Scene, model: str, other: str, n_rows: int, n_pairs: int) -> dict[str, Any]:
    """Run both alternately, and compare what they wrote."""
    runs: dict[str, list[dict[str, Any]]] = {OURS: [], other: []}
    for number in range(n_pairs):
        for contender in (OURS, other) if number % 2 else (other, OURS):
            runs[contender].append(once(scene, model, contender, n_rows))
    means = {round(found["mean_score"], 9) for found in (*runs[OURS], *runs[other])}
    if len(means) != 1:
        raise RuntimeError(f"{other} and {OURS} wrote different scores: {means}")
    sides = list(zip(runs[OURS], runs[other], strict=True))
    return {
        "model": model,
        "other": other,
        "n_rows": n_rows,
        "runs": runs,
        "ratio": statistics.median(theirs["seconds"] / ours["seconds"] for ours, theirs in sides),
        "processor_ratio": statistics.median(_processor_s(theirs) / _processor_s(ours) for ours, theirs in sides),
    }


def once(scene: Scene, model: str, contender: str, n_rows: int) -> dict[str, Any]:
    """Run one contender once, and check that all rows are there."""
    scene.clean()
    found = scene.run(contender, model)
    if found["n_rows"] != n_rows:
        raise RuntimeError(f"{contender} has written {found['n_rows']:,} of {n_rows:,} rows")
    shares = ", ".join(f"{name} {share:.1f}" for name, share in found["shares"].items())
    sys.stderr.write(
        f"{n_rows:,} rows, {model}, {contender}: {found['seconds']:.1f} s, {_processor_s(found):.1f} s of processor, "
        f"+{found['grown_bytes'] / 1e6:.0f} MB{f' ({shares})' if shares else ''}\n"
    )
    return found


def _processor_s(found: dict[str, Any]) -> float:
    return float(found["processor_s"] + found["server_s"])


def measure(scene: Scene, options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    for n_rows in options.rows:
        scene.load(n_rows)
        if options.alone:
            once(scene, XGBOOST, OURS, n_rows)
            continue
        for model, other in chosen(options.only):
            results.append(pair(scene, model, other, n_rows, options.pairs))
    return results


def chosen(only: Sequence[str]) -> list[tuple[str, str]]:
    """Return the requested pairs, by model or by contender."""
    pairs = [(model, other) for model, other in PAIRS if not only or {model, other} & set(only)] + [
        (model, other) for model, other in ALSO if other in only
    ]
    if find_spec("adbc_driver_postgresql") is None:
        sys.stderr.write(
            "The pairs with ADBC are left out: its packages are not installed; 'make bench' installs them.\n"
        )
        pairs = [pair for pair in pairs if "adbc" not in pair]
    return pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], help="models or contenders")
    parser.add_argument(
        "--alone", action="store_true", help="Tidemill without a rival, for sizes that others cannot take"
    )
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--at-least", type=float, default=0.0, help="times less processor time, or the run has failed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.start()
            server.create_ledger()
            scene = Scene(server=server, folder=Path(folder))
            scene.prepare({model for model, _ in chosen(options.only)})
            results = measure(scene, options)
        finally:
            server.remove()
    found = {
        "date": f"{datetime.now(UTC):%d %B %Y}", "machine": pages.machine(), "pairs": options.pairs, "results": results,
    }  # fmt: skip
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    if options.write:
        pages.write(found)
    short = [result for result in results if result["processor_ratio"] < options.at_least]
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
