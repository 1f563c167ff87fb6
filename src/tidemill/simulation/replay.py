"""One policy, day by day: train, predict, monitor and decide in the order of production's schedules.

``simulate`` runs this module as a program, one process per policy. It prints the key of each finished partition.
"""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from tidemill.errors import FatalError
from tidemill.intervals import Interval, Partition
from tidemill.runtime.chains import Chain, drive, monitor_chain, predict_chain, retrain_chain, train_chain
from tidemill.runtime.job import Job
from tidemill.simulation.outcome import Held, Opened, Outcome, Policy, Stopped, Trained
from tidemill.simulation.sandbox import Sandbox
from tidemill.simulation.simulated_steps import SimulatedSteps
from tidemill.spec import ModelSpec
from tidemill.steps.data.labels import labelled, labels_as_of
from tidemill.steps.monitor.realised_quality import measured, scored_rows, weights_of
from tidemill.steps.predict.resolution import Resolution, resolve_withheld
from tidemill.warehouse.connections import Row, fetch_all, kept_open, transaction
from tidemill.warehouse.predictions.publisher import PublishedRun, Publisher
from tidemill.warehouse.predictions.withholding import Withholding
from tidemill.warehouse.statements import execute
from tidemill.workspace import LEDGER, Workspace

__all__ = ["Replay", "main", "model_name"]

WEEK = timedelta(days=7)
_REASON = "A replay continues with the rows that it has."
RIGHT = Resolution(publish=True, by="simulation", reason=_REASON)
DOUBTFUL = Resolution(publish=True, by="", reason=_REASON, marked=True)


class Replay:
    """A replay in progress.

    Parameters
    ----------
    policy : Policy
        When to train; also part of the model's name in the sandbox.
    rows_are_right : bool, default False
        Whether the past is without faults, so that a person who looks at withheld rows would find them right.

    Attributes
    ----------
    spec : ModelSpec
        The model as declared in the sandbox.
    stopped : list of Stopped
        Chains that have failed so far.
    withheld : list of Held
        Partitions whose rows were withheld so far.
    """

    def __init__(self, workspace: Workspace, policy: Policy, *, rows_are_right: bool = False) -> None:
        self._workspace, self._policy = workspace, policy
        self._resolution = RIGHT if rows_are_right else DOUBTFUL
        self.spec = workspace.spec(model_name(policy))
        self._steps = SimulatedSteps(workspace.storage.with_name("shared"))
        self._trained_at: datetime | None = None
        self.stopped: list[Stopped] = []
        self.withheld: list[Held] = []

    def run(self, partitions: tuple[Partition, ...]) -> Iterator[str]:
        """Replay partitions, and yield the key of each finished one."""
        for partition in partitions:
            if self._training_is_due(partition):
                self._trained_at = partition.interval.start
                with self._recorded(partition, "train"):
                    self._drive("train", train_chain(self.spec), partition)
            if self._policy is Policy.SPEC:
                self.observe(partition)
                with self._recorded(partition, "retrain"):
                    self._drive("retrain", retrain_chain(self.spec), partition)
            else:
                self._predict(partition)
            yield partition.key

    def fork(self) -> "Replay":
        """Return a replay that continues from here, perhaps with faults, and records its own failures."""
        other = Replay(self._workspace, self._policy)
        other._trained_at = self._trained_at
        return other

    def observe(self, partition: Partition) -> None:
        """Predict and monitor a partition, without a retrain decision."""
        self._predict(partition)
        with self._recorded(partition, "monitor"):
            self._drive("monitor", monitor_chain(self.spec), partition, until="alert")

    def alerts(self) -> tuple[Opened, ...]:
        """Return all alerts so far."""
        return _read(Opened, "alerts_of_model", self.spec.model, self._workspace)

    def outcome(self, partitions: tuple[Partition, ...]) -> Outcome:
        """Return the outcome so far."""
        return Outcome(
            policy=self._policy,
            quality=_quality(self.spec, self._workspace, partitions),
            trained=_read(Trained, "trainings_of_model", self.spec.model, self._workspace),
            alerts=_read(Opened, "alerts_of_model", self.spec.model, self._workspace),
            stopped=tuple(self.stopped),
            withheld=tuple(self.withheld),
        )

    def _training_is_due(self, partition: Partition) -> bool:
        if self._trained_at is None:
            return True
        return self._policy is Policy.WEEKLY and partition.interval.start - self._trained_at >= WEEK

    def _predict(self, partition: Partition) -> None:
        """Predict a partition; record that its rows are withheld, and publish them, so that the days after have a past."""
        with self._recorded(partition, "predict"):
            self._drive("predict", predict_chain(), partition)
            for run in Withholding(self._workspace.connection(LEDGER)).runs(self.spec.model, partition.key):
                self.withheld.append(Held(partition=run.partition, rules=run.rules, reasons=run.reasons))
                resolve_withheld(self._workspace, self.spec, run, self._resolution)

    def _drive(self, name: str, chain: Chain, partition: Partition, until: str | None = None) -> None:
        model, run = self.spec.model, self._steps.run_step
        drive(name, chain, model, partition.key, self._workspace, until=until, run=run)

    @contextmanager
    def _recorded(self, partition: Partition, chain: str) -> Iterator[None]:
        """Record a chain that fails as a fact of the simulated day; production also continues with the next day."""
        try:
            yield
        except FatalError as error:
            said = " ".join(str(error).split())
            self.stopped.append(Stopped(partition=partition.key, chain=chain, error=f"{type(error).__name__}: {said}"))


def model_name(policy: Policy) -> str:
    """Return the model's name in the simulated ledger."""
    return f"retrained_{policy.value}"


def _quality(spec: ModelSpec, workspace: Workspace, partitions: tuple[Partition, ...]) -> dict[str, float | None]:
    whole = Interval(start=partitions[0].interval.start, end=partitions[-1].interval.end)
    job = Job(spec=spec, partition=partitions[-1], workspace=workspace, run_id=0)
    labels = labels_as_of(job, whole, partitions[-1].due(2 * spec.label.matures_after))
    publisher = Publisher(workspace.connection(LEDGER))

    def realised(run: PublishedRun) -> float | None:
        rows = scored_rows(publisher, run, labels, spec)
        y = labelled(rows, labels, spec)
        figures = measured(run, y, rows, weights_of(job, run, rows, labels, y), spec.accept.metric)
        value = next((figure.value for figure in figures if figure.name == spec.accept.metric), math.nan)
        return value if math.isfinite(value) else None

    return {run.partition: realised(run) for run in publisher.published(spec.model)}


def _read(kind: type[Row], statement: str, model: str, workspace: Workspace) -> tuple[Row, ...]:
    with transaction(workspace.connection(LEDGER)) as cursor:
        execute(cursor, statement, model=model)
        return fetch_all(cursor, kind)


def main(folder: str, policy: str, first: str, last: str) -> None:
    """Replay the past under one policy, and write its outcome to the sandbox's folder."""
    workspace = Sandbox.load(Path(folder)).workspace
    replay = Replay(workspace, Policy(policy))
    partitions = tuple(workspace.spec(model_name(Policy(policy))).partitions_between(first, last))
    with kept_open():
        for key in replay.run(partitions):
            sys.stdout.write(f"{key}\n")
            sys.stdout.flush()
        outcome = replay.outcome(partitions)
    (Path(folder) / f"{policy}.json").write_text(json.dumps(outcome.to_dict()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
