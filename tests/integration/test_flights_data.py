"""The example's data in a real Postgres, and the two queries on it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor

from tidemill.warehouse.model_queries import bind
from tidemill_examples.flights import load_flights

SQL = Path(__file__).parents[2] / "sql" / "flight_delays"


def _nothing(table: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def cursor(flights_url: str) -> Iterator[Cursor]:
    """Whatever a test does with it is rolled back."""
    connection = psycopg2.connect(flights_url)
    try:
        yield connection.cursor()
    finally:
        connection.rollback()
        connection.close()


def ask(cursor: Cursor, query: str, values: Any = None) -> list[tuple[Any, ...]]:
    cursor.execute(query, values)
    return cursor.fetchall()


def values_of(key: str) -> dict[str, datetime]:
    """Return a day of New York as an interval, and its 05:00 as the cutoff."""
    midnight = datetime.fromisoformat(key).replace(tzinfo=ZoneInfo("America/New_York"))
    cutoff, end = midnight + timedelta(hours=5), midnight + timedelta(days=1)  # on the wall clock, as the zone is kept
    return {"start": midnight, "end": end, "cutoff": cutoff}


def run(cursor: Cursor, name: str, key: str, **changed: Any) -> list[tuple[Any, ...]]:
    return ask(cursor, bind((SQL / name).read_text(), name), values_of(key) | changed)


# --- the tables


def test_every_flight_is_loaded_once(cursor: Cursor) -> None:
    assert ask(cursor, "SELECT count(*), count(DISTINCT flight_id) FROM raw.flights") == [(336_776, 336_776)]


def test_flight_id_says_which_flight_it_is(cursor: Cursor) -> None:
    found = ask(cursor, "SELECT carrier, flight, dest FROM raw.flights WHERE flight_id = '2013-01-01-UA1545-EWR-0515'")
    assert found == [("UA", 1545, "IAH")]


def test_second_load_writes_nothing(flights_url: str) -> None:
    assert load_flights(flights_url, _nothing) == {}


def test_second_load_leaves_the_note_of_the_first(flights_url: str, cursor: Cursor) -> None:
    before = ask(cursor, "SELECT * FROM raw.load")
    load_flights(flights_url, _nothing)
    assert ask(cursor, "SELECT * FROM raw.load") == before


def test_load_broken_off_half_way_leaves_what_was_there(flights_url: str) -> None:
    def break_off(table: str, done: int, total: int) -> None:
        if table == "flights" and done > total // 2:
            raise KeyboardInterrupt

    with psycopg2.connect(flights_url) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE raw.load SET digest = 'another'")
    with pytest.raises(KeyboardInterrupt):
        load_flights(flights_url, break_off)
    with psycopg2.connect(flights_url) as connection, connection.cursor() as cursor:
        left = ask(cursor, "SELECT count(*), (SELECT digest FROM raw.load) FROM raw.flights")
    load_flights(flights_url, _nothing)
    assert left == [(336_776, "another")]


def test_reader_may_read_after_loading(flights_url: str, warehouse: Any) -> None:
    assert warehouse.rows("SELECT count(*) FROM raw.weather", "tidemill_reader") == [(26_115,)]


def test_every_table_and_column_is_explained(cursor: Cursor) -> None:
    unexplained = ask(
        cursor,
        """
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'raw'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
          AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)
        """,
    )
    assert unexplained == []


def test_arrival_is_on_the_clock_of_the_destination(cursor: Cursor) -> None:
    # The file says 08:19 for this flight to Houston, which is 09:19 in New York.
    query = "SELECT to_char(scheduled_arrival AT TIME ZONE %s, 'HH24:MI') FROM raw.flights WHERE flight_id = %s"
    assert ask(cursor, query, ("America/New_York", "2013-01-01-UA1545-EWR-0515")) == [("09:19",)]


def test_scheduled_duration_is_a_flight_and_never_a_time_zone_too_long(cursor: Cursor) -> None:
    # On the ground at both ends: half an hour is usual, and no destination's median is over 50 minutes.
    wrong = ask(
        cursor,
        """
        SELECT dest FROM (
            SELECT dest, percentile_cont(0.5) WITHIN GROUP (
                ORDER BY EXTRACT(epoch FROM scheduled_arrival - scheduled_departure) / 60 - air_time) AS ground
            FROM raw.flights WHERE air_time IS NOT NULL GROUP BY dest) AS by_dest
        WHERE ground NOT BETWEEN 20 AND 50
        """,
    )
    assert wrong == []


@pytest.mark.parametrize(("island", "n_flights"), [("SJU", 5819), ("BQN", 896), ("STT", 522), ("PSE", 365)])
def test_destinations_without_an_airport_row_are_loaded(cursor: Cursor, island: str, n_flights: int) -> None:
    assert ask(cursor, "SELECT count(*) FROM raw.flights WHERE dest = %s", (island,)) == [(n_flights,)]


def test_outcome_is_known_when_the_flight_arrives(cursor: Cursor) -> None:
    wrong = "outcome_known_at IS DISTINCT FROM actual_arrival OR departure_known_at IS DISTINCT FROM actual_departure"
    assert ask(cursor, f"SELECT count(*) FROM raw.flights WHERE {wrong}") == [(0,)]


def test_delays_are_what_the_instants_say(cursor: Cursor) -> None:
    wrong = """
        EXTRACT(epoch FROM actual_arrival - scheduled_arrival) / 60 <> arr_delay
        OR EXTRACT(epoch FROM actual_departure - scheduled_departure) / 60 <> dep_delay
    """
    assert ask(cursor, f"SELECT count(*) FROM raw.flights WHERE {wrong}") == [(0,)]


def test_cancelled_and_diverted_flights_have_no_outcome(cursor: Cursor) -> None:
    query = """
        SELECT count(*) FILTER (WHERE cancelled), count(*) FILTER (WHERE diverted), count(outcome_known_at)
        FROM raw.flights WHERE cancelled OR diverted
    """
    assert ask(cursor, query) == [(8_255, 1_175, 0)]


def test_autumn_night_has_the_hour_that_came_twice(cursor: Cursor) -> None:
    query = """
        SELECT count(*) FROM raw.weather
        WHERE origin = 'JFK' AND observed_at >= '2013-11-03 01:00-04' AND observed_at < '2013-11-03 02:00-05'
    """
    assert ask(cursor, query) == [(2,)]


def test_weather_is_known_when_its_hour_is_over(cursor: Cursor) -> None:
    assert ask(cursor, "SELECT DISTINCT known_at - observed_at FROM raw.weather") == [(timedelta(hours=1),)]


# --- the queries


@pytest.mark.parametrize(
    ("key", "n_flights"),
    [("2013-07-01", 966), ("2013-03-10", 908), ("2013-11-03", 902), ("2013-01-01", 842), ("2013-12-31", 776)],
)
def test_features_have_a_row_for_every_flight_of_the_day(cursor: Cursor, key: str, n_flights: int) -> None:
    rows = run(cursor, "features.sql", key)
    assert len(rows) == len({row[0] for row in rows}) == n_flights


def test_flight_id_names_the_local_day_of_its_partition(cursor: Cursor) -> None:
    local_day = "to_char(scheduled_departure AT TIME ZONE 'America/New_York', 'YYYY-MM-DD')"
    assert ask(cursor, f"SELECT count(*) FROM raw.flights WHERE left(flight_id, 10) <> {local_day}") == [(0,)]


def test_features_are_the_same_in_every_time_zone(cursor: Cursor) -> None:
    cursor.execute("SET LOCAL TimeZone = 'UTC'")
    in_utc = run(cursor, "features.sql", "2013-03-12")
    cursor.execute("SET LOCAL TimeZone = 'America/New_York'")
    assert run(cursor, "features.sql", "2013-03-12") == in_utc


def test_features_are_numbers_or_text(cursor: Cursor) -> None:
    run(cursor, "features.sql", "2013-07-01")
    codes = [column.type_code for column in cursor.description[2:]]
    types = ask(cursor, "SELECT DISTINCT typname::text FROM pg_type WHERE oid = ANY(%s)", (codes,))
    assert {name for (name,) in types} == {"float8", "int4", "text"}


@pytest.mark.parametrize("key", ["2013-07-01", "2013-11-03", "2013-12-30"])
def test_features_do_not_read_the_future(cursor: Cursor, key: str) -> None:
    before = run(cursor, "features.sql", key)
    cutoff = {"cutoff": values_of(key)["cutoff"]}
    cursor.execute(FALSIFY_WHAT_CAME_LATER, cutoff)
    assert run(cursor, "features.sql", key) == before


def test_features_do_read_the_past(cursor: Cursor) -> None:
    before = run(cursor, "features.sql", "2013-07-01")
    cursor.execute("UPDATE raw.flights SET arr_delay = 999 WHERE flight_id LIKE '2013-06-30-UA%%-EWR-0%%'")
    assert run(cursor, "features.sql", "2013-07-01") != before


def test_labels_are_those_known_when_asked(cursor: Cursor) -> None:
    asked_at = values_of("2013-07-02")["cutoff"]
    labels = run(cursor, "labels.sql", "2013-07-01", cutoff=asked_at)
    assert max(observed_at for _, _, observed_at in labels) <= asked_at


def test_no_label_is_known_before_the_day_begins(cursor: Cursor) -> None:
    assert run(cursor, "labels.sql", "2013-07-01", cutoff=values_of("2013-07-01")["start"]) == []


def test_label_is_an_arrival_over_15_minutes_late(cursor: Cursor) -> None:
    labels = run(cursor, "labels.sql", "2013-07-01", cutoff=values_of("2013-07-03")["cutoff"])
    delays = dict(ask(cursor, "SELECT flight_id, arr_delay FROM raw.flights WHERE flight_id LIKE '2013-07-01%%'"))
    assert all(late == (delays[flight_id] > 15) for flight_id, late, _ in labels)


# Cancelled flights leave after all, diverted ones arrive; everything that was still to come comes out differently.
FALSIFY_WHAT_CAME_LATER = """
    UPDATE raw.flights SET
        cancelled = NOT cancelled, diverted = NOT diverted,
        arr_delay = 500 - coalesce(arr_delay, 0), air_time = 1, actual_arrival = %(cutoff)s,
        outcome_known_at = coalesce(outcome_known_at, %(cutoff)s) + interval '1 hour'
    WHERE outcome_known_at IS NULL OR outcome_known_at > %(cutoff)s;
    UPDATE raw.flights SET
        dep_delay = 777, actual_departure = %(cutoff)s,
        departure_known_at = coalesce(departure_known_at, %(cutoff)s) + interval '1 hour'
    WHERE departure_known_at IS NULL OR departure_known_at > %(cutoff)s;
    UPDATE raw.weather SET
        temp = -temp, dewp = 1, humid = 2, wind_dir = 3, wind_speed = 4, wind_gust = 5,
        precip = 6, pressure = 7, visib = 8
    WHERE known_at > %(cutoff)s;
"""
