"""A bundle in a clean process: loaded from storage by a separate program, and timed while it scores.

The evaluating process may have state that other scoring processes lack. So a new interpreter without any connection in its
environment gets a folder, a digest and rows, and writes the scores, which must be bit-identical. Time and memory are
measured in this process too.

Run as ``python -m tidemill.storage.rehearsal <bundle> <digest> <rows> <answer> [<trusted> ...]``.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from tidemill.modeling.bundle import Bundle
from tidemill.records import Rehearsal
from tidemill.storage.bundles import load_bundle
from tidemill.storage.scratch import temporary

__all__ = ["rehearse", "rehearse_here"]

TIMEOUT_S = 900.0
"""Seconds after which a clean process is given up."""
_TIMED_ROWS = 20_000  # minimum rows per timed call; fewer would measure the call instead of the rows
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "VIRTUAL_ENV")
"""Variables that Python needs to start, without connections and settings."""


def rehearse(
    folder: Path,
    digest: str,
    X: pd.DataFrame,
    expected: npt.NDArray[np.float64],
    trusted: frozenset[str] = frozenset(),
    timeout_s: float = TIMEOUT_S,
) -> Rehearsal:
    """Score rows in a clean process and compare.

    Parameters
    ----------
    X : pandas.DataFrame of shape (n_samples, n_features)
        Aligned features.
    expected : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Scores of this process.
    trusted : frozenset of str, default empty
        Import paths that the spec allows beyond the built-in list.
    timeout_s : float, default 900
        Seconds to wait.
    """
    with temporary() as aside:
        rows, answer = aside / "rows.parquet", aside / "answer"
        parquet.write_table(pa.Table.from_pandas(X, preserve_index=False), rows)
        problem = _run([str(folder.resolve()), digest, str(rows), str(answer), *sorted(trusted)], timeout_s)
        if problem is not None:
            return _failed(problem)
        found = np.load(answer.with_suffix(".npy"), allow_pickle=False)
        cost = json.loads(answer.with_suffix(".json").read_text(encoding="utf-8"))
    return _compared(found, expected, cost)


def rehearse_here(
    folder: Path, digest: str, X: pd.DataFrame, expected: npt.NDArray[np.float64], trusted: frozenset[str] = frozenset()
) -> Rehearsal:
    """Do the same in this process, for simulations; faults that this process's state hides go unnoticed.

    Parameters
    ----------
    folder, digest, X, expected, trusted
        As for `rehearse`.
    """
    bundle = load_bundle(folder, digest, trusted)
    return _compared(bundle.score(X), expected, _cost(bundle, X))


def _compared(found: npt.NDArray[np.float64], expected: npt.NDArray[np.float64], cost: Mapping[str, Any]) -> Rehearsal:
    if found.shape != expected.shape:
        return _failed(f"It gave {found.shape} scores instead of {expected.shape}.")
    different = (found != expected).reshape(len(expected), -1).any(axis=1)
    return Rehearsal(
        n_rows=len(expected),
        n_different=int(different.sum()),
        seconds_per_million=cost["seconds_per_million"],
        peak_rss_bytes=cost["peak_rss_bytes"],
    )


def _run(arguments: list[str], timeout_s: float) -> str | None:
    """Run the program; return the reason if it does not finish."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tidemill.storage.rehearsal", *arguments],
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"It was not done after {timeout_s:.0f} s."
    if done.returncode == 0:
        return None
    last_line = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
    return f"It ended with code {done.returncode}: {last_line.strip()}"


def _failed(problem: str) -> Rehearsal:
    nan = float("nan")
    return Rehearsal(n_rows=0, n_different=0, seconds_per_million=nan, peak_rss_bytes=0, problem=problem)


def _score(folder: Path, digest: str, rows: Path, answer: Path, trusted: frozenset[str]) -> None:
    """Score in the clean process."""
    bundle = load_bundle(folder, digest, trusted)
    X = parquet.read_table(rows).to_pandas()
    np.save(answer.with_suffix(".npy"), bundle.score(X), allow_pickle=False)
    answer.with_suffix(".json").write_text(json.dumps(_cost(bundle, X)), encoding="utf-8")


def _cost(bundle: Bundle, X: pd.DataFrame) -> dict[str, Any]:
    many = pd.concat([X] * max(1, -(-_TIMED_ROWS // len(X))), ignore_index=True)
    started = time.process_time()  # processor time, because a busy machine is not the model's fault
    bundle.score(many)
    seconds = time.process_time() - started
    return {"seconds_per_million": seconds / len(many) * 1e6, "peak_rss_bytes": _peak_rss_bytes()}


def _peak_rss_bytes() -> int:
    """Return the peak memory of this program; getrusage on Linux also counts that of the parent process."""
    status = Path("/proc/self/status")
    if status.is_file():
        (peak,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024  # KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    _score(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), frozenset(sys.argv[5:]))
