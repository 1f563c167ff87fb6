from pathlib import Path

import pytest

from tidemill.errors import StackError
from tidemill.postgres.passwords import create_password, passfile, password


def test_passwords_of_two_roles_differ(tmp_path: Path) -> None:
    create_password(tmp_path, "airflow", "airflow")
    create_password(tmp_path, "mlflow", "mlflow")

    assert password(tmp_path, "airflow") != password(tmp_path, "mlflow")


def test_a_password_stays_the_same(tmp_path: Path) -> None:
    create_password(tmp_path, "airflow", "airflow")
    first = password(tmp_path, "airflow")
    create_password(tmp_path, "airflow", "airflow")

    assert password(tmp_path, "airflow") == first


def test_a_passfile_holds_for_every_port(tmp_path: Path) -> None:
    create_password(tmp_path, "airflow", "airflow")

    assert passfile(tmp_path, "airflow").read_text().startswith("127.0.0.1:*:airflow:airflow:")


def test_a_password_needs_no_escape_in_a_passfile(tmp_path: Path) -> None:
    for n in range(50):
        create_password(tmp_path, f"role{n}", "database")
        assert not set(password(tmp_path, f"role{n}")) & set(":\\\n")


def test_a_missing_password_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make up"):
        password(tmp_path, "airflow")
