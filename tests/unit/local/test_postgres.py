import os
from pathlib import Path

import pytest

from tidemill.local import postgres
from tidemill.local.components import POSTGRES, build_components
from tidemill.local.home import Home
from tidemill.local.plan import Plan, load, save
from tidemill.local.ports import Ports
from tidemill.local.postgres import Cluster
from tidemill.local.processes import MARKER, OWN_NAME

CLUSTER = Cluster(programs=Path("/w/bin"), data=Path("/d"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(folder=tmp_path / "home")
    made.create()
    return made


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(project=tmp_path, ports=Ports(api=1, mlflow=2, postgres=3), cluster=CLUSTER)


def test_postgres_listens_on_the_loopback_alone() -> None:
    arguments = postgres.server_arguments(CLUSTER, 15432)

    assert "listen_addresses=127.0.0.1" in arguments
    assert "unix_socket_directories=" in arguments


def test_postgres_writes_to_the_disk_before_it_says_yes() -> None:
    assert not [word for word in postgres.server_arguments(CLUSTER, 1) if word.startswith(("fsync", "synchronous"))]


def test_an_ordinary_user_has_the_data_in_the_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    cluster = postgres.place(home, None)

    assert (cluster.data, cluster.uid) == (home.folder / "postgres", None)


def test_the_wheel_has_the_programs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert (postgres.place(home, None).programs / "postgres").exists()


def test_a_plan_is_read_as_it_was_written(home: Home, plan: Plan) -> None:
    save(home, plan)

    assert load(home) == plan


def test_a_plan_names_no_secret(home: Home, plan: Plan) -> None:
    save(home, plan)

    assert "password" not in home.plan.read_text()


def test_every_component_carries_the_mark_of_its_home(home: Home, plan: Plan) -> None:
    marks = {part.name: (part.environment[MARKER], part.environment[OWN_NAME]) for part in build_components(home, plan)}

    assert marks == {name: (str(home.folder), name) for name in marks}


def test_every_component_keeps_its_mark_when_it_renames_itself(home: Home, plan: Plan) -> None:
    assert all(part.environment["SPT_NOENV"] == "1" for part in build_components(home, plan))


def test_postgres_alone_stops_last(home: Home, plan: Plan) -> None:
    assert [part.name for part in build_components(home, plan) if part.stop_last] == [POSTGRES]


def test_no_component_gets_the_owners_url(home: Home, plan: Plan) -> None:
    values = [value for part in build_components(home, plan) for value in part.environment.values()]

    assert not [value for value in values if "tidemill_owner" in value]


def test_a_components_environment_is_not_in_its_repr(home: Home, plan: Plan) -> None:
    assert "FERNET" not in repr(build_components(home, plan))
