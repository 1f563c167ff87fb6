"""What setting aside 1 % of a partition's rows costs: ``make bench-quarantine``.

Each pair scores and publishes the same rows twice, in alternating order: with the expectation that 1 % of them break as a
warning, and with severity ``quarantine``.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg2

from ..chaos.server import Server
from .scene import PARTITION, XGBOOST, Scene
from .scoring import OURS

GOAL = 1.1  # times the run that sets nothing aside
SEVERITIES = ("warn", "quarantine")
PLAIN, MARKED = "max_value: 6000}", "max_value: 6000, severity: {severity}}}"
BREAK = "UPDATE bench.flights SET distance = 9999 WHERE abs(hashtext(flight_id::text)) % 100 = 0"


def declare_severity(scene: Scene, severity: str) -> None:
    """Write the severity of the expectation, and limits that allow the rows."""
    path = scene.folder / "models" / f"{XGBOOST}.yaml"
    text = path.read_text(encoding="utf-8").partition("predict:")[0]
    for known in (PLAIN, *(MARKED.format(severity=item) for item in SEVERITIES)):
        text = text.replace(known, MARKED.format(severity=severity))
    path.write_text(text + "predict: {quarantine: {share: 0.02}}\n", encoding="utf-8")


def break_rows(scene: Scene) -> int:
    """Break 1 % of the rows, and return how many."""
    connection = psycopg2.connect(scene.server.url("tidemill_owner"))
    with connection, connection.cursor() as cursor:
        cursor.execute(BREAK)
        n_broken = int(cursor.rowcount)
    connection.close()
    scene.server.as_admin("VACUUM ANALYZE bench.flights")
    return n_broken


def measure(scene: Scene, n_rows: int, n_pairs: int) -> float:
    """Print each pair, and return the median ratio of processor seconds."""
    scene.load(n_rows)
    n_broken, pairs = break_rows(scene), []
    for number in range(n_pairs):
        found: dict[str, dict[str, Any]] = {}
        for severity in SEVERITIES if number % 2 else SEVERITIES[::-1]:
            scene.clean()
            declare_severity(scene, severity)
            found[severity] = scene.run(OURS, XGBOOST)
            expected = n_rows - n_broken * (severity == "quarantine")
            if found[severity]["n_rows"] != expected:
                raise RuntimeError(f"{severity}: {found[severity]['n_rows']:,} rows are published, not {expected:,}")
        pairs.append(found)
        sys.stdout.write(f"pair {number + 1}: {'; '.join(_figures(name, found[name]) for name in SEVERITIES)}\n")
    ratios = {name: statistics.median(of(p["quarantine"]) / of(p["warn"]) for p in pairs) for name, of in COSTS.items()}
    sys.stdout.write(
        f"{n_rows:,} rows of partition {PARTITION}, {n_broken:,} of them set aside: "
        f"{', '.join(f'{ratio:.3f} times the {name}' for name, ratio in ratios.items())}\n"
    )
    return ratios["processor seconds"]


COSTS = {
    "seconds": lambda found: found["seconds"],
    "processor seconds": lambda found: found["processor_s"] + found["server_s"],
    "memory": lambda found: found["grown_bytes"],
}
"""What is compared, from the figures of a run."""


def _figures(name: str, found: dict[str, Any]) -> str:
    seconds, processor, memory = (of(found) for of in COSTS.values())
    return f"{name} {seconds:.2f} s, {processor:.2f} s of processor, +{memory / 1e6:.0f} MB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.start()
            server.create_ledger()
            scene = Scene(server=server, folder=Path(folder))
            scene.prepare({XGBOOST})
            ratio = measure(scene, options.rows, options.pairs)
        finally:
            server.remove()
    sys.stdout.write(
        f"The goal is at most {GOAL} times the processor seconds: {'reached' if ratio <= GOAL else 'MISSED'}.\n"
    )
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
