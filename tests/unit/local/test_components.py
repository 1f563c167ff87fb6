from pathlib import Path

import pytest

from tidemill.local.components import MLFLOW, POSTGRES, build_components
from tidemill.local.config import StackConfig, load_config, save_config
from tidemill.local.home import Home
from tidemill.local.ports import Ports
from tidemill.local.secrets import mlflow_login
from tidemill.local.supervision.processes import MARKER, OWN_NAME
from tidemill.postgres.cluster import Cluster

CLUSTER = Cluster(programs=Path("/w/bin"), data=Path("/d"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(folder=tmp_path / "home")
    made.create()
    return made


@pytest.fixture
def config(tmp_path: Path) -> StackConfig:
    return StackConfig(project=tmp_path, ports=Ports(api=1, mlflow=2, postgres=3), cluster=CLUSTER)


def test_a_configuration_is_read_as_it_was_written(home: Home, config: StackConfig) -> None:
    save_config(home, config)

    assert load_config(home) == config


def test_a_configuration_names_no_secret(home: Home, config: StackConfig) -> None:
    save_config(home, config)

    assert "password" not in home.config.read_text()


def test_every_component_carries_the_mark_of_its_home(home: Home, config: StackConfig) -> None:
    marks = {
        part.name: (part.environment[MARKER], part.environment[OWN_NAME]) for part in build_components(home, config)
    }

    assert marks == {name: (str(home.folder), name) for name in marks}


def test_every_component_keeps_its_mark_when_it_renames_itself(home: Home, config: StackConfig) -> None:
    assert all(part.environment["SPT_NOENV"] == "1" for part in build_components(home, config))


def test_only_postgres_stops_last(home: Home, config: StackConfig) -> None:
    assert [part.name for part in build_components(home, config) if part.stop_last] == [POSTGRES]


def test_no_component_gets_the_owners_url(home: Home, config: StackConfig) -> None:
    values = [value for part in build_components(home, config) for value in part.environment.values()]

    assert not [value for value in values if "tidemill_owner" in value]


def test_mlflow_demands_the_login_that_tasks_and_nobody_else_get(home: Home, config: StackConfig) -> None:
    user, password = mlflow_login(home)
    given = {part.name: part.environment.get("MLFLOW_TRACKING_PASSWORD") for part in build_components(home, config)}

    assert given == {name: None if name == POSTGRES else password for name in given}
    assert not [part.name for part in build_components(home, config) if password in " ".join(part.command)]
    (server,) = [part for part in build_components(home, config) if part.name == MLFLOW]
    assert server.command[server.command.index("--app-name") + 1] == "tidemill"
    assert server.environment["MLFLOW_TRACKING_USERNAME"] == user


def test_a_components_environment_is_not_in_its_repr(home: Home, config: StackConfig) -> None:
    assert "FERNET" not in repr(build_components(home, config))
