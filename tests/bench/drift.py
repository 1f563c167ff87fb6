"""How long drift takes on a million rows of 20 columns, against the stored bins of a reference: ``make bench-drift``."""

import argparse
import statistics
import sys
import time

import numpy as np
import pyarrow as pa

from tidemill.monitoring.drift import detect_drift
from tidemill.monitoring.profile import build_profile, count_table

N_REFERENCE, N_CATEGORICAL, N_TIMES = 100_000, 4, 5


def make(n_rows: int, n_columns: int, random_state: int) -> pa.Table:
    """Make normal numbers, the last columns as texts of 20 levels."""
    rng = np.random.default_rng(random_state)
    levels = np.array([f"level {number}" for number in range(20)])
    return pa.table(
        {
            f"c{number}": levels[rng.integers(0, 20, n_rows)]
            if number >= n_columns - N_CATEGORICAL
            else rng.normal(size=n_rows)
            for number in range(n_columns)
        }
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    chosen = parser.parse_args()
    names = [f"c{number}" for number in range(chosen.columns)]
    numeric, texts = names[:-N_CATEGORICAL], names[-N_CATEGORICAL:]
    reference = build_profile(make(N_REFERENCE, chosen.columns, 1), numeric, texts)
    table, seconds = make(chosen.rows, chosen.columns, 2), []
    for _ in range(N_TIMES):
        started = time.perf_counter()
        metrics = detect_drift(reference, count_table(reference, table))
        seconds.append(time.perf_counter() - started)
    n_psi = sum(metric.name == "psi" for metric in metrics)
    sys.stdout.write(
        f"{chosen.rows:,} rows, {n_psi} columns ({len(texts)} of them texts), counted into stored bins and compared: "
        f"{statistics.median(seconds):.2f} s (median of {N_TIMES}, slowest {max(seconds):.2f} s)\n"
    )


if __name__ == "__main__":
    main()
