from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.local import settings
from tidemill.local.components import airflow_environment
from tidemill.local.config import StackConfig
from tidemill.local.home import Home
from tidemill.local.ports import Ports
from tidemill.local.secrets import AirflowKeys, airflow_keys
from tidemill.postgres.cluster import Cluster

HOME = Home(folder=Path("/p/.tidemill"))
KEYS = AirflowKeys(fernet_key="f", jwt_secret="j", secret_key="s")
CONFIG = StackConfig(
    project=Path("/p"),
    ports=Ports(api=18080, mlflow=15000, postgres=15432),
    cluster=Cluster(programs=Path("/w/bin"), data=Path("/p/.tidemill/postgres")),
)


@pytest.fixture
def airflow() -> dict[str, str]:
    return settings.airflow_variables(HOME, CONFIG, KEYS, ["admin", "kim"])


def test_the_execution_api_follows_the_api_port(airflow: dict[str, str]) -> None:
    assert airflow["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    assert airflow["AIRFLOW__API__PORT"] == "18080"


def test_airflow_binds_the_loopback(airflow: dict[str, str]) -> None:
    assert airflow["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_both_database_urls_name_their_driver(airflow: dict[str, str]) -> None:
    urls = {name: url.split(":")[0] for name, url in airflow.items() if "SQL_ALCHEMY_CONN" in name}

    assert urls == {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "postgresql+asyncpg",
    }


def test_dags_and_plugins_are_the_projects(airflow: dict[str, str]) -> None:
    folders = (airflow["AIRFLOW__CORE__DAGS_FOLDER"], airflow["AIRFLOW__CORE__PLUGINS_FOLDER"])

    assert folders == ("/p/dags", "/p/plugins")


def test_no_examples_and_no_paused_dags(airflow: dict[str, str]) -> None:
    chosen = (airflow["AIRFLOW__CORE__LOAD_EXAMPLES"], airflow["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"])

    assert chosen == ("False", "False")


def test_every_name_in_the_password_file_is_a_user(airflow: dict[str, str]) -> None:
    assert airflow["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin,kim:admin"


def test_three_tasks_run_at_once(airflow: dict[str, str]) -> None:
    assert airflow["AIRFLOW__CORE__PARALLELISM"] == "3"


def test_the_contract_has_its_variables() -> None:
    assert set(settings.variables(HOME, CONFIG)) >= {
        "TIDEMILL_MODELS",
        "TIDEMILL_SQL",
        "TIDEMILL_STORAGE",
        "MLFLOW_TRACKING_URI",
        "TIDEMILL_CONN_WAREHOUSE",
        "TIDEMILL_CONN_TIDEMILL",
        "TIDEMILL_CONN_TIDEMILL_PROMOTER",
        "TIDEMILL_CONN_TIDEMILL_OWNER",
    }


def test_tasks_never_see_the_owner() -> None:
    seen = settings.task_variables(HOME, CONFIG)

    assert not [name for name, value in seen.items() if "OWNER" in name or "tidemill_owner" in value]


def test_tasks_see_the_connections_under_airflows_names() -> None:
    seen = settings.task_variables(HOME, CONFIG)

    assert seen["AIRFLOW_CONN_WAREHOUSE"] == (
        "postgres://tidemill_reader@127.0.0.1:15432/warehouse?passfile=/p/.tidemill/secrets/tidemill_reader.pgpass"
    )


@pytest.mark.parametrize("variables", [settings.task_variables, settings.mlflow_server_variables, settings.variables])
def test_mlflow_sends_no_usage_data_and_loads_no_pickle(
    variables: Callable[[Home, StackConfig], dict[str, str]],
) -> None:
    chosen = variables(HOME, CONFIG)

    assert (chosen["MLFLOW_DISABLE_TELEMETRY"], chosen["DO_NOT_TRACK"]) == ("true", "true")
    assert chosen["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_mlflow_answers_only_to_names_of_this_machine() -> None:
    hosts = settings.mlflow_server_variables(HOME, CONFIG)["MLFLOW_SERVER_ALLOWED_HOSTS"]

    assert hosts == "127.0.0.1:15000,localhost:15000"


def test_threads_of_numerical_libraries_are_left_to_whoever_sets_them() -> None:
    kept = settings.inherited({"OMP_NUM_THREADS": "2"})

    assert kept["OMP_NUM_THREADS"] == "2"
    assert "OMP_NUM_THREADS" not in settings.task_variables(HOME, CONFIG)


@pytest.mark.parametrize("name", ["PGPASSWORD", "PGHOST", "AIRFLOW__CORE__EXECUTOR", "TIDEMILL_CONN_TIDEMILL_OWNER"])
def test_settings_of_somebody_elses_shell_are_not_inherited(name: str) -> None:
    assert name not in settings.inherited({name: "x"})


def test_no_url_carries_a_password() -> None:
    everything = settings.variables(HOME, CONFIG) | settings.task_variables(HOME, CONFIG)
    urls = [value for value in everything.values() if "@" in value]

    assert urls
    assert all(":" not in url.split("://")[1].split("@")[0] for url in urls)


@pytest.mark.parametrize(("given", "on"), [({}, "False"), ({"AIRFLOW__METRICS__STATSD_ON": "True"}, "True")])
def test_figures_go_nowhere_unless_the_shell_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], on: str
) -> None:
    monkeypatch.delenv("AIRFLOW__METRICS__STATSD_ON", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    home = Home(folder=tmp_path / ".tidemill")
    home.create()
    airflow_keys(home)
    assert airflow_environment(home, CONFIG)["AIRFLOW__METRICS__STATSD_ON"] == on
