from types import SimpleNamespace
from typing import cast

import pytest

from tidemill.intervals import Every
from tidemill.monitoring.arrival import Arrival
from tidemill.spec import ModelSpec
from tidemill.steps.monitor.label_arrival import HOUR, label_state

ARRIVAL = Arrival(ages=(0.0, 30.0), shares=(0.9, 0.9), n_partitions=9)


@pytest.mark.parametrize(
    ("key", "hours", "coverage", "expected"),
    [
        ("2013-07-02", 23.99, 0.9, "arriving"),
        ("2013-07-02", 24.0, 0.9, "mature"),
        ("2013-07-02", 24.0, 0.3, "late"),
        ("2013-11-02", 24.5, 0.9, "arriving"),  # the next day has 25 hours
        ("2013-11-02", 25.0, 0.9, "mature"),
        ("2013-03-09", 22.5, 0.9, "arriving"),  # the next day has 23 hours
        ("2013-03-09", 23.0, 0.9, "mature"),
    ],
)
def test_labels_are_due_by_the_wall_clock(key, hours, coverage, expected):
    spec = SimpleNamespace(
        partition=lambda key: Every.DAY.of(key, "America/New_York"), label=SimpleNamespace(matures_after=24 * HOUR)
    )
    assert label_state(cast(ModelSpec, spec), key, hours=hours, coverage=coverage, arrival=ARRIVAL) == expected
