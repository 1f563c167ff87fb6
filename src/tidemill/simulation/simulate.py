"""A simulation: replay the past once per policy, in parallel, and compare the policies."""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from tidemill.errors import FatalError
from tidemill.intervals import Partition
from tidemill.machine.files import last_lines
from tidemill.metrics.definitions import greater_is_better
from tidemill.records import MetricValue, Record
from tidemill.simulation.compare import gain
from tidemill.simulation.injections import Injection
from tidemill.simulation.outcome import Outcome, Policy
from tidemill.simulation.past import Past, Progress, ignore_progress
from tidemill.simulation.replay import model_name
from tidemill.simulation.sandbox import Sandbox, open_sandbox

__all__ = ["Simulation", "simulate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation(Record):
    """The outcomes of several policies on the same past."""

    model: str
    first: str
    """Key of the first partition."""
    last: str
    """Key of the last partition."""
    metric: str
    """The spec's acceptance metric."""
    injections: tuple[str, ...]
    """The injected faults, as text."""
    outcomes: tuple[Outcome, ...]
    """One per policy."""
    gains: tuple[MetricValue, ...]
    """Mean gain per partition of each policy over each preceding one; ``slice`` names both."""


def simulate(
    past: Past,
    *,
    policies: Sequence[Policy] = tuple(Policy),
    injections: Sequence[Injection] = (),
    on_progress: Progress = ignore_progress,
) -> Simulation:
    """Replay a past under each policy.

    Parameters
    ----------
    injections : sequence of Injection, default ()
        Faults of the source, the same for all policies.
    on_progress : callable
        Called with ``source`` or a policy, from several threads.

    Raises
    ------
    EmptyPartition
        If there is nothing before the first partition to train on.
    SpecError
        If an injection names a column that does not exist, or rows have no time.
    """
    past.require_time()
    chosen = [policy for policy in Policy if policy in policies]
    with open_sandbox() as sandbox:
        sandbox.copy_source(past, on_progress)
        sandbox.inject(past.spec, injections)
        for policy in chosen:
            sandbox.declare(past.spec, model_name(policy))
        # One process per policy, even with fewer processors: none idles at the end.
        with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
            outcomes = tuple(pool.map(lambda policy: _replay(sandbox, policy, past.partitions, on_progress), chosen))
    metric = past.spec.accept.metric
    return Simulation(
        model=past.spec.model,
        first=past.first,
        last=past.last,
        metric=metric,
        injections=tuple(injection.words for injection in injections),
        outcomes=outcomes,
        gains=tuple(_gain(metric, *pair) for pair in combinations(outcomes, 2)),
    )


def _replay(sandbox: Sandbox, policy: Policy, partitions: tuple[Partition, ...], on_progress: Progress) -> Outcome:
    """Replay one policy in its own process, and read the outcome that it writes."""
    program = [sys.executable, "-m", "tidemill.simulation.replay"]
    log = sandbox.folder / f"{policy.value}.log"
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [*program, str(sandbox.folder), policy.value, partitions[0].key, partitions[-1].key],
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
            "See the error above. The real ledger is unchanged.",
        )
    written = json.loads((sandbox.folder / f"{policy.value}.json").read_text(encoding="utf-8"))
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
