"""A server to be killed, a nursery of processes to be killed, small models, and the list of what was proved."""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tidemill.records import ReleaseRef, SnapshotRef
from tidemill.workspace import Workspace

from ..integration.data import SCORED, TRAINED, Mill, generate_parcels, load_parcels
from .nursery import Ending, Nursery, Victim
from .server import ROLES, Server

ROUNDS = int(os.environ.get("TIDEMILL_CHAOS_ROUNDS", "50"))  # of each race
PUBLISHES = int(os.environ.get("TIDEMILL_CHAOS_PUBLISHES", "200"))  # under the eyes of a polling reader

Trained = tuple[Mill, dict[str, dict[str, Any]]]
Proved = Callable[..., None]
_proofs: dict[str, Counter[str]] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: only in the full 'make chaos', not in its bounded form")
    config.addinivalue_line("markers", "airflow: starts a whole stack of its own")


@pytest.fixture
def proved(request: pytest.FixtureRequest) -> Proved:
    """Note which rows of the list of promises and faults a test has proved, and how often: ``proved("F02 P1", kills=1)``."""

    def note(rows: str, **counts: int) -> None:
        _proofs.setdefault(rows, Counter()).update({"tests": 1, **counts})

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _proofs:
        terminalreporter.section("proved")
        for rows, counts in sorted(_proofs.items()):
            told = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())
            terminalreporter.write_line(f"{rows:<16} {told}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("server"))
    try:
        one.start()
        one.create_ledger()
        yield one
    finally:
        one.remove()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    one = Nursery(tmp_path_factory.mktemp("nursery"))
    yield one
    one.close()


def some(values: Iterable[Any], *short: Any) -> list[Any]:
    """Return the cases of a test; those that are not in the bounded form are marked as slow."""
    return [pytest.param(value, marks=[] if value in short else [pytest.mark.slow]) for value in values]


class Subject:
    """A small model, and the means to run it in processes of their own."""

    def __init__(self, mill: Mill, server: Server, nursery: Nursery) -> None:
        self.mill, self.server, self.nursery = mill, server, nursery

    def environment(self, port: int | None = None) -> dict[str, str]:
        places = self.mill.workspace
        return {
            "TIDEMILL_MODELS": str(places.models),
            "TIDEMILL_SQL": str(places.sql),
            "TIDEMILL_STORAGE": str(places.storage),
            **self.server.environment(port),
        }

    def start(
        self, job: str, fault: str = "", *, variables: Mapping[str, str] | None = None, **arguments: Any
    ) -> Victim:
        return self.nursery.start(job, self.environment() | dict(variables or {}), fault, **arguments)

    def run(self, job: str, fault: str = "", *, variables: Mapping[str, str] | None = None, **arguments: Any) -> Ending:
        return self.start(job, fault, variables=variables, **arguments).end()

    def start_step(
        self,
        name: str,
        fault: str = "",
        *,
        chain: str = "predict",
        partition: str = SCORED,
        variables: Mapping[str, str] | None = None,
        **inputs: Any,
    ) -> Victim:
        """Start one step as a task of its own."""
        return self.start(
            "step",
            fault,
            variables=variables,
            chain=chain,
            name=name,
            model=self.mill.model,
            partition=partition,
            inputs=inputs,
        )

    def runs(self, step: str) -> list[tuple[str, str | None]]:
        """Return status and error of each run of a step, oldest first."""
        query = "SELECT status, error FROM tidemill.run WHERE model = '{m}' AND step = %s ORDER BY run_id"
        return [(status, error) for status, error in self.mill.sql(query, step)]

    def half_written(self) -> list[Path]:
        """Name what is written aside, below the model's folders."""
        return sorted((self.mill.workspace.storage / self.mill.model).glob("*/.writing-*"))

    def predict(self, fault: str = "", partition: str = SCORED) -> Ending:
        return self.run("predict", fault, model=self.mill.model, partition=partition)

    def train(self, fault: str = "", partition: str = TRAINED) -> Ending:
        """Run the training, or go on with it: steps that have answered are not run again."""
        journal = str(self.nursery.folder / f"{self.mill.model}.journal")
        return self.run("train", fault, model=self.mill.model, partition=partition, journal=journal)

    def inputs(self, n_rows: int | None = None, partition: str = SCORED) -> dict[str, Any]:
        """Return what ``attempt`` needs: release, snapshot, run; the snapshot may pretend to have other rows."""
        release, snapshot = self.mill.resolve(partition), self.mill.extract("score", partition)
        run_id = self.mill.start_run(partition)
        if n_rows is not None:
            name = sha256(f"{self.mill.model}, {n_rows} rows".encode()).hexdigest()
            snapshot = replace(snapshot, digest=name, n_rows=n_rows)
            self.mill.ledger.record_snapshot(snapshot, run_id)
        return {"release": release.to_dict(), "snapshot": snapshot.to_dict(), "run_id": run_id}

    def view(self, columns: str = "parcel_id, score", partition: str = SCORED) -> list[tuple[Any, ...]]:
        """Read what a reader sees; nothing, too, before the model's view exists."""
        exists = self.mill.sql("SELECT to_regclass('predictions.{m}') IS NOT NULL") == [(True,)]
        return self.mill.view(partition, columns) if exists else []


class Models:
    """Makes small models, each with its own name, files and source; they share one storage."""

    def __init__(self, root: Path, nursery: Nursery) -> None:
        self.root, self.nursery, self.numbers = root, nursery, itertools.count()
        self.rows = generate_parcels(random_state=1)

    def make(self, server: Server) -> Subject:
        number = next(self.numbers)
        workspace = Workspace(
            models=self.root / f"models_{number}",
            sql=self.root / "sql",
            storage=self.root / "storage",
            tracking_uri=None,
            connection=lambda name: server.url(ROLES[name]),
        )
        mill = Mill(model=f"parcels_{number}", workspace=workspace, owner_url=server.url("tidemill_owner"))
        load_parcels(mill.owner_url, mill.model, self.rows)
        mill.write()
        return Subject(mill, server, self.nursery)


@pytest.fixture(scope="session")
def models(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("mills"), nursery)


@pytest.fixture(scope="session")
def new_subject(models: Models, server: Server) -> Callable[[], Subject]:
    """Make small models that nothing has been done with yet."""
    return lambda: models.make(server)


@pytest.fixture(scope="session")
def trained(new_subject: Callable[[], Subject]) -> tuple[Subject, dict[str, dict[str, Any]]]:
    """A model that was trained without any fault, and the records of it. Tests only read it."""
    subject = new_subject()
    assert subject.train().ended == "done"
    results = subject.mill.sql("SELECT step, result FROM tidemill.run WHERE model = '{m}' ORDER BY run_id")
    return subject, dict(results)


@pytest.fixture(scope="session")
def new_serving(new_subject: Callable[[], Subject], trained: Any) -> Callable[[], Subject]:
    """Make small models that have a champion."""

    def make() -> Subject:
        subject = new_subject()
        subject.mill.adopt(trained[1])
        return subject

    return make


@pytest.fixture
def serving(new_serving: Callable[[], Subject]) -> Subject:
    """A small model of the test's own with a champion."""
    return new_serving()


@pytest.fixture
def make_subject_on(models: Models, trained: Any) -> Callable[[Server], Subject]:
    """Make a small model with a champion on another server."""

    def make(server: Server) -> Subject:
        subject = models.make(server)
        subject.mill.adopt(trained[1])
        return subject

    return make


def release_and_snapshot(inputs: dict[str, Any]) -> tuple[ReleaseRef, SnapshotRef]:
    return ReleaseRef.from_dict(inputs["release"]), SnapshotRef.from_dict(inputs["snapshot"])
