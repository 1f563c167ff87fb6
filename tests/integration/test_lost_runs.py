"""Lost steps: which are ended and closed, and which are left alone."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg2
import pytest

from tidemill.errors import WarehouseUnavailable
from tidemill.warehouse.connections import transaction
from tidemill.warehouse.lost_runs import LostRun, close_lost_runs, lost_runs

from .conftest import Warehouse
from .data import Mill

GONE = "elsewhere:7:0000ff"
NOW = timedelta(0)


@contextmanager
def session(warehouse: Warehouse, role: str, name: str) -> Iterator[psycopg2.extensions.connection]:
    with closing(psycopg2.connect(warehouse.url(role), application_name=name)) as connection:
        connection.autocommit = True
        yield connection


def lives(connection: psycopg2.extensions.connection) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.OperationalError:
        return False
    return True


@pytest.fixture
def run_id(mill: Mill) -> int:
    """A step of another process, started an hour ago."""
    run_id = mill.start_run()
    mill.sql(
        "UPDATE tidemill.run SET process = %s, started_at = now() - interval '1 hour' WHERE run_id = %s", GONE, run_id
    )
    return run_id


def lost(warehouse: Warehouse, mill: Mill, frozen_after: timedelta = NOW) -> list[int]:
    with transaction(warehouse.url("tidemill_writer")) as cursor:
        return [run.run_id for run in lost_runs(cursor, mill.model, frozen_after=frozen_after)]


def close(warehouse: Warehouse, mill: Mill) -> tuple[LostRun, ...]:
    others = [warehouse.url("tidemill_reader"), warehouse.url("tidemill_promoter")]
    return close_lost_runs(warehouse.url("tidemill_writer"), others, mill.model, frozen_after=NOW)


def test_step_without_a_session_is_lost(warehouse: Warehouse, mill: Mill, run_id: int) -> None:
    assert lost(warehouse, mill) == [run_id]


def test_step_that_has_only_just_begun_is_not(warehouse: Warehouse, mill: Mill, run_id: int) -> None:
    mill.sql("UPDATE tidemill.run SET started_at = now() WHERE run_id = %s", run_id)
    assert lost(warehouse, mill) == []


def test_step_that_has_given_a_sign_and_has_no_session_is_lost_at_once(
    warehouse: Warehouse, mill: Mill, run_id: int
) -> None:
    mill.sql("UPDATE tidemill.run SET started_at = now(), peak_rss_bytes = 1 WHERE run_id = %s", run_id)
    assert lost(warehouse, mill) == [run_id]


def test_step_whose_session_spoke_not_long_ago_is_not(warehouse: Warehouse, mill: Mill, run_id: int) -> None:
    with session(warehouse, "tidemill_writer", f"tidemill-pulse {GONE}"):
        assert lost(warehouse, mill, timedelta(minutes=1)) == []
        assert lost(warehouse, mill, NOW) == [run_id]


def test_step_that_the_server_works_for_is_not(warehouse: Warehouse, mill: Mill, run_id: int) -> None:
    with session(warehouse, "tidemill_writer", f"tidemill {GONE}") as asking, asking.cursor() as cursor:
        found = lost_runs(cursor, mill.model, frozen_after=timedelta(milliseconds=1))  # it executes while it asks
    assert [run.run_id for run in found] == []


def test_only_the_sessions_of_a_lost_process_are_ended(warehouse: Warehouse, mill: Mill, run_id: int) -> None:
    names = [f"tidemill-predict {GONE}", f"tidemill-pulse {GONE}"]
    with (
        session(warehouse, "tidemill_writer", names[0]) as copying,
        session(warehouse, "tidemill_writer", names[1]) as pulse,
        session(warehouse, "tidemill_reader", f"tidemill {GONE}") as reading,
        session(warehouse, "tidemill_writer", "tidemill other:8:0000aa") as neighbour,
        session(warehouse, "tidemill_reader", f"psql {GONE}") as analyst,
        session(warehouse, "tidemill_owner", f"tidemill {GONE}") as owner,
    ):
        (run,) = close(warehouse, mill)
        assert [lives(item) for item in (copying, pulse, reading)] == [False, False, False]
        assert [lives(item) for item in (neighbour, analyst, owner)] == [True, True, True]
    assert run.run_id == run_id
    ((roles,),) = mill.sql(
        "SELECT jsonb_path_query_array(details, '$.sessions[*].role') FROM tidemill.audit"
        " WHERE model = '{m}' AND event = 'close_run'"
    )
    assert sorted(roles) == ["tidemill_reader", "tidemill_writer", "tidemill_writer"]


def test_an_unreachable_source_does_not_prevent_closing(warehouse: Warehouse, mill: Mill, run_id: int) -> None:
    nowhere = "postgresql://tidemill_reader@127.0.0.1:1/warehouse"
    closed = close_lost_runs(warehouse.url("tidemill_writer"), [nowhere], mill.model)
    assert [run.run_id for run in closed] == [run_id]


def test_a_ledger_that_is_away_is_an_error(mill: Mill) -> None:
    with pytest.raises(WarehouseUnavailable):
        close_lost_runs("postgresql://tidemill_writer@127.0.0.1:1/warehouse", model=mill.model)


def test_a_step_that_ends_after_all_has_the_last_word(warehouse: Warehouse, mill: Mill, run_id: int) -> None:
    close(warehouse, mill)
    mill.sql("UPDATE tidemill.run SET status = 'succeeded', error = NULL WHERE run_id = %s", run_id)
    assert close(warehouse, mill) == ()


def test_no_time_is_negative(mill: Mill, run_id: int) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        mill.sql("UPDATE tidemill.run SET wall_s = -1 WHERE run_id = %s", run_id)
