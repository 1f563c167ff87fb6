"""A model in a sandbox: trained on a sample of its source, promoted, rolled back and reproduced, with production's steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tidemill.modeling.bundle import Bundle
from tidemill.operations.rollback import promote_by_hand, roll_back
from tidemill.records import BundleRef, Reproduction, SplitRef
from tidemill.runtime.chains import drive, predict_chain, train_chain
from tidemill.runtime.job import Job
from tidemill.runtime.run import run_step
from tidemill.simulation import Past
from tidemill.simulation.sandbox import Sandbox, open_sandbox
from tidemill.simulation.simulated_steps import SimulatedSteps
from tidemill.simulation.trial import sample_rows
from tidemill.spec import ModelSpec
from tidemill.steps.data.features import LabelledSet, read_set
from tidemill.storage.bundles import load_bundle
from tidemill.warehouse.predictions.publisher import Publisher
from tidemill.warehouse.predictions.rows import read_rows
from tidemill.workspace import LEDGER

__all__ = ["Drill", "Scratch", "Trained", "open_scratch"]

BY, WHY = "the test pack", "A test in a sandbox."
Scores = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A release of the sandbox."""

    release_id: int
    bundle: Bundle
    train: LabelledSet
    validation: LabelledSet
    test: LabelledSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What readers saw of one partition around a rollback, by entity key."""

    before: Scores
    """Rows of the earlier champion."""
    replaced: Scores
    """Rows of its successor."""
    after: Scores
    """Rows once the successor was rolled back."""
    champion: int
    """The champion after the rollback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A sandbox with a sample of the source, and a ledger in which nothing has happened yet."""

    past: Past
    """The real model, and the partition as of which it is trained."""
    sandbox: Sandbox

    @property
    def spec(self) -> ModelSpec:
        """The spec in the sandbox."""
        return self.sandbox.workspace.spec(self.past.spec.model)

    def train(self, random_state: int) -> Trained:
        """Train with a seed, and promote the release whatever the gate says: a sample proves little."""
        self.sandbox.declare(_without_waiting(self.past.spec, random_state), self.past.spec.model)
        spec, records = self.spec, dict[str, dict[str, Any]]()
        self._drive("train", train_chain(spec, trials=0), records)
        release_id = int(records["register"]["release_id"])
        job = Job(spec=spec, partition=spec.partition(self.past.first), workspace=self.sandbox.workspace, run_id=0)
        if not records["register"]["promoted"]:
            promote_by_hand(spec, job.workspace, release_id, force=True, approved_by=BY, reason=WHY)
        ref, split = BundleRef.from_dict(records["evaluate"]["bundle"]), SplitRef.from_dict(records["prepare"])
        train, validation, test = (read_set(job, split, name) for name in ("train", "validation", "test"))
        return Trained(
            release_id=release_id,
            bundle=load_bundle(job.store.path(ref.uri), ref.digest, spec.train.trusted),
            train=train,
            validation=validation,
            test=test,
        )

    def drill_rollback(self) -> Drill:
        """Publish by the champion, let a successor replace it and its rows, and roll back."""
        before = self._publish()
        self.train(self.past.spec.train.random_state + 1)
        replaced = self._publish()
        key = self.past.first
        done = roll_back(self.spec, self.sandbox.workspace, to=None, republish=(key, key), approved_by=BY, reason=WHY)
        return Drill(before=before, replaced=replaced, after=self._published(), champion=done.release_id)

    def reproduce(self, release_id: int) -> Reproduction:
        """Build a release of the sandbox again."""
        place = self.spec.model, self.past.first, {"release": release_id}
        return Reproduction.from_dict(run_step("reproduce", "reproduce", *place, workspace=self.sandbox.workspace))

    def _publish(self) -> Scores:
        self._drive("predict", predict_chain(), {})
        return self._published()

    def _published(self) -> Scores:
        url = self.sandbox.workspace.connection(LEDGER)
        (run,) = Publisher(url).published(self.spec.model)
        rows = read_rows(url, run.prediction_run_id).to_pydict()
        return dict(zip(rows["entity_key"], rows["score"], strict=True))

    def _drive(self, name: str, chain: Any, records: dict[str, dict[str, Any]]) -> None:
        def keep(step: str, record: dict[str, Any] | None) -> None:
            if record is not None:
                records[step] = record

        steps = SimulatedSteps(self.sandbox.folder / f"records_{self.spec.train.random_state}")
        place = self.spec.model, self.past.first, self.sandbox.workspace
        drive(name, chain, *place, on_step=keep, run=steps.run_step)


@contextmanager
def open_scratch(past: Past, n_rows: int) -> Iterator[Scratch]:
    """Copy a sample of the rows that training and scoring a partition need into a sandbox of the block.

    Raises
    ------
    EmptyPartition
        If there is nothing before the partition to train on.
    SettingsError
        If there is no Postgres for the sandbox.
    SpecError
        If a sandbox cannot copy the source.
    """
    with open_sandbox() as sandbox:
        sandbox.copy_source(past)
        sample_rows(sandbox, past.spec, n_rows)
        yield Scratch(past=past, sandbox=sandbox)


def _without_waiting(spec: ModelSpec, random_state: int) -> ModelSpec:
    """Return the spec without what waits for a person or for days, or only measures."""
    accept = {"approval": "automatic", "shadow": None, "watch": None, "republish": False, "four_eyes": False}
    return spec.model_copy(
        update={
            "train": spec.train.model_copy(update={"random_state": random_state % 2**32, "leave_out": None}),
            "accept": spec.accept.model_copy(update=accept),
            "predict": spec.predict.model_copy(update={"withhold": None}),
            "alerts": (),
        }
    )
