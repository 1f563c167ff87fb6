"""``tidemill install-check``: what an Airflow lacks is listed exactly, and one that lacks nothing is told so."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from tidemill.doctor import Health, examine_installation
from tidemill.doctor.installation import DAG_FILES
from tidemill.postgres.cluster import ADMIN
from tidemill.warehouse.migrations import apply_migrations

from .conftest import PROJECT, ROLES, Warehouse

BARE = {"connection": "warehouse", "storage": "artifacts", "dags": "airflow"}
"""What an empty Airflow lacks; everything else depends on these, or is there."""


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An Airflow in an empty folder, and nothing of Tidemill's settings."""
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "TIDEMILL_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    return monkeypatch


@pytest.fixture
def mlflow() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def complete(airflow: pytest.MonkeyPatch, warehouse: Warehouse, mlflow: str, tmp_path: Path) -> pytest.MonkeyPatch:
    """The same with everything that Tidemill needs."""
    for name, role in ROLES.items():
        airflow.setenv(f"AIRFLOW_CONN_{name.upper()}", connection(warehouse.url(role)))
    airflow.setenv("TIDEMILL_STORAGE", str(tmp_path / "storage"))
    airflow.setenv("MLFLOW_TRACKING_URI", mlflow)
    airflow.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(PROJECT / "dags"))
    return airflow


def connection(url: str, **changes: str) -> str:
    parts = parse_dsn(url) | changes
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": parts.pop("host"),
            "port": int(parts.pop("port")),
            "login": parts.pop("user"),
            "schema": parts.pop("dbname"),
            "extra": parts,
        }
    )


def lacking() -> dict[str, str]:
    return {item.check: item.subject for item in examine_installation() if item.severity is Health.FAIL}


def test_a_bare_airflow_lacks_exactly_what_it_lacks(airflow: pytest.MonkeyPatch, tmp_path: Path) -> None:
    airflow.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as a shell of one of its servers would
    asked = subprocess.run(
        [sys.executable, "-c", "from tidemill.cli import main; main()", "install-check", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    findings: list[dict[str, Any]] = json.loads(asked.stdout)
    assert {item["check"]: item["subject"] for item in findings if item["severity"] == "fail"} == BARE
    assert all(item["remedy"] for item in findings if item["severity"] != "ok")
    assert (asked.returncode, asked.stderr) == (1, "")
    assert not (tmp_path / "airflow" / "airflow.db").exists()


def test_an_airflow_with_everything_lacks_nothing(complete: pytest.MonkeyPatch) -> None:
    findings = examine_installation()
    assert [item for item in findings if item.severity is not Health.OK] == []
    assert {
        "python",
        "requirements",
        "airflow",
        "plugin",
        "connection",
        "warehouse",
        "migrations",
        "roles",
        "grants",
        "rights",
        "storage",
        "mlflow",
        "dags",
        "specs",
    } <= {item.check for item in findings}


def test_one_login_with_all_three_roles_is_enough(complete: pytest.MonkeyPatch, warehouse: Warehouse) -> None:
    admin = psycopg2.connect(
        host="127.0.0.1", port=warehouse.port, user=ADMIN, dbname="warehouse", password=warehouse.password(ADMIN)
    )
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute("CREATE ROLE mill LOGIN PASSWORD 'of the test'")
        cursor.execute("GRANT CONNECT ON DATABASE warehouse TO mill")
        try:
            url = warehouse.url("tidemill_reader")
            one = json.loads(connection(url, user="mill")) | {"password": "of the test", "extra": {}}
            complete.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(one))
            complete.delenv("AIRFLOW_CONN_TIDEMILL")
            complete.delenv("AIRFLOW_CONN_TIDEMILL_PROMOTER")
            assert lacking() == {"warehouse": "ledger"}  # a stranger yet, and no traceback
            cursor.execute(f"GRANT {', '.join(ROLES.values())} TO mill")
            assert lacking() == {}
        finally:
            cursor.execute("REVOKE CONNECT ON DATABASE warehouse FROM mill; DROP ROLE mill")
            admin.close()


def test_a_role_that_may_too_little_is_named(complete: pytest.MonkeyPatch, warehouse: Warehouse) -> None:
    complete.setenv("AIRFLOW_CONN_TIDEMILL", connection(warehouse.url("tidemill_reader")))
    assert lacking() == {"rights": "tidemill"}


def test_a_database_without_a_ledger_lacks_migrations(complete: pytest.MonkeyPatch, warehouse: Warehouse) -> None:
    for name in ("WAREHOUSE", "TIDEMILL", "TIDEMILL_PROMOTER"):
        url = warehouse.url("tidemill_owner")
        complete.setenv(
            f"AIRFLOW_CONN_{name}",
            connection(
                url, dbname="postgres", user=ADMIN, passfile=str(warehouse.server.passwords / f"{ADMIN}.pgpass")
            ),
        )
    assert lacking() == {"migrations": "ledger"}


def test_the_roles_of_the_page_can_migrate_and_lack_nothing(complete: pytest.MonkeyPatch, warehouse: Warehouse) -> None:
    """The page's own SQL, in a separate database, except for the roles, which the server has already."""
    page = (PROJECT / "docs" / "deploy" / "existing-airflow.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert {f"CREATE ROLE {role} " in recipe for role in ("tidemill_owner", *ROLES.values())} == {True}
    statements = [
        line
        for line in recipe.replace("DATABASE warehouse", "DATABASE theirs").splitlines()
        if not line.startswith("CREATE ROLE")
    ]
    admin = {"host": "127.0.0.1", "port": warehouse.port, "user": ADMIN, "password": warehouse.password(ADMIN)}
    with closing(psycopg2.connect(**admin, dbname="postgres")) as connected:
        connected.autocommit = True
        with connected.cursor() as cursor:
            cursor.execute("CREATE DATABASE theirs")
            try:
                with closing(psycopg2.connect(**admin, dbname="theirs")) as inside, inside, inside.cursor() as setting:
                    setting.execute("\n".join(statements))
                place = f"127.0.0.1:{warehouse.port}/theirs"  # of which the password files know nothing
                apply_migrations(f"postgresql://tidemill_owner:{warehouse.password('tidemill_owner')}@{place}")
                for name, role in ROLES.items():
                    url = f"postgres://{role}:{warehouse.password(role)}@{place}"
                    complete.setenv(f"AIRFLOW_CONN_{name.upper()}", url)
                assert lacking() == {}
            finally:
                cursor.execute("DROP DATABASE theirs WITH (FORCE)")


def test_a_copy_of_the_plugin_that_airflow_would_execute_is_found(complete: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "plugins" / "tidemill_airflow", tmp_path / "plugins" / "tidemill_airflow")
    complete.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(tmp_path / "plugins"))
    assert lacking() == {"plugin": str(tmp_path / "plugins")}


def test_an_airflow_that_does_not_start_is_a_finding(complete: pytest.MonkeyPatch) -> None:
    complete.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", "no list")
    found = {item.check: item.message for item in examine_installation() if item.severity is Health.FAIL}
    assert found["airflow"].startswith("Airflow does not start: ")


def test_the_expected_dag_files_are_those_that_exist() -> None:
    assert set(DAG_FILES) == {path.stem for path in (PROJECT / "dags").glob("*.py")}
