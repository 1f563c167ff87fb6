"""Custom metrics: a user's function, named by its import path and marked with its direction.

A function returns one number per row, whose mean is the metric, or one number for all rows. The first kind has the
intervals of every mean. The second is known only as a number: its intervals come from leaving out blocks of rows, at most
100 of them, since each costs a call.

The spec is reviewed code, so its functions may be imported. They must be repeatable: each is called twice on the same rows.
"""

import hashlib
import importlib
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tidemill.errors import SpecError
from tidemill.metrics.rows import BinaryRows, ClassRows, Rows, read_rows
from tidemill.metrics.statistic import Bools, Floats, Statistic, mean

__all__ = ["MAX_CALL_S", "digest_of", "direction_of", "metric", "own_statistic", "try_metric"]

MAX_CALL_S = 10.0
"""Processor seconds of one call beyond which a metric is refused: an evaluation needs some hundred calls."""
_N_TRIED = 400  # invented rows
_MARK = "tidemill_greater_is_better"
_Function = TypeVar("_Function", bound=Callable[..., Any])


def metric(*, greater_is_better: bool) -> Callable[[_Function], _Function]:
    """Mark a function as a metric that ``accept.metric`` may name.

    Examples
    --------
    >>> @metric(greater_is_better=True)
    ... def profit(y_true, decision):
    ...     return np.where(decision, np.where(y_true == 1, 40.0, -5.0), 0.0)
    """

    def mark(function: _Function) -> _Function:
        setattr(function, _MARK, greater_is_better)
        return function

    return mark


def direction_of(path: str) -> bool:
    """Return whether more of a metric is better; errors as for `own_statistic`."""
    return bool(getattr(_function(path), _MARK))


def digest_of(path: str) -> str:
    """Return the SHA-256 of the file that defines a metric; errors as for `own_statistic`."""
    source = inspect.getsourcefile(inspect.unwrap(_function(path)))
    if source is None:
        raise SpecError(f"accept.metric {path!r} has no source file.", "Define the function in a Python file.")
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def own_statistic(path: str, rows: Rows) -> Statistic:
    """Return a user's metric as a statistic.

    Parameters
    ----------
    path : str
        Import path of the function, such as ``mycompany.metrics:profit``.
    rows : Rows
        The rows. The function may take, by name: ``y_true``, ``y_score``, ``sample_weight``, and of two classes
        ``decision``, True where the score reaches the threshold.

    Raises
    ------
    SpecError
        If the function cannot be imported, has no direction, raises, returns anything but one number or one per
        row, is too slow, or returns another result when it is called again.
    """
    call = _Call(path, rows)
    everything = np.ones(len(rows.often), dtype=bool)
    first = call.timed(everything)
    if call(everything, rows.often).tobytes() != first.tobytes():
        raise call.refused("returns different numbers for the same rows", "Remove its randomness, or fix its seed.")
    if first.ndim == 1:
        if not np.isfinite(first).all():
            raise call.refused(f"returns {first[~np.isfinite(first)][0]} for a row", "Return a finite number per row.")
        return mean(first, sample_weight=rows.often)

    def values(weights: Floats) -> Floats:
        return np.array([float(call(one > 0, (one * rows.often)[one > 0])) for one in weights])

    def influence() -> Floats:
        raise ValueError(f"{path} is known only as a number: leave out blocks")

    return Statistic(values=values, influence=influence, counted=rows.often, opaque=True)


def try_metric(path: str, task: str, *, weighted: bool) -> None:
    """Call a metric on invented rows; raise as `own_statistic` does, or if the result is not finite."""
    rng = np.random.default_rng(0)
    share = rng.random(_N_TRIED)
    several = np.column_stack([share, 1 - share]) if task == "multiclass" else share
    often = rng.uniform(0.5, 2.0, _N_TRIED) if weighted else None
    rows = read_rows(task, (rng.random(_N_TRIED) < share).astype(np.int64), several, {"sample_weight": often})
    if rows is None:
        raise ValueError("invented rows cannot be read")
    value = own_statistic(path, rows).value
    if not np.isfinite(value):
        raise SpecError(f"accept.metric {path!r} returns {value} for {_N_TRIED} rows.", "Return a finite number.")


class _Call:
    """A metric's function on some rows."""

    def __init__(self, path: str, rows: Rows) -> None:
        self.path, self.rows, self.function = path, rows, _function(path)
        self.arguments = _arguments(rows)
        self.wanted = tuple(inspect.signature(self.function).parameters)
        strange = sorted(set(self.wanted) - set(self.arguments) - {"sample_weight"})
        if strange:
            valid = ", ".join((*self.arguments, "sample_weight"))
            raise self.refused(f"takes {', '.join(strange)}, which no metric is given", f"Take some of {valid}.")

    def timed(self, chosen: Bools) -> Floats:
        """Return the first result; refuse a function that needs too long or weights that it does not take."""
        began = time.process_time()
        found = self(chosen, self.rows.often)
        spent = time.process_time() - began
        if spent > MAX_CALL_S:
            raise self.refused(
                f"needs {spent:.0f} s for {len(chosen):,} rows (limit {MAX_CALL_S:.0f})",
                "Use array operations of numpy.",
            )
        if found.ndim == 0 and "sample_weight" not in self.wanted and (self.rows.often != 1).any():
            raise self.refused(
                "takes no sample_weight, and rows have weights", "Take it, or return one number per row."
            )
        if found.ndim == 1 and "sample_weight" in self.wanted:
            raise self.refused("weighs its numbers per row itself", "Leave out sample_weight: their mean is weighted.")
        return found

    def __call__(self, chosen: Bools, often: Floats) -> npt.NDArray[np.float64]:
        given = {name: self.arguments[name][chosen] for name in self.wanted if name != "sample_weight"}
        if "sample_weight" in self.wanted:
            given["sample_weight"] = often.copy()
        try:
            found = np.asarray(self.function(**given), dtype=np.float64)
        except MemoryError as error:
            raise self.refused(f"needs too much memory for {len(often):,} rows", "Use less at a time.") from error
        except Exception as error:  # the user's code may raise anything
            raise self.refused(f"raises {type(error).__name__}: {error}", "Correct the function.") from error
        if found.shape not in ((), (len(often),)):
            raise self.refused(
                f"returns an array of shape {found.shape} for {len(often)} rows", "Return one number, or one per row."
            )
        return found

    def refused(self, why: str, next_step: str) -> SpecError:
        """Return the error for a function that cannot be used."""
        return SpecError(f"accept.metric {self.path!r} {why}.", next_step)


def _arguments(rows: Rows) -> dict[str, npt.NDArray[Any]]:
    score = rows.score[:, :-1] if isinstance(rows, ClassRows) else rows.score
    decision = {"decision": rows.called == 1} if isinstance(rows, BinaryRows) else {}
    return {"y_true": np.asarray(rows.y), "y_score": score, **decision}


def _function(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"accept.metric {path!r} cannot be imported: {error}.",
            "Put the module into the folder of the DAG files, or install its package wherever Tidemill runs.",
        ) from error
    if not callable(found) or not hasattr(found, _MARK):
        raise SpecError(
            f"accept.metric {path!r} has no direction.",
            "Mark the function with @metric(greater_is_better=True) or False, from tidemill.metrics.own.",
        )
    function: Callable[..., Any] = found
    return function
