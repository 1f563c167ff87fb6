"""Run one step: read its spec, find its partition, keep its row in the ledger, measure its cost.

The CLI, a notebook, a test and an Airflow task all come through here, so that there is one code path.
"""

import importlib
import os
import resource
import time
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NotRequired, TypedDict, Unpack

from tidemill.errors import PartitionError
from tidemill.faults import fault_point
from tidemill.intervals import Partition
from tidemill.records import Record
from tidemill.runtime.declarations import declaration
from tidemill.runtime.interrupts import Ending, end_in_words
from tidemill.runtime.job import Job
from tidemill.runtime.limits import limit_of
from tidemill.runtime.memory import memory_limit_bytes, peak_rss_bytes
from tidemill.runtime.memory_budget import refuse_if_too_large
from tidemill.runtime.step import Step
from tidemill.versions import code_version, lock_digest, lock_file, packages, refuse_drift
from tidemill.warehouse.ledger import Cost, Ledger, NewRun, Origin
from tidemill.warehouse.lost_runs import close_lost_runs
from tidemill.warehouse.pulse import Pulse
from tidemill.workspace import LEDGER, Workspace

__all__ = ["RunOptions", "run_step"]


class RunOptions(TypedDict):
    """What a step runs with, beside its inputs."""

    workspace: Workspace
    """Folders and connections."""
    origin: NotRequired[Origin | None]
    """The Airflow task that runs it."""
    cutoff: NotRequired[datetime | None]
    """Instant as of which features and labels are known; the partition's own by default."""


def run_step(
    chain: str, step: str, model: str, partition: str, inputs: Mapping[str, Any], **options: Unpack[RunOptions]
) -> dict[str, Any]:
    """Run one step of one partition and record it.

    Parameters
    ----------
    chain : str
        ``train``, ``predict``, ``monitor``, ``retrain``, ``reproduce`` or ``test``: what the step is run for.
    inputs : mapping of str to object
        The step's own arguments; records may come as dicts, as in XCom.
    **options
        See `RunOptions`.

    Returns
    -------
    dict
        The step's record, as JSON types.

    Raises
    ------
    IncompatibleVersions
        If ``TIDEMILL_LOCK`` names a lock, and other versions are installed.
    TidemillError
        Whatever the step raises, once it has been recorded.
    """
    if os.environ.get("TIDEMILL_LOCK"):  # a lock that is named is a promise; without one, only the doctor warns
        refuse_drift(lock_file())
    declared, workspace, origin = declaration(step), options["workspace"], options.get("origin") or Origin()
    function, spec = _function(declared), workspace.spec(model)
    piece = _as_of(spec.asked(partition), options.get("cutoff"))
    url = workspace.connection(LEDGER)
    ledger = Ledger(url)
    with Ending(f"Step {step} of {model!r}, partition {partition!r},", limit_of(step).total_seconds()) as ending:
        close_lost_runs(url, model=model)
        run_id = ledger.start_run(
            NewRun(
                model=model,
                chain=chain,
                step=step,
                partition=partition,
                origin=origin,
                code_version=code_version(),
                spec_digest=spec.digest,
                lock_digest=lock_digest(),
                documents={"spec": spec.meaning, "packages": packages()},
            )
        )
        fault_point("step-started")
        job = Job(spec=spec, partition=piece, workspace=workspace, run_id=run_id, origin=origin)
        with _Recorded(ledger, run_id) as outcome, _InWords(ending), Pulse(url, run_id, _memory):
            arguments = _typed(declared, inputs)
            refuse_if_too_large(job, declared, chain, arguments)
            record = function(job, **arguments)
            outcome["result"], outcome["n_rows"] = record.to_dict(), getattr(record, "n_rows", None)
            fault_point("step-done")
        fault_point("step-recorded")
    return record.to_dict()


def _as_of(partition: Partition, cutoff: datetime | None) -> Partition:
    if cutoff is None:
        return partition
    latest = max(partition.interval.end, partition.cutoff)
    if cutoff > latest:
        raise PartitionError(
            f"Cutoff {cutoff:%Y-%m-%d %H:%M %Z} lies after the end of partition {partition.key!r}: "
            "its rows would know their outcome.",
            f"Choose a cutoff up to {latest:%Y-%m-%d %H:%M %Z}.",
        )
    return replace(partition, cutoff=cutoff)


def _function(step: Step[..., Any]) -> Callable[..., Record]:
    function: Callable[..., Record] = getattr(importlib.import_module(f"tidemill.{step.module}"), step.name)
    return function


def _typed(step: Step[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Rebuild the records among the inputs from their dicts, by the declared types."""
    declared = step.inputs
    return {
        name: _rebuilt(declared[name].hint if name in declared else object, value) for name, value in inputs.items()
    }


def _rebuilt(hint: Any, value: Any) -> Any:
    members = typing.get_args(hint)
    if isinstance(value, Mapping):  # of an optional record, the record is one of the members
        kinds = (kind for kind in (hint, *members) if isinstance(kind, type) and issubclass(kind, Record))
        kind = next(kinds, None)
        return value if kind is None else kind.from_dict(dict(value))
    if members and not isinstance(value, str | Mapping) and typing.get_origin(hint) is tuple:
        return tuple(_rebuilt(members[0], item) for item in value)
    return value


class _Recorded:
    """Measure a block, and record its end however it ends."""

    def __init__(self, ledger: Ledger, run_id: int) -> None:
        self._ledger, self._run_id = ledger, run_id
        self._outcome: dict[str, Any] = {"result": None, "n_rows": None}

    def __enter__(self) -> dict[str, Any]:
        self._started, self._processor = time.perf_counter(), _cpu_s()
        return self._outcome

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        cost = Cost(
            wall_s=time.perf_counter() - self._started,
            cpu_s=_cpu_s() - self._processor,
            peak_rss_bytes=peak_rss_bytes(),
        )
        self._ledger.end_run(self._run_id, cost, error=end_in_words(error), **self._outcome)


@dataclass(frozen=True, slots=True)
class _InWords:
    """Raise an error of a block as what it really means."""

    ending: Ending

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.ending.in_words(error)


def _memory() -> tuple[int, int]:
    return peak_rss_bytes(), memory_limit_bytes()


def _cpu_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
