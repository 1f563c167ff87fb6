"""Partitions without rows: refused by default, published and marked where the spec says so; never silently nothing."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.doctor.findings import Health
from tidemill.doctor.freshness import check_freshness
from tidemill.errors import ContractBroken, EmptyPartition
from tidemill.operations.backfill import Policy, backfill

from .conftest import Warehouse
from .data import EMPTY, LAST, SCORED, SPEC, Mill

PUBLISHING = SPEC + "predict: {on_empty: publish}\n"
MARK = "SELECT n_rows, empty FROM tidemill.published_partition WHERE model = '{m}' AND partition = %s"


@pytest.fixture
def tolerant(serving: Mill) -> Mill:
    """A small model with a champion that publishes what is empty; its source ends on the day before ``EMPTY``."""
    serving.write(spec=PUBLISHING)
    return serving


@pytest.fixture
def emptied(tolerant: Mill) -> Mill:
    tolerant.predict(EMPTY)
    return tolerant


def test_it_is_an_error_unless_the_spec_says_otherwise(serving: Mill) -> None:
    with pytest.raises(EmptyPartition, match=r"returned no row .* 'predict: \{on_empty: publish\}'"):
        serving.predict(EMPTY)


def test_training_on_nothing_stays_an_error(tolerant: Mill) -> None:
    tolerant.sql("DELETE FROM {t}")
    with pytest.raises(EmptyPartition):
        tolerant.train()


def test_it_is_published_and_marked(emptied: Mill) -> None:
    assert emptied.sql(MARK, EMPTY) == [(0, True)]


def test_partition_with_rows_is_not_marked(tolerant: Mill) -> None:
    tolerant.predict(SCORED)
    ((_, empty),) = tolerant.sql(MARK, SCORED)
    assert empty is False


def test_readers_of_the_view_see_no_row(emptied: Mill) -> None:
    assert emptied.view(EMPTY) == []


def test_the_reader_s_role_may_see_the_mark(emptied: Mill, warehouse: Warehouse) -> None:
    query = MARK.replace("{m}", emptied.model).replace("%s", f"'{EMPTY}'")
    assert warehouse.rows(query, "tidemill_reader") == [(0, True)]


def test_the_audit_says_that_nothing_was_published(emptied: Mill) -> None:
    ((details,),) = emptied.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'publish'")
    assert (details["partition"], details["n_rows"]) == (EMPTY, 0)


def test_rows_that_arrive_later_replace_it(emptied: Mill) -> None:
    emptied.sql("UPDATE {t} SET shipped_at = shipped_at + interval '1 day' WHERE parcel_id LIKE '20240330-%%'")
    emptied.predict(EMPTY)
    assert len(emptied.view(EMPTY)) == 60
    assert emptied.statuses(EMPTY) == ["superseded", "published"]


def test_what_was_published_is_replaced_by_nothing_if_the_source_has_lost_it(tolerant: Mill) -> None:
    tolerant.predict(SCORED)
    tolerant.sql("DELETE FROM {t} WHERE parcel_id LIKE '20240325-%%'")
    tolerant.predict(SCORED)
    assert tolerant.sql(MARK, SCORED) == [(0, True)]
    assert tolerant.statuses(SCORED) == ["superseded", "published"]


# --- the contract


def test_what_columns_hold_is_not_asked_of_no_rows(tolerant: Mill) -> None:
    tolerant.write(
        spec=PUBLISHING
        + "contract:\n  - expect_column_mean_to_be_between: {column: wind_ms, min_value: -1, max_value: 1}\n"
    )
    tolerant.predict(EMPTY)
    assert tolerant.sql(MARK, EMPTY) == [(0, True)]


def test_a_contract_that_wants_rows_is_broken_by_none(tolerant: Mill) -> None:
    tolerant.write(spec=PUBLISHING + "contract:\n  - expect_table_row_count_to_be_between: {min_value: 1}\n")
    with pytest.raises(ContractBroken, match="row_count"):
        tolerant.predict(EMPTY)


# --- backfill and the command line


def test_backfill_goes_on_over_it_and_says_so(tolerant: Mill) -> None:
    done = backfill(tolerant.spec, LAST, EMPTY, tolerant.workspace, policy=Policy.parse("live_then"))
    assert (done.scored, done.empty, done.failed) == ((LAST, EMPTY), (EMPTY,), ())


def test_backfill_that_is_run_again_leaves_it_alone(emptied: Mill) -> None:
    done = backfill(emptied.spec, EMPTY, EMPTY, emptied.workspace, policy=Policy.parse("live_then"))
    assert (done.scored, done.present) == ((), (EMPTY,))


def test_backfill_names_it_as_failed_by_default(serving: Mill) -> None:
    done = backfill(serving.spec, LAST, EMPTY, serving.workspace, policy=Policy.parse("live_then"))
    assert [key for key, _ in done.failed] == [EMPTY]


def tell(mill: Mill, *arguments: str) -> str:
    answer = CliRunner().invoke(app, [*arguments], env=mill.environment, catch_exceptions=False)
    return " ".join(answer.output.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("predict", "{m}", "--partition", EMPTY), f"Partition {EMPTY} has no rows: it is published as empty."),
        (("predict", "{m}", "--from", LAST, "--to", EMPTY), "Of those scored, 1 had no rows"),
    ],
)
def test_the_command_line_says_that_it_was_empty(tolerant: Mill, arguments: tuple[str, ...], said: str) -> None:
    assert said in tell(tolerant, *(word.replace("{m}", tolerant.model) for word in arguments))


def test_history_tells_of_it(emptied: Mill) -> None:
    assert f"1 of them had no rows and are published as empty, the newest {EMPTY}" in tell(
        emptied, "history", emptied.model
    )


def test_history_outlives_the_spec(emptied: Mill) -> None:
    (emptied.workspace.models / f"{emptied.model}.yaml").unlink()
    assert "1 of them had no rows" in tell(emptied, "history", emptied.model)
    emptied.write()


# --- watching it


@pytest.fixture
def watched(tolerant: Mill) -> tuple[Mill, dict[str, dict[str, Any]]]:
    tolerant.predict(LAST)
    tolerant.predict(EMPTY)
    return tolerant, tolerant.monitor(EMPTY)


def test_monitoring_finds_nothing_to_measure_and_says_so(watched: tuple[Mill, dict[str, dict[str, Any]]]) -> None:
    mill, records = watched
    page = (Path(mill.workspace.storage) / records["report"]["uri"] / "index.html").read_text()
    assert records["drift"]["empty"]
    assert f"Empty: {mill.model} had nothing to score." in page


def test_alerts_about_data_stay_open_over_it(tolerant: Mill) -> None:
    tolerant.write(spec=PUBLISHING.replace("last: 2024-03-31", "last: 2024-04-30"))
    tolerant.sql("UPDATE {t} SET distance_km = distance_km * 10 + 30 WHERE parcel_id LIKE '20240330-%%'")
    for day in (LAST, EMPTY, "2024-04-01", "2024-04-02", "2024-04-03"):  # long enough to resolve it, were they quiet
        tolerant.predict(day)
        tolerant.monitor(day)
    assert tolerant.sql("SELECT status FROM tidemill.alert WHERE model = '{m}' AND rule = 'break:distance_km'") == [
        ("open",)
    ]


def test_its_labels_are_not_waited_for(emptied: Mill) -> None:
    emptied.write(spec=PUBLISHING.replace("last: 2024-03-31", "last: 2024-04-30"))
    emptied.sql("UPDATE {t} SET shipped_at = '2024-04-05 12:00Z' WHERE parcel_id LIKE '20240330-%%'")
    emptied.predict("2024-04-05")
    assert emptied.step("monitor", "collect", "2024-04-05")["matured"] == []


def test_it_counts_as_fresh(emptied: Mill) -> None:
    at = emptied.spec.partition(EMPTY).cutoff.replace(hour=15)
    found = check_freshness(emptied.spec, {EMPTY: True}, True, at)
    assert (found.severity, found.message) == (Health.OK, f"The partition due, {EMPTY}, is published, empty.")


def test_a_week_of_them_is_worth_a_look(emptied: Mill) -> None:
    days = {f"2024-03-{day}": True for day in range(24, 32)}
    found = check_freshness(emptied.spec, days, True, emptied.spec.partition(EMPTY).cutoff.replace(hour=15))
    assert found.severity is Health.WARN
