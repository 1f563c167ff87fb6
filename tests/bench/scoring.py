"""Scoring and publishing one partition, against what people write today: ``make bench``."""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..chaos.server import Server
from .scene import PIPELINE, XGBOOST, Scene

OURS = "tidemill"
PAIRS = ((XGBOOST, "pandas_to_sql"), (XGBOOST, "execute_values"), (PIPELINE, "pandas_to_sql"))


def pair(scene: Scene, model: str, other: str, n_rows: int, n_pairs: int) -> dict[str, Any]:
    """Run both alternately, and compare what they wrote."""
    runs: dict[str, list[dict[str, Any]]] = {OURS: [], other: []}
    for number in range(n_pairs):
        for contender in (OURS, other) if number % 2 else (other, OURS):
            scene.clean()
            found = scene.run(contender, model)
            assert found["n_rows"] == n_rows, (contender, found)
            runs[contender].append(found)
            sys.stderr.write(f"  {model} {contender}: {found['seconds']:.2f} s, +{found['grown_bytes'] / 1e6:.0f} MB\n")
            for name, share in found["shares"].items():
                sys.stderr.write(f"      {name} {share:.2f}\n")
    means = {round(found["mean_score"], 9) for found in (*runs[OURS], *runs[other])}
    assert len(means) == 1, f"the scores differ: {means}"
    ratios = [theirs["seconds"] / ours["seconds"] for ours, theirs in zip(runs[OURS], runs[other], strict=True)]
    return {
        "model": model,
        "other": other,
        "n_rows": n_rows,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = Server(Path(folder))
        try:
            server.start()
            server.create_ledger()
            scene = Scene(server=server, folder=Path(folder))
            results = []
            scene_prepared = False
            for n_rows in options.rows:
                scene.load(n_rows)
                if not scene_prepared:
                    scene.prepare()
                    scene_prepared = True
                for model, other in PAIRS:
                    if not options.only or other in options.only or model in options.only:
                        results.append(pair(scene, model, other, n_rows, options.pairs))
                        sys.stderr.write(f"{n_rows:,} {model} {other}: {results[-1]['ratio']:.2f}\n")
        finally:
            server.remove()
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
