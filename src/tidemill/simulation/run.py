"""A simulation, whole: lay the ground, live the past once a policy, side by side, and compare."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from tidemill.errors import FatalError
from tidemill.intervals import Partition
from tidemill.machine.files import last_lines
from tidemill.modeling.metrics import greater_is_better
from tidemill.records import MetricValue, Record
from tidemill.runtime.job import Job
from tidemill.simulation.compare import gain
from tidemill.simulation.ground import Ground, throwaway_ground
from tidemill.simulation.injections import Injection
from tidemill.simulation.outcome import Outcome, Policy
from tidemill.simulation.replay import model_name
from tidemill.spec import ModelSpec
from tidemill.steps.data.extract import training_partitions
from tidemill.workspace import Workspace

__all__ = ["SOURCE", "Simulation", "simulate"]

SOURCE = "source"  # what progress calls the copying of rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation(Record):
    """What came of living a past several times."""

    model: str
    """Name of the model."""
    first: str
    """Key of the first partition."""
    last: str
    """Key of the last partition."""
    metric: str
    """The spec's acceptance metric."""
    injections: tuple[str, ...]
    """Faults that were put in, in words."""
    outcomes: tuple[Outcome, ...]
    """One a policy."""
    gains: tuple[MetricValue, ...]
    """Mean gain a partition of each policy over each that comes before it; ``slice`` names both."""


def simulate(
    spec: ModelSpec,
    first: str,
    last: str,
    workspace: Workspace,
    *,
    policies: Sequence[Policy] = tuple(Policy),
    injections: Sequence[Injection] = (),
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Simulation:
    """Live the partitions from one key to another again under each policy.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    first, last : str
        Keys, both included. The first model is trained as of the first.
    workspace : Workspace
        Where the real source is; nothing of it is changed.
    policies : sequence of Policy, default all
        What to compare.
    injections : sequence of Injection, default ()
        Faults of the source, the same for all policies.
    on_progress : callable
        Told ``source`` or a policy, the partitions done and their number; from several threads.

    Raises
    ------
    EmptyPartition
        If there is nothing before the first partition to train on.
    SpecError
        If an injection names a column that does not exist.
    """
    partitions = tuple(spec.partitions_between(first, last))
    window = training_partitions(Job(spec=spec, partition=partitions[0], workspace=workspace, run_id=0))
    needed = (*window, *partitions)
    with throwaway_ground() as ground:
        copied = iter(range(1, len(needed) + 1))
        ground.copy_source(spec, workspace, needed, lambda key: on_progress(SOURCE, next(copied), len(needed)))
        ground.inject(spec, injections)
        chosen = [policy for policy in Policy if policy in policies]
        for policy in chosen:
            ground.declare(spec, model_name(policy))
        with ThreadPoolExecutor(
            max_workers=len(chosen)
        ) as pool:  # more than processors, perhaps: none idles at the end
            outcomes = tuple(pool.map(lambda policy: _live(ground, policy, partitions, on_progress), chosen))
    metric = spec.accept.metric
    return Simulation(
        model=spec.model,
        first=first,
        last=last,
        metric=metric,
        injections=tuple(injection.words for injection in injections),
        outcomes=outcomes,
        gains=tuple(_gain(metric, *pair) for pair in combinations(outcomes, 2)),
    )


def _live(
    ground: Ground, policy: Policy, partitions: tuple[Partition, ...], on_progress: Callable[[str, int, int], None]
) -> Outcome:
    """Run one policy in a process of its own, and read what it wrote."""
    program = [sys.executable, "-m", "tidemill.simulation.replay"]
    log = ground.folder / f"{policy.value}.log"
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [*program, str(ground.folder), policy.value, partitions[0].key, partitions[-1].key],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        for done, _ in enumerate(child.stdout, start=1):
            on_progress(policy.value, done, len(partitions))
    if child.returncode:
        raise FatalError(
            f"The simulation under policy {policy.value!r} ended with {child.returncode}:\n{last_lines(log)}\n",
            "See the error; the real ledger was not touched.",
        )
    written = json.loads((ground.folder / f"{policy.value}.json").read_text(encoding="utf-8"))
    return Outcome.from_dict(cast(dict[str, object], written))


def _gain(metric: str, baseline: Outcome, outcome: Outcome) -> MetricValue:
    figure = gain(outcome.quality, baseline.quality, name=metric, sign=1 if greater_is_better(metric) else -1)
    return MetricValue(
        name=figure.name,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        n=figure.n,
        slice=f"{outcome.policy.called} over {baseline.policy.called}",
    )
