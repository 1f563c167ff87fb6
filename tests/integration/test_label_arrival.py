"""Labels as they arrive, and realised quality by slice: what is recorded, shown, and kept apart."""

from collections.abc import Callable
from typing import Any

import pytest

from .data import PER_DAY, Mill

DAYS = [f"2024-03-{day}" for day in range(24, 30)]
LAST = DAYS[-1]  # as of its cutoff, at 5:00, 24 to 27 March have matured, the 28th has ended
LATE, NEWEST = "2024-03-26", "2024-03-27"
Lived = tuple[Mill, dict[str, dict[str, Any]]]


def live(mill: Mill) -> dict[str, dict[str, Any]]:
    """Predict and monitor every day; return the records of the last, which has a page."""
    records: dict[str, dict[str, Any]] = {}
    for day in DAYS:
        mill.predict(day)
        records = mill.monitor(day, shown=day == LAST)
    return records


def adopted(mill: Mill, trained: dict[str, dict[str, Any]]) -> Mill:
    mill.adopt(trained, "2024-03-23")
    return mill


@pytest.fixture(scope="module")
def lived(new_mill: Callable[[], Mill], trained_mill: Lived) -> Lived:
    """A model whose labels arrive 20 hours after shipping. Tests only read it."""
    mill = adopted(new_mill(), trained_mill[1])
    return mill, live(mill)


@pytest.fixture(scope="module")
def stopped(new_mill: Callable[[], Mill], trained_mill: Lived) -> Lived:
    """The same, but of one day hardly a label has arrived although its time has come."""
    mill = adopted(new_mill(), trained_mill[1])
    mill.sql(
        f"UPDATE {{t}} SET delivered_at = '2024-06-01' WHERE parcel_id LIKE '{LATE.replace('-', '')}-%%' AND n_stops < 1"
    )
    return mill, live(mill)


def figures(mill: Mill, part: str, name: str) -> dict[str, float]:
    rows = mill.sql(
        "SELECT partition, value FROM tidemill.metric m WHERE model = '{m}' AND part = %s AND name = %s AND slice IS NULL"
        " ORDER BY metric_id",
        part,
        name,
    )
    return dict(rows)


def page(mill: Mill, records: dict[str, dict[str, Any]]) -> str:
    return (mill.workspace.storage / records["report"]["uri"] / "index.html").read_text()


# --- labels as they arrive


def test_labels_of_a_partition_that_has_not_matured_are_counted_and_not_measured(lived: Lived) -> None:
    mill, _ = lived
    assert 0 < figures(mill, "labels", "label_coverage")["2024-03-28"] < 1
    assert "2024-03-28" not in figures(mill, "performance", "roc_auc")


def test_the_usual_labels_at_a_partitions_age_are_shown_beside_the_actual_ones(lived: Lived) -> None:
    mill, _ = lived
    usual, found = (figures(mill, "labels", name)["2024-03-28"] for name in ("label_coverage_usual", "label_coverage"))
    assert usual == pytest.approx(found, abs=0.05)  # every day's labels come 20 hours after shipping


def test_the_course_of_a_matured_partition_is_in_the_ledger(lived: Lived) -> None:
    mill, _ = lived
    rows = mill.sql(
        "SELECT DISTINCT slice, value FROM tidemill.metric WHERE model = '{m}' AND name = 'labels_known'"
        " AND partition = '2024-03-24' AND slice IN ('age=0h', 'age=12h', 'age=24h')"
    )
    assert dict(rows) == {"age=0h": pytest.approx(12 / PER_DAY), "age=12h": pytest.approx(48 / PER_DAY), "age=24h": 1.0}


def test_the_page_says_how_labels_arrive(lived: Lived) -> None:
    text = page(*lived)
    assert "Half of the labels are usually known" in text
    assert "Labels as they arrive" in text
    assert '<span class="mark none">arriving</span>' in text


def test_late_labels_of_a_partition_are_reported(stopped: Lived) -> None:
    assert page(*stopped).count('<span class="mark warn">late</span>') == 2  # beside its quality, and among the labels


def test_a_partition_whose_labels_are_late_is_measured_and_compared_with_none(stopped: Lived, lived: Lived) -> None:
    mill, _ = stopped
    assert LATE in figures(mill, "performance", "roc_auc")
    assert LATE not in figures(mill, "performance", "roc_auc_estimate_error")
    assert LATE in figures(lived[0], "performance", "roc_auc_estimate_error")


def test_a_partition_whose_labels_are_late_has_no_part_in_quality_over_partitions(stopped: Lived) -> None:
    mill, _ = stopped
    ((n,),) = mill.sql(
        "SELECT n FROM tidemill.realised_quality WHERE model = '{m}' AND metric = 'roc_auc_recent'"
        " AND slice = 'all rows' AND partition = %s",
        NEWEST,
    )
    assert n == 3 * PER_DAY  # of four that have matured


# --- by slice


def test_an_analyst_reads_quality_by_slice_with_interval_and_coverage(lived: Lived, warehouse: Any) -> None:
    mill, _ = lived
    rows = warehouse.rows(
        "SELECT slice, value, low, high, n, label_coverage FROM tidemill.realised_quality"
        f" WHERE model = '{mill.model}' AND partition = '2024-03-24' AND metric = 'roc_auc' ORDER BY slice",
        role="tidemill_reader",
    )
    assert [row[0] for row in rows] == ["all rows", "carrier=A", "carrier=B", "carrier=C"]
    assert [row[4] for row in rows] == [PER_DAY, 20, 20, 20]
    assert all(low <= value <= high and coverage == 1.0 for _, value, low, high, _, coverage in rows)


def test_slices_have_their_quality_over_partitions_too(lived: Lived) -> None:
    mill, _ = lived
    rows = mill.sql(
        "SELECT slice, n FROM tidemill.realised_quality WHERE model = '{m}' AND metric = 'roc_auc_recent'"
        " AND partition = %s ORDER BY slice",
        NEWEST,
    )
    assert rows == [("all rows", 4 * PER_DAY), ("carrier=A", 80), ("carrier=B", 80), ("carrier=C", 80)]


def test_a_figure_that_is_not_defined_in_a_slice_raises_no_alert(
    new_mill: Callable[[], Mill], trained_mill: Lived
) -> None:
    mill = adopted(new_mill(), trained_mill[1])
    mill.sql("UPDATE {t} SET late = true WHERE parcel_id LIKE '20240324-%%' AND carrier = 'A'")
    for day in DAYS[:3]:
        mill.predict(day)
    found = mill.monitor(DAYS[2], shown=False)["alert"]["alerts"]
    assert [item["rule"] for item in found if item["rule"].startswith("unknown:")] == []


def test_the_page_compares_slices_with_acceptance(lived: Lived) -> None:
    text = page(*lived)
    assert "By slice" in text
    assert "carrier=<wbr>A" in text or "carrier=A" in text


def test_rows_that_retention_has_removed_leave_the_whole_measured(
    new_mill: Callable[[], Mill], trained_mill: Lived
) -> None:
    mill = adopted(new_mill(), trained_mill[1])
    for day in DAYS[:4]:
        mill.predict(day)
    ((uri,),) = mill.sql(
        "SELECT s.uri FROM tidemill.published p JOIN tidemill.prediction_run r USING (prediction_run_id)"
        " JOIN tidemill.snapshot s ON (s.model, s.digest) = (p.model, r.snapshot_digest)"
        " WHERE p.model = '{m}' AND p.partition = %s",
        DAYS[0],
    )
    (mill.workspace.storage / uri).rename(mill.workspace.storage / f"{uri}.away")
    mill.step("monitor", "performance", DAYS[3], collected=mill.step("monitor", "collect", DAYS[3]))
    rows = mill.sql(
        "SELECT DISTINCT slice FROM tidemill.realised_quality WHERE model = '{m}' AND partition = %s", DAYS[0]
    )
    assert rows == [("all rows",)]
