"""What a release uploads: the wheel, installed by itself, works on an Airflow that lacks nothing.

`make release` builds and installs it, and names the environment in ``TIDEMILL_RELEASED``.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tidemill import __version__

from ..integration.conftest import PROJECT, ROLES, Warehouse, warehouse
from ..integration.test_installation import connection, mlflow

__all__ = ["mlflow", "warehouse"]

Environment = dict[str, str]
RELEASED = Path(os.environ["TIDEMILL_RELEASED"]).absolute()


@pytest.fixture
def environment(warehouse: Warehouse, mlflow: str, tmp_path: Path) -> Environment:
    """An Airflow in an empty folder, with connections, storage and DAG files."""
    foreign = ("AIRFLOW", "TIDEMILL_", "MLFLOW_", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    connections = {f"AIRFLOW_CONN_{name.upper()}": connection(warehouse.url(role)) for name, role in ROLES.items()}
    return (
        kept
        | connections
        | {
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "TIDEMILL_CONN_TIDEMILL_OWNER": warehouse.url("tidemill_owner"),
            "TIDEMILL_STORAGE": str(tmp_path / "storage"),
            "MLFLOW_TRACKING_URI": mlflow,
            "PATH": f"{RELEASED / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
    )


def run(environment: Environment, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(RELEASED / "bin" / "tidemill"), *arguments],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_is_what_runs(environment: Environment, tmp_path: Path) -> None:
    script = (
        "import tidemill, tidemill_airflow; print(tidemill.__version__, tidemill.__file__, tidemill_airflow.__file__)"
    )
    asked = subprocess.run(
        [str(RELEASED / "bin" / "python"), "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    version, *files = asked.stdout.split()
    assert version == __version__
    assert all(Path(file).is_relative_to(RELEASED) for file in files)


def test_its_migrations_are_those_of_the_ledger(environment: Environment, tmp_path: Path) -> None:
    migrated = run(environment, tmp_path, "migrate")
    assert (migrated.returncode, migrated.stderr) == (0, "")


def test_install_check_finds_nothing_missing(environment: Environment, tmp_path: Path) -> None:
    checked = run(environment, tmp_path, "install-check", "--json")
    findings = json.loads(checked.stdout)
    assert [item for item in findings if item["severity"] != "ok"] == []
    assert checked.returncode == 0
