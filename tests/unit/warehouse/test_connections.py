"""What a refused connection means to the caller: the same connection is refused again, or works later."""

import psycopg2
import pytest

from tidemill.errors import SettingsError, WarehouseUnavailable
from tidemill.warehouse.connections import transaction, translated

URL = "postgresql://tidemill_writer@warehouse:6432/warehouse"
FAILED = 'connection to server at "warehouse" (10.0.0.7), port 6432 failed: '


@pytest.mark.parametrize(
    "said",
    [
        "FATAL:  unsupported startup parameter: options",
        "FATAL:  unsupported startup parameter in options: search_path",
        "FATAL:  Feature not supported: RDS Proxy currently doesn't support command-line options.",
    ],
)
def test_a_pooler_that_refuses_the_session_is_no_passing_problem(said: str) -> None:
    pooler = "warehouse at warehouse:6432 is a connection pooler"
    with pytest.raises(SettingsError, match=pooler) as refused, translated(URL):
        raise psycopg2.OperationalError(FAILED + said)
    assert "Connect to Postgres itself" in refused.value.next_step


@pytest.mark.parametrize(
    "said",
    [
        'FATAL:  database "warehous" does not exist',
        'FATAL:  role "tidemill_writter" does not exist',
        'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "tidemill_writer", database "warehouse", no encryption',
        'FATAL:  role "tidemill_owner" is not permitted to log in',
        'FATAL:  unrecognized configuration parameter "statment_timeout"',
        'FATAL:  password authentication failed for user "tidemill_writer"',
        "FATAL:  no such user: tidemill_writer",
        "FATAL:  Tenant or user not found",
        "server does not support SSL, but SSL was required",
        "SSL error: certificate verify failed",
    ],
)
def test_a_refused_login_is_no_passing_problem(said: str) -> None:
    with pytest.raises(SettingsError, match="refuses the login"), translated(URL):
        raise psycopg2.OperationalError(FAILED + said)


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=banana",
        "port=abc",
        "port=99999999",
        "target_session_attrs=banana",
        "channel_binding=banana",
        "service=nosuch",
    ],
)
def test_an_option_that_libpq_refuses_before_it_connects_is_no_passing_problem(options: str) -> None:
    url = f"postgresql:///?host=127.0.0.1&{options}"
    with pytest.raises(SettingsError, match="Check the connection's"), transaction(url):
        pass


@pytest.mark.parametrize(
    "said",
    [
        "Connection refused",
        "timeout expired",
        "FATAL:  the database system is starting up",
        "FATAL:  sorry, too many clients already",
        "FATAL:  server login has been failing, try again later (server_login_retry)",
        "server closed the connection unexpectedly",
        "could not translate host name: Temporary failure in name resolution",
    ],
)
def test_what_may_work_later_is_tried_again(said: str) -> None:
    with pytest.raises(WarehouseUnavailable), translated(URL):
        raise psycopg2.OperationalError(FAILED + said)


def test_a_value_that_no_database_holds_is_refused_with_a_message() -> None:
    with pytest.raises(SettingsError, match=r"'a\\ud800' holds half of a surrogate pair"), translated(URL):
        "a\ud800".encode()
    with pytest.raises(SettingsError, match="NUL character"), translated(URL):
        raise ValueError("A string literal cannot contain NUL (0x00) characters.")
    with pytest.raises(ValueError, match="another"), translated(URL):
        raise ValueError("another")
