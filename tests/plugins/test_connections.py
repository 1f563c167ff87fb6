import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from tidemill.errors import SettingsError
from tidemill_airflow.connections import connection_url

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


def parsed(url: str | dict[str, object]) -> dict[str, str]:
    """What libpq reads from the URL for an Airflow connection."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_MINE", url if isinstance(url, str) else json.dumps(url))
        return parse_dsn(connection_url("mine"))


def test_a_connection_gives_host_port_database_and_user() -> None:
    assert parsed("postgres://reader@127.0.0.1:5433/warehouse") == {
        "host": "127.0.0.1",
        "port": "5433",
        "dbname": "warehouse",
        "user": "reader",
    }


def test_postgresql_is_another_word_for_postgres() -> None:
    assert parsed("postgresql://reader@host/warehouse")["dbname"] == "warehouse"


def test_the_password_file_arrives() -> None:
    assert (
        parsed("postgres://reader@host/warehouse?passfile=%2Fa%20b%2Freader.pgpass")["passfile"] == "/a b/reader.pgpass"
    )


def test_extras_become_parameters_of_libpq() -> None:
    extra = {"sslmode": "verify-full", "connect_timeout": 5}
    assert parsed({"conn_type": "postgres", "host": "h", "extra": extra}) == {
        "host": "h",
        "sslmode": "verify-full",
        "connect_timeout": "5",
    }


def test_a_socket_folder_is_a_host() -> None:
    assert parsed({"conn_type": "postgres", "host": "/run/postgres"})["host"] == "/run/postgres"


@given(password=TEXT)
def test_any_password_arrives_as_it_is(password: str) -> None:
    assert parsed({"conn_type": "postgres", "host": "h", "password": password})["password"] == password


@given(password=TEXT)
def test_any_password_arrives_from_a_url(password: str) -> None:
    assert parsed(f"postgres://reader:{quote(password, safe='')}@h/warehouse")["password"] == password


@pytest.mark.parametrize("url", ["mysql://u@h/d", "http://host", "sqlite:///x"])
def test_another_type_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match=r"'mine' is of type '\w+', expected 'postgres'"):
        parsed(url)


def test_a_missing_connection_says_where_to_add_it() -> None:
    with pytest.raises(SettingsError, match=r"no connection 'nobodys'.*AIRFLOW_CONN_NOBODYS"):
        connection_url("nobodys")
