"""Bulk reading: a query's rows arrive in Arrow as Postgres holds them, from one unchanging view of the source."""

import math
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from tidemill.errors import SchemaChanged, SettingsError, SpecError, TidemillError, WarehouseUnavailable
from tidemill.warehouse.connections import ConnectionPool, connect, kept_open, transaction
from tidemill.warehouse.model_queries import PARAMETERS, bind
from tidemill.warehouse.reading import copy_batches, describe, frozen_view

from .data import Mill

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
VALUES = dict.fromkeys(PARAMETERS, NOON)

TYPES = {
    "flag": "boolean", "small": "smallint", "number": "integer", "large": "bigint", "single": "real",
    "measure": "double precision", "exact": "numeric", "words": "text", "short": "varchar(80)", "day": "date",
    "moment": "timestamptz", "name": "uuid",
}  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.sampled_from(
    [
        "",
        " ",
        "NULL",
        "NaN",
        "t",
        '"',
        "'",
        "\\",
        "\\.",
        ",",
        "\n",
        "\r\n",
        "50%",
        "%s",
        ":end",
        "🚢",
        "-",
        "\\N",
        "é\u0301",
    ]
)
ROW = st.fixed_dictionaries(
    {
        "flag": st.none() | st.booleans(),
        "small": st.none() | st.integers(-(2**15), 2**15 - 1),
        "number": st.none() | st.integers(-(2**31), 2**31 - 1),
        "large": st.none() | st.integers(-(2**63), 2**63 - 1),
        "single": st.none() | st.floats(width=32),
        "measure": st.none() | st.floats(),
        "exact": st.none()
        | st.decimals(allow_infinity=False, min_value=-(10**30), max_value=10**30)
        | st.just(Decimal("NaN")),
        "words": st.none() | TEXT,
        "short": st.none() | TEXT,
        "day": st.none() | st.dates(),
        "moment": st.none() | st.datetimes(datetime(2, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001 - Hypothesis adds the zone
        "name": st.none() | st.uuids().map(str),
    }
)
CLOCKS_CHANGE = [datetime(2024, 11, 3, hour, 30, 0, 1, tzinfo=UTC) for hour in (4, 5, 6, 7)]


def read(url: str, query: str, order_by: str = "position", timeout_s: int = 30) -> pa.Table:
    bound = bind(query, "query.sql")
    with frozen_view(url, timeout_s) as cursor:
        columns = describe(cursor, bound, VALUES)
        with copy_batches(cursor, bound, VALUES, columns, order_by) as stream:
            batches = list(stream)
    return pa.Table.from_batches(batches, pa.schema([(column.name, column.arrow) for column in columns]))


def as_psycopg2(url: str, query: str) -> list[tuple[Any, ...]]:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def query_of(rows: list[dict[str, Any]]) -> str:
    """Write rows as a query, each value a literal as psycopg2 writes it."""
    casts = ", ".join(f"CAST(%s AS {kind})" for kind in TYPES.values())
    literals = [
        f"({position}, " + casts % tuple(_literal(row[name]) for name in TYPES) + ")"
        for position, row in enumerate(rows)
    ]
    return f"SELECT * FROM (VALUES {', '.join(literals)}) AS v (position, {', '.join(TYPES)})"


def _literal(value: object) -> str:
    quoted = psycopg2.extensions.adapt(value)
    if isinstance(value, str):
        quoted.encoding = "utf8"
    return quoted.getquoted().decode()


def same(found: object, expected: object) -> bool:
    if isinstance(expected, Decimal):
        expected = float(expected)
    if isinstance(expected, float) and isinstance(found, float):
        return found == expected or (math.isnan(found) and math.isnan(expected))
    return found == expected and type(found) is type(expected)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, min_size=1, max_size=5))
@example([dict.fromkeys(TYPES)])
@example([dict.fromkeys(TYPES) | {"moment": moment} for moment in CLOCKS_CHANGE])
def test_every_value_arrives_as_postgres_holds_it(warehouse: Any, rows: list[dict[str, Any]]) -> None:
    url, query = warehouse.url("tidemill_reader"), query_of(rows)
    expected = as_psycopg2(url, query)
    found = [tuple(row.values()) for row in read(url, query).to_pylist()]
    single = 1 + list(TYPES).index("single")
    for left, right in zip(found, expected, strict=True):
        right = tuple(  # psycopg2 gives a real's shortest text as a double
            float(np.float32(value)) if place == single and value is not None else value
            for place, value in enumerate(right)
        )
        assert all(same(a, b) for a, b in zip(left, right, strict=True)), (left, right)


def test_rows_come_in_the_order_of_the_key(warehouse: Any) -> None:
    query = "SELECT * FROM (VALUES (3, 'c'), (1, 'a'), (2, 'b')) AS v (position, letter)"
    assert read(warehouse.url("tidemill_reader"), query)["letter"].to_pylist() == ["a", "b", "c"]


def test_query_without_rows_gives_an_empty_table_with_its_columns(warehouse: Any) -> None:
    table = read(warehouse.url("tidemill_reader"), "SELECT 1 AS position, 'a'::text AS letter WHERE false")
    assert (table.num_rows, table.column_names) == (0, ["position", "letter"])


def test_result_larger_than_one_block_keeps_all_its_rows(warehouse: Any) -> None:
    query = "SELECT n AS position, repeat('x', 100) AS filler FROM generate_series(1, 60000) n"
    table = read(warehouse.url("tidemill_reader"), query)
    assert table["position"].to_pylist() == list(range(1, 60001))


def test_named_times_are_bound(warehouse: Any) -> None:
    table = read(warehouse.url("tidemill_reader"), "SELECT 1 AS position, CAST(:cutoff AS timestamptz) AS at")
    assert table["at"].to_pylist() == [NOON]


def test_query_may_end_in_a_semicolon_and_a_comment(warehouse: Any) -> None:
    table = read(warehouse.url("tidemill_reader"), "SELECT 1 AS position -- 100 % of it, :not_a_name\n;\n")
    assert table.num_rows == 1


def test_locale_of_the_shell_does_not_change_what_is_read(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    assert read(warehouse.url("tidemill_reader"), "SELECT 1 AS position, 'é'::text AS c")["c"].to_pylist() == ["é"]


# --- what is refused


@pytest.mark.parametrize(
    ("expression", "named"),
    [("now()::timestamp", "timestamp without time zone"), ("interval '1 day'", "interval"), ("'{}'::jsonb", "jsonb"),
     ("ARRAY[1]", "integer[]"), ("time '10:00'", "time without time zone"), ("'a'::bytea", "bytea")],
)  # fmt: skip
def test_type_without_a_faithful_column_is_refused_by_name(warehouse: Any, expression: str, named: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(warehouse.url("tidemill_reader"), f"SELECT 1 AS position, {expression} AS odd")
    assert f"column 'odd' has type {named}" in str(caught.value)


@pytest.mark.parametrize("type_", ["timestamptz", "date"])
@pytest.mark.parametrize("value", ["infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "294276-12-31"])
def test_time_that_no_calendar_of_four_digits_holds_is_refused_by_its_column(
    warehouse: Any, type_: str, value: str
) -> None:
    query = f"SELECT 1 AS position, NULL::{type_} AS none, {type_} '{value}' AS ends"
    with pytest.raises(SpecError, match=f"column 'ends' holds a {type_} that is infinite, before the year 1"):
        read(warehouse.url("tidemill_reader"), query)


@pytest.mark.parametrize("value", ["0001-01-01", "1969-12-31", "9999-12-31"])
def test_first_and_last_day_are_read(warehouse: Any, value: str) -> None:
    query = f"SELECT 1 AS position, date '{value}' AS day, timestamptz '{value} 00:00:00.000001+00' AS at"
    table = read(warehouse.url("tidemill_reader"), query)
    assert str(table["day"][0].as_py()) == value
    assert str(table["at"][0].as_py()) == f"{value} 00:00:00.000001+00:00"


def test_blanks_that_pad_a_char_are_not_read(warehouse: Any) -> None:
    query = "SELECT 1 AS position, 'ab '::char(9) AS padded, ' ab '::text AS plain"
    table = read(warehouse.url("tidemill_reader"), query)
    assert (table["padded"][0].as_py(), table["plain"][0].as_py()) == ("ab", " ab ")


def test_two_columns_of_one_name_are_refused_by_name(warehouse: Any) -> None:
    with pytest.raises(SpecError, match="column 'a' appears twice"):
        read(warehouse.url("tidemill_reader"), "SELECT 1 AS position, 2 AS a, 3 AS a")


def test_unknown_column_is_named_with_file_and_line(warehouse: Any, mill: Mill) -> None:
    with pytest.raises(SchemaChanged, match=r'query\.sql:2: column "wieght_kg" does not exist'):
        read(warehouse.url("tidemill_reader"), f"SELECT 1 AS position,\n  wieght_kg FROM shop.{mill.model}")


def test_line_is_counted_from_the_top_of_the_file(warehouse: Any, mill: Mill) -> None:
    with pytest.raises(SchemaChanged, match=r"query\.sql:4:"):
        read(warehouse.url("tidemill_reader"), f"\n\nSELECT 1 AS position,\n  wieght_kg FROM shop.{mill.model}")


def test_line_of_an_unknown_parameter_is_counted_from_the_top_of_the_file() -> None:
    with pytest.raises(SpecError, match=r"query\.sql:3:"):
        bind("\n\nSELECT :today", "query.sql")


def test_unknown_table_is_named(warehouse: Any) -> None:
    with pytest.raises(SchemaChanged, match=r'"shop\.nothing" does not exist'):
        read(warehouse.url("tidemill_reader"), "SELECT 1 AS position FROM shop.nothing")


def test_syntax_error_is_named_with_file_and_line(warehouse: Any) -> None:
    with pytest.raises(SpecError, match=r"query\.sql:2: syntax error"):
        read(warehouse.url("tidemill_reader"), "SELECT 1 AS position\nFORM x")


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("SELECT n AS position, 1 / (n - 1) AS ratio FROM generate_series(1, 2) n", id="division by zero"),
        pytest.param("SELECT 1 AS position, 'infinity'::timestamptz AS at", id="infinite timestamp"),
        pytest.param("SELECT 1 AS position, 'infinity'::date AS day", id="infinite date"),
        pytest.param("SELECT 1 AS position, date '0044-03-15 BC' AS day", id="date before Christ"),
        pytest.param("SELECT 1 AS position, nextval('shop.counter') AS n", id="query that writes"),
    ],
)
def test_failure_while_rows_are_read_is_one_of_our_errors(warehouse: Any, mill: Mill, query: str) -> None:
    mill.sql("CREATE SEQUENCE IF NOT EXISTS shop.counter; GRANT USAGE ON SEQUENCE shop.counter TO tidemill_reader")
    with pytest.raises(TidemillError, match=r"query\.sql"):
        read(warehouse.url("tidemill_reader"), query)


def test_options_of_the_connection_hold(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = warehouse.url("tidemill_reader")
    query = "SELECT 1 AS position, current_setting('work_mem') AS memory, current_setting('search_path') AS path"
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=11MB")
    (row,) = read(url, query).to_pylist()
    assert (row["memory"], row["path"]) == ("11MB", "")
    (row,) = read(
        f"{url}{'&' if '?' in url else '?'}options=-c%20work_mem%3D9MB%20-c%20search_path%3Dshop", query
    ).to_pylist()
    assert (row["memory"], row["path"]) == ("9MB", "")


@pytest.mark.parametrize("place", ["PGSERVICEFILE", "PGSYSCONFDIR"])
def test_options_of_a_service_hold(warehouse: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    login = parse_dsn(warehouse.url("tidemill_reader")) | {"options": "-c work_mem=13MB -c search_path=shop"}
    lines = ["# services", "[other]", "options=-c work_mem=7MB", "", "[parcels]"]
    file = tmp_path / "pg_service.conf"
    file.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in login.items())]), encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path / "empty"))
    monkeypatch.setenv(place, str(file if place == "PGSERVICEFILE" else tmp_path))
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=11MB")
    query = "SELECT 1 AS position, current_setting('work_mem') AS memory, current_setting('search_path') AS path"
    (row,) = read("postgresql:///?service=parcels", query).to_pylist()
    assert (row["memory"], row["path"]) == ("13MB", "")


def test_query_that_takes_too_long_is_one_of_our_errors(warehouse: Any) -> None:
    with pytest.raises(TidemillError, match=r"1 s|timeout"):
        read(warehouse.url("tidemill_reader"), "SELECT 1 AS position, pg_sleep(20)::text AS p", timeout_s=1)


def test_table_that_the_reader_may_not_see_asks_for_a_grant(warehouse: Any, mill: Mill) -> None:
    mill.sql("REVOKE SELECT ON {t} FROM tidemill_reader")
    with pytest.raises(TidemillError, match=r"(?i)grant"):
        read(warehouse.url("tidemill_reader"), f"SELECT 1 AS position, carrier FROM shop.{mill.model}")


# --- while it arrives


MANY = "SELECT n AS position, repeat('x', 1000) AS filler FROM generate_series(1, {}) n"


def first_batch(url: str, query: str) -> pa.RecordBatch:
    """Read the first batch, and give up; whatever is done with a batch may fail."""
    bound = bind(query, "query.sql")
    with frozen_view(url, 60) as cursor:
        columns = describe(cursor, bound, VALUES)
        with copy_batches(cursor, bound, VALUES, columns, "position") as batches:
            return next(batches)


def test_whoever_wants_no_more_ends_the_query(warehouse: Any) -> None:
    with kept_open():
        assert first_batch(warehouse.url("tidemill_reader"), MANY.format(200_000))["position"][0].as_py() == 1
        assert read(warehouse.url("tidemill_reader"), MANY.format(3)).num_rows == 3  # on the same connection


def test_a_kept_connection_that_the_server_has_ended_is_replaced(warehouse: Any) -> None:
    url = warehouse.url("tidemill_writer")
    with kept_open():
        with transaction(url) as cursor:
            first = cursor.connection
            cursor.execute("SELECT pg_backend_pid()")
            ((session,),) = cursor.fetchall()
        with transaction(url) as cursor:
            assert cursor.connection is first
        ended = f"SELECT pg_terminate_backend({session}, 10000)"  # waits for the session's end
        assert warehouse.rows(ended, role="tidemill_writer") == [(True,)]
        with transaction(url) as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            ((another,),) = cursor.fetchall()
            assert (another != session, bool(first.closed)) == (True, True)


def test_a_pool_lends_a_connection_to_one_block_at_a_time_and_replaces_a_lost_one(warehouse: Any) -> None:
    url = warehouse.url("tidemill_writer")
    pool = ConnectionPool(max_idle=1)

    def session() -> int:
        with transaction(url) as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchall()[0][0])

    with pool.borrowed():
        first = session()
    with pool.borrowed():
        assert session() == first
        with pool.borrowed():
            assert session() != first
    ended = f"SELECT pg_terminate_backend({first}, 10000)"
    warehouse.rows(ended, role="tidemill_writer")
    with pool.borrowed():
        assert session() != first


def test_no_thread_is_left_of_what_was_not_read(warehouse: Any) -> None:
    first_batch(warehouse.url("tidemill_reader"), MANY.format(200_000))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("copy")] == []


def test_a_query_that_fails_after_many_rows_is_reported_in_the_servers_words(warehouse: Any) -> None:
    query = "SELECT n AS position, 1 / (200000 - n) AS inverse FROM generate_series(1, 200000) n"
    with pytest.raises(SpecError, match="division by zero"):
        read(warehouse.url("tidemill_reader"), query)


# --- one view


def test_change_between_two_queries_is_not_seen(warehouse: Any, mill: Mill) -> None:
    query = bind(f"SELECT parcel_id, carrier FROM shop.{mill.model}", "query.sql")
    with frozen_view(warehouse.url("tidemill_reader"), 30) as cursor:
        columns = describe(cursor, query, VALUES)
        with copy_batches(cursor, query, VALUES, columns, "parcel_id") as batches:
            before = list(batches)
        mill.sql("UPDATE {t} SET carrier = 'Z'")
        with copy_batches(cursor, query, VALUES, columns, "parcel_id") as batches:
            assert list(batches) == before


def test_view_cannot_write(warehouse: Any, mill: Mill) -> None:
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction), frozen_view(mill.owner_url, 30) as cursor:
        cursor.execute(f"DELETE FROM shop.{mill.model}")


def test_name_without_its_schema_is_not_found(warehouse: Any) -> None:
    with pytest.raises(SchemaChanged), connect(warehouse.url("tidemill_owner")) as connection:
        connection.cursor().execute("SELECT * FROM tidemill_migration")  # of the schema public


# --- connections


def test_server_that_is_not_there_may_be_tried_again() -> None:
    with pytest.raises(WarehouseUnavailable), connect("postgresql://tidemill_reader@127.0.0.1:1/warehouse"):
        pass


def test_wrong_password_is_a_setting(warehouse: Any) -> None:
    url = f"postgresql://tidemill_reader:wrong@127.0.0.1:{warehouse.port}/warehouse"
    with pytest.raises(SettingsError), connect(url):
        pass


def test_missing_password_file_is_a_setting(warehouse: Any) -> None:
    url = f"postgresql://tidemill_reader@127.0.0.1:{warehouse.port}/warehouse?passfile=/nowhere"
    with pytest.raises(SettingsError), connect(url):
        pass


def test_malformed_url_is_a_setting_and_its_password_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught, connect("postgresql//reader:hunter2@localhost/warehouse"):
        pass
    assert "hunter2" not in str(caught.value)


def test_killed_session_may_be_tried_again(warehouse: Any, mill: Mill) -> None:
    with pytest.raises(WarehouseUnavailable), connect(mill.owner_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_lock_that_is_not_free_may_be_tried_again(mill: Mill) -> None:
    def wait_for_the_table() -> None:
        with connect(mill.owner_url) as connection, connection, connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = 50; LOCK TABLE shop.{mill.model}")

    with connect(mill.owner_url) as other, other, other.cursor() as holder:
        holder.execute(f"LOCK TABLE shop.{mill.model}")
        with pytest.raises(WarehouseUnavailable):
            wait_for_the_table()


def test_dates_of_the_source_stay_dates(warehouse: Any) -> None:
    assert read(warehouse.url("tidemill_reader"), "SELECT 1 AS position, date '2024-02-29' AS day")[
        "day"
    ].to_pylist() == [date(2024, 2, 29)]
