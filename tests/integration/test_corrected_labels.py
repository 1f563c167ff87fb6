"""Labels that are corrected after a partition was measured are noticed, and it is measured again."""

from typing import Any

import pyarrow as pa
import pytest

from tidemill.steps.monitor.corrections import label_digest

from .data import SPEC, Mill

DAYS = tuple(f"2024-03-{day}" for day in range(18, 29))
OLD, NEWEST = DAYS[0], DAYS[-1]  # nine matured partitions lie between them: the old one is not among the newest seven
FLIPPED = "UPDATE {t} SET late = NOT late WHERE parcel_id LIKE '20240318-%%'"
ACCURACY = (
    "SELECT value, as_of FROM tidemill.metric WHERE model = '{m}' AND partition = %s AND part = 'performance'"
    " AND name = 'accuracy' AND slice IS NULL ORDER BY run_id"
)


@pytest.fixture
def measured(mill: Mill, trained_mill: tuple[Mill, dict[str, dict[str, Any]]]) -> Mill:
    """A model whose oldest partition was measured, and whose newest seven matured ones have been measured since."""
    mill.adopt(trained_mill[1], DAYS[0])
    for day in DAYS:
        mill.predict(day, simulate=True)
    for day in (DAYS[2], NEWEST):
        mill.monitor(day, shown=False)
    return mill


def again(mill: Mill) -> list[str]:
    return mill.monitor(NEWEST, shown=False)["performance"]["measured_again"]


def test_an_old_partition_is_measured_again_if_its_labels_or_rows_have_changed(measured: Mill) -> None:
    before = measured.sql(ACCURACY, OLD)
    assert again(measured) == []
    measured.sql(FLIPPED)
    measured.write(SPEC + "monitor: {lookback: 9 days}\n")
    assert again(measured) == []  # out of reach
    measured.write()
    assert again(measured) == [OLD]
    *old, (value, as_of) = measured.sql(ACCURACY, OLD)
    assert (old, value) == (before, pytest.approx(1 - before[-1][0]))  # every answer is now the other one
    assert as_of == measured.spec.partition(NEWEST).cutoff
    assert again(measured) == []
    measured.predict(OLD, simulate=True)
    assert again(measured) == [OLD]


def test_the_order_of_labels_and_the_time_of_observation_do_not_count(mill: Mill) -> None:
    labels = pa.table({"parcel_id": ["a", "b"], "late": [True, False], "observed_at": [1, 2]})
    other = pa.table({"parcel_id": ["b", "a"], "late": [False, True], "observed_at": [1, 1]})
    changed = pa.table({"parcel_id": ["a", "b"], "late": [False, True], "observed_at": [1, 2]})
    assert label_digest(labels, mill.spec) == label_digest(other, mill.spec) != label_digest(changed, mill.spec)
