"""Estimate a step's memory from rows and columns before it starts, and refuse it if it would not fit.

The estimate is the bytes per row as Arrow holds them, from the first rows, times the copies of the rows that the step
holds at its peak, by its declaration. A step that would not fit fails with the figures and with what helps, instead of
being killed halfway without a message. A training fails as soon as its rows are counted.
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
from tidemill.records import SnapshotRef, SplitRef, percent
from tidemill.runtime.declarations import declaration, steps_of
from tidemill.runtime.job import Job
from tidemill.runtime.limits import BATCH_ROWS, usable_cores
from tidemill.runtime.memory import memory_limit_bytes, resident_bytes
from tidemill.runtime.step import Batches, LaterSteps, NoRows, Rows, Step
from tidemill.spec import ModelSpec
from tidemill.storage.layout import FEATURES, SAMPLE_ROWS
from tidemill.storage.tables import read_batches

__all__ = ["SHARE", "VARIABLE", "Need", "budget_bytes", "need_of", "refuse_if_too_large"]

VARIABLE = "TIDEMILL_MEMORY_MB"
"""Memory that one step may use, in MiB; without it, `SHARE` of the limit of the control groups or of the machine."""
SHARE = 0.8
"""The rest is for what the estimate does not cover."""

_SAMPLED = 1_000  # rows from which the bytes per row are measured

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Estimated memory of one step."""

    step: str
    n_rows: int
    """Rows in memory at once."""
    n_columns: int
    """Columns per row."""
    row_bytes: float
    """Bytes per row as Arrow holds it."""
    times: float
    """Copies of the rows, in any form."""
    extra_bytes: int = 0
    """Bytes of labels and keys of all rows, where the rows themselves are on disk."""
    helps: str
    """Settings that lower it."""

    @property
    def total_bytes(self) -> int:
        """Bytes on top of those of the process."""
        return int(self.n_rows * self.row_bytes * self.times) + self.extra_bytes

    @property
    def description(self) -> str:
        """The estimate in words."""
        extra = f", and {_mb(self.extra_bytes)} of labels and keys" if self.extra_bytes else ""
        return (
            f"{_mb(self.total_bytes)} ({self.n_rows:,} rows of {self.n_columns} columns, {self.row_bytes:,.0f} bytes "
            f"per row, {self.times:g} copies{extra})"
        )


def budget_bytes() -> int:
    """Return the memory that one step may use, in bytes.

    Raises
    ------
    SettingsError
        If ``TIDEMILL_MEMORY_MB`` is not a whole number.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return int(memory_limit_bytes() * SHARE)
    if not re.fullmatch(r"[1-9]\d{0,8}", given):
        raise SettingsError(f"{VARIABLE} is {given!r}, expected whole mebibytes.", "Correct it, or unset it.")
    return int(given) * 2**20


def refuse_if_too_large(job: Job, step: Step[..., Any], chain: str, inputs: Mapping[str, Any]) -> None:
    """Refuse a step that would need more memory than it may use, and a training whose later steps would.

    Raises
    ------
    OutOfMemory
        With the estimate, the limit, and what helps.
    """
    for need in _needs(job, step, chain, inputs):
        budget, process = budget_bytes(), resident_bytes()
        _log.info("Step %s will need about %s.", need.step, need.description)
        if process + need.total_bytes > budget:
            limit = (
                VARIABLE
                if os.environ.get(VARIABLE)
                else f"{percent(SHARE)} of the available {_mb(memory_limit_bytes())}"
            )
            raise OutOfMemory(
                f"Step {need.step} of {job.spec.model!r} would need about {need.description} on top of the "
                f"{_mb(process)} of the process, and may use {_mb(budget)} ({limit}). It has not started.",
                f"{need.helps}; or add memory and raise {VARIABLE}.",
            )


def _needs(job: Job, step: Step[..., Any], chain: str, inputs: Mapping[str, Any]) -> Iterator[Need]:
    rows = inputs.get("split") or inputs.get("snapshot")
    steps = [found for found in _checked(step, chain) if isinstance(found.memory, Rows | Batches)]
    if not steps or not isinstance(rows, SnapshotRef | SplitRef):
        return
    file = FEATURES if isinstance(rows, SnapshotRef) else "train.parquet"
    with suppress(ArtifactCorrupt):  # the step itself reports it
        n_columns, row_bytes = _measured(job.store.path(rows.uri) / file)
        for found in steps:
            yield need_of(job.spec, found.name, rows, n_columns, row_bytes)


def _checked(step: Step[..., Any], chain: str) -> list[Step[..., Any]]:
    """Return the steps whose memory is checked before a step: itself, or the later steps of its chain."""
    if not isinstance(step.memory, LaterSteps):
        return [step]
    steps = steps_of(chain)
    return steps[steps.index(step) + 1 :] if chain == step.memory.chain else []


def _measured(path: Path) -> tuple[int, float]:
    """Return the number of columns, and the mean bytes per row of the first rows."""
    batch = next(read_batches(path, None, _SAMPLED), None)
    return (0, 0.0) if batch is None else (batch.num_columns, batch.nbytes / batch.num_rows)


def need_of(spec: ModelSpec, step: str, rows: SnapshotRef | SplitRef, n_columns: int, row_bytes: float) -> Need:
    """Estimate the memory of a step.

    Parameters
    ----------
    step : str
        A step whose declaration says that it holds rows.
    rows : SnapshotRef or SplitRef
        Rows that it reads.
    n_columns : int
        Columns per row.
    row_bytes : float
        Bytes per row as Arrow holds it.

    Raises
    ------
    ValueError
        If the step holds no rows, or there is no such step.
    """
    n_all, n_test = _counts(spec, rows)
    about: dict[str, Any] = {"step": step, "n_columns": n_columns, "row_bytes": row_bytes}
    memory = declaration(step).memory
    match memory:
        case Batches():
            n_threads = min(spec.predict.threads or usable_cores(), n_all // BATCH_ROWS)
            n_batches = 2 * n_threads + 1  # scored, waiting, and being read
            n_rows = min(n_all, n_batches * BATCH_ROWS)
            return Need(**about, times=memory.times, n_rows=n_rows, helps="Lower 'predict.threads'")
        case Rows() if spec.train.engine == "local":
            n_rows = n_all - n_test if memory.without_test else n_all
            helps = "Shorten 'train.window', or write 'train: {engine: external_memory, estimators: [xgboost]}'"
            times = max(memory.times, memory.times_with_refit if spec.train.refit else 0.0)
            return Need(**about, times=times, n_rows=n_rows, helps=helps)
        case Rows():
            n_rows = min(n_all, SAMPLE_ROWS) + (n_test if memory.whole_test else 0)
            helps = "Shorten 'train.test'" if memory.whole_test else "Shorten 'train.window'"
            extra_bytes = n_all * memory.extra_bytes
            return Need(**about, times=memory.times, n_rows=n_rows, extra_bytes=extra_bytes, helps=helps)
        case NoRows() | LaterSteps():
            raise ValueError(f"Step {step!r} is declared to hold no rows.")


def _counts(spec: ModelSpec, rows: SnapshotRef | SplitRef) -> tuple[int, int]:
    """Return the numbers of all rows and of the test set's; before the split, by the lengths in the spec."""
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
