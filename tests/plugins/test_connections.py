import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from tidemill.errors import SettingsError
from tidemill_airflow.connections import channel_url, connection_url

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


def test_one_connection_to_the_warehouse_serves_the_ledger_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://mill@host/warehouse")
    monkeypatch.setenv("AIRFLOW_CONN_TIDEMILL", "postgres://writer@host/warehouse")
    names = ("warehouse", "tidemill", "tidemill_promoter")
    assert [parse_dsn(connection_url(name))["user"] for name in names] == ["mill", "writer", "mill"]


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


def test_an_extra_of_a_hook_is_refused_by_its_name() -> None:
    with pytest.raises(SettingsError, match=r"'mine' has an extra .*\"cursor\"") as caught:
        parsed({"conn_type": "postgres", "host": "h", "password": "secret", "extra": {"cursor": "dictcursor"}})
    assert "secret" not in str(caught.value)


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


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        ({"conn_type": "fs", "extra": {"path": "/data/lake"}}, "file:///data/lake"),
        ("file:///data/lake", "file:///data/lake"),
        ({"conn_type": "s3", "host": "bucket", "schema": "a/b"}, "s3://bucket/a/b"),
        ("s3://bucket/a?endpoint=h%3A9000&scheme=http", "s3://bucket/a?endpoint=h%3A9000&scheme=http"),
    ],
)
def test_a_folder_or_bucket_becomes_its_address(connection: object, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", connection if isinstance(connection, str) else json.dumps(connection))
    assert connection_url("lake") == url


def test_a_missing_connection_says_where_to_add_it() -> None:
    with pytest.raises(SettingsError, match=r"no connection 'nobodys'.*AIRFLOW_CONN_NOBODYS"):
        connection_url("nobodys")


def channel(connection: dict[str, object] | None = None, **variables: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        if connection is not None:
            patch.setenv("AIRFLOW_CONN_POST", json.dumps(connection))
        for name, value in variables.items():
            patch.setenv(name, value)
        return channel_url("post")


def test_a_variable_counts_before_a_connection() -> None:
    assert channel({"conn_type": "smtp", "host": "h"}, TIDEMILL_ALERT_POST="ntfy://topic") == "ntfy://topic"


def test_a_mail_connection_becomes_a_mail_server() -> None:
    connection = {
        "conn_type": "smtp", "host": "mail.example.com", "port": 587, "login": "ann", "password": "p@ss/word",
        "extra": {"from_email": "a@example.com", "disable_ssl": True},
    }  # fmt: skip
    assert channel(connection) == "smtp://ann:p%40ss%2Fword@mail.example.com:587?from=a@example.com"


def test_a_mail_connection_without_more_is_tls_from_the_start() -> None:
    connection = {"conn_type": "smtp", "host": "mail.example.com", "extra": {"from_email": "a@example.com"}}
    assert channel(connection) == "smtps://mail.example.com?from=a@example.com"


@pytest.mark.parametrize("config", [{"path": "ntfy://topic"}, [{"path": "ntfy://topic"}], '{"path": "ntfy://topic"}'])
def test_an_apprise_connection_gives_its_path(config: object) -> None:
    assert channel({"conn_type": "apprise", "extra": {"config": config}}) == "ntfy://topic"


def test_a_slack_webhook_gives_its_url() -> None:
    connection = {"conn_type": "slackwebhook", "password": "T000/B000/XXX"}
    assert channel(connection) == "https://hooks.slack.com/services/T000/B000/XXX"


def test_a_connection_of_another_type_is_refused() -> None:
    with pytest.raises(SettingsError, match="expected 'smtp'"):
        channel({"conn_type": "postgres", "host": "h"})


def test_a_channel_that_nobody_has_set_up_says_what_to_set() -> None:
    with pytest.raises(SettingsError, match="TIDEMILL_ALERT_POST"):
        channel()
