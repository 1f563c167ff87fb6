"""What a step will need of memory, reckoned from rows and columns before it starts, and held against what it may use.

It is an estimate: bytes a row as Arrow holds them, by the first rows, times how often a step holds the rows in one form or
another. How often was measured (docs/performance.md). A step that would not fit says so, and what helps, instead of being
killed in its middle without a word; of a training that is known as soon as its rows are.
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.errors import ArtifactCorrupt, OutOfMemory, SettingsError
from tidemill.records import SnapshotRef, SplitRef
from tidemill.runtime.job import Job
from tidemill.runtime.limits import BATCH_ROWS, cores
from tidemill.runtime.memory import memory_limit_bytes, resident_bytes
from tidemill.spec import ModelSpec
from tidemill.storage.layout import FEATURES, SAMPLE_ROWS
from tidemill.storage.tables import read_batches

__all__ = ["SHARE", "VARIABLE", "Need", "budget_bytes", "need_of", "refuse_if_too_large"]

VARIABLE = "TIDEMILL_MEMORY_MB"
"""What one step may use, in MiB; without it, `SHARE` of what control groups or the machine give."""
SHARE = 0.8
"""The rest is for what the estimate does not see."""

_TIMES = {"analyse": 4.0, "prepare": 5.0, "train": 4.5, "evaluate": 3.0, "score": 4.0, "predict": 4.0}
_BESIDE = {"analyse": 250, "prepare": 250, "train": 60, "evaluate": 60}  # bytes a row where not all rows are in memory
_LOOKED_AT = 1_000  # rows that the bytes of a row are taken from
_AHEAD: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("train", "validate_data"): ("analyse", "prepare", "train", "evaluate"),
}
"""By chain and step, the later steps that are reckoned already there, since their rows are known."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one step will need."""

    step: str
    """The step."""
    n_rows: int
    """Rows that it holds at once."""
    n_columns: int
    """Columns of each."""
    row_bytes: float
    """Bytes of a row as Arrow holds it."""
    times: float
    """How often it holds them, in one form or another."""
    beside_bytes: int = 0
    """What it holds of all rows where it does not hold the rows."""
    helps: str
    """Settings that make it less."""

    @property
    def total_bytes(self) -> int:
        """Bytes beyond those of the process."""
        return int(self.n_rows * self.row_bytes * self.times) + self.beside_bytes

    @property
    def told(self) -> str:
        """The reckoning in words."""
        beside = f", and {_mb(self.beside_bytes)} of labels and keys" if self.beside_bytes else ""
        return (
            f"{_mb(self.total_bytes)} ({self.n_rows:,} rows of {self.n_columns} columns, {self.row_bytes:,.0f} bytes a "
            f"row, {self.times:g} times over{beside})"
        )


def budget_bytes() -> int:
    """Return what one step may use, in bytes.

    Raises
    ------
    SettingsError
        If ``TIDEMILL_MEMORY_MB`` is no whole number.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return int(memory_limit_bytes() * SHARE)
    if not re.fullmatch(r"[1-9]\d{0,8}", given):
        raise SettingsError(f"{VARIABLE} is {given!r}, expected whole mebibytes.", "Correct it, or take it away.")
    return int(given) * 2**20


def refuse_if_too_large(job: Job, chain: str, step: str, inputs: Mapping[str, Any]) -> None:
    """Refuse a step that would need more than it may use, and a training whose later steps would.

    Raises
    ------
    OutOfMemory
        With the figure, how it was reckoned, and what helps.
    """
    budget, process = budget_bytes(), resident_bytes()
    for need in _needs(job, _AHEAD.get((chain, step), (step,)), inputs):
        _log.info("Step %s will need about %s.", need.step, need.told)
        if process + need.total_bytes > budget:
            own = (
                VARIABLE
                if os.environ.get(VARIABLE)
                else f"{SHARE:.0%} of the {_mb(memory_limit_bytes())} that are here"
            )
            raise OutOfMemory(
                f"Step {need.step} of {job.spec.model!r} would need about {need.told} beside the {_mb(process)} of the "
                f"process, and may use {_mb(budget)} ({own}); nothing of it was begun.",
                f"{need.helps}; or give it more, and say so in {VARIABLE}.",
            )


def _needs(job: Job, steps: tuple[str, ...], inputs: Mapping[str, Any]) -> Iterator[Need]:
    rows = inputs.get("split") or inputs.get("snapshot")
    known = [step for step in steps if step in _TIMES]
    if not known or not isinstance(rows, SnapshotRef | SplitRef):
        return
    file = FEATURES if isinstance(rows, SnapshotRef) else "train.parquet"
    with suppress(ArtifactCorrupt):  # told by the step, whose business it is
        n_columns, row_bytes = _measured(job.store.path(rows.uri) / file)
        for step in known:
            yield need_of(job.spec, step, rows, n_columns, row_bytes)


def _measured(path: Path) -> tuple[int, float]:
    """Return the number of columns, and the mean bytes of the first rows."""
    batch = next(read_batches(path, None, _LOOKED_AT), None)
    return (0, 0.0) if batch is None else (batch.num_columns, batch.nbytes / batch.num_rows)


def need_of(spec: ModelSpec, step: str, rows: SnapshotRef | SplitRef, n_columns: int, row_bytes: float) -> Need:
    """Reckon what a step needs.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    step : str
        ``analyse``, ``prepare``, ``train``, ``evaluate``, ``score`` or ``predict``.
    rows : SnapshotRef or SplitRef
        What it reads.
    n_columns : int
        Columns of a row.
    row_bytes : float
        Bytes of a row as Arrow holds it.
    """
    n_all, n_test = _counts(spec, rows)
    about: dict[str, Any] = {"step": step, "n_columns": n_columns, "row_bytes": row_bytes, "times": _TIMES[step]}
    if step in ("score", "predict"):
        n_threads = min(spec.predict.threads or cores(), n_all // BATCH_ROWS)
        n_batches = 2 * n_threads + 1  # scored, waiting, and being read
        return Need(**about, n_rows=min(n_all, n_batches * BATCH_ROWS), helps="Lower 'predict.threads'")
    if spec.train.engine == "local":
        n_rows = n_all - n_test if step == "train" else n_all
        helps = "Shorten 'train.window', or write 'train: {engine: external_memory, estimators: [xgboost]}'"
        return Need(**about, n_rows=n_rows, helps=helps)
    n_rows = min(n_all, SAMPLE_ROWS) + (n_test if step == "evaluate" else 0)
    helps = "Shorten 'train.test'" if step == "evaluate" else "Shorten 'train.window'"
    return Need(**about, n_rows=n_rows, beside_bytes=n_all * _BESIDE[step], helps=helps)


def _counts(spec: ModelSpec, rows: SnapshotRef | SplitRef) -> tuple[int, int]:
    """Return the number of all rows and of the test set's; before they are cut, by the lengths that the spec says."""
    if isinstance(rows, SplitRef):
        return rows.n_train + rows.n_validation + rows.n_test, rows.n_test
    return rows.n_rows, int(rows.n_rows * (spec.train.test / spec.train.window))


def _mb(size: int) -> str:
    """Return a size in MB or GB.

    Examples
    --------
    >>> _mb(1_900_000_000), _mb(25_000_000)
    ('1.9 GB', '25 MB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"
