from datetime import timedelta
from pathlib import Path

import pytest

from tidemill.errors import PartitionError
from tidemill.intervals import Every
from tidemill.simulation import Drill, Held, Injection, Opened, Past, Tried
from tidemill.simulation import drill as try_faults
from tidemill.simulation.drill import in_time, right_rules
from tidemill.spec import ModelSpec
from tidemill.workspace import Workspace


def tried(**values: object) -> Tried:
    given: dict[str, object] = {
        "fault": "null:temp@2013-06-10", "column": "temp", "n_rows": 900, "seen_on": "2013-06-10",
        "alert": "nulls:temp", "message": "temp lacks values",
    }  # fmt: skip
    return Tried(**(given | values))


def drill(*faults: Tried, n_quiet: int = 0, n_partitions: int = 60) -> Drill:
    alert = Opened(
        rule="score_drift", severity="warn", first_partition="2013-05-01", last_partition="2013-05-02", message=""
    )
    return Drill(
        model="flight_delays",
        first="2013-04-01",
        last="2013-06-10",
        n_partitions=n_partitions,
        quiet=(alert,) * n_quiet,
        tried=faults,
    )


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("null:temp@2013-06-10", "nulls:temp"),
        ("scale:temp*1000@2013-06-10", "break:temp"),
        ("rename:carrier=UA->UAL@2013-06-10", "unseen:carrier"),
        ("half@2013-06-10", "volume"),
        ("double@2013-06-10", "volume"),
        ("labels_stop@2013-06-10", "age:labels"),
    ],
)
def test_the_right_alert_of_a_fault_names_its_column(words: str, rule: str) -> None:
    assert rule in right_rules(Injection.parse(words))


def test_a_fault_that_nobody_saw_is_missed() -> None:
    assert drill(tried(), tried(seen_on="", alert="")).missed == (tried(seen_on="", alert=""),)


def test_a_fault_that_changes_no_row_is_not_missed() -> None:
    assert drill(tried(n_rows=0, seen_on="")).missed == ()


def test_only_faults_that_no_reader_saw_are_in_time() -> None:
    early, late = tried(before_readers=True, partitions_seen=0), tried(partitions_seen=1)
    assert drill(early, late, tried(n_rows=0, before_readers=True)).in_time == (early,)


@pytest.mark.parametrize(
    ("held", "seen_on", "alert", "expected"),
    [
        (["nulls:temp"], "2013-06-10", "nulls:temp", (True, 0)),
        (["volume"], "2013-06-10", "nulls:temp", (False, 1)),  # withheld for another reason
        ([], "2013-06-10", "nulls:temp", (False, 1)),
        ([], "2013-06-11", "nulls:temp", (False, 2)),
        ([], "", "", (False, None)),
        ([], "2013-06-10", "contract", (True, 0)),
    ],
)
def test_readers_saw_what_was_published_before_the_fault_was_detected(
    held: list[str], seen_on: str, alert: str, expected: tuple[bool, int | None]
) -> None:
    zone = "America/New_York"
    days = [Every.DAY.of(key, zone, timedelta(hours=5)) for key in ("2013-06-10", "2013-06-11")]
    withheld = [Held(partition="2013-06-10", rules=tuple(held), reasons=("x",))] if held else []
    found = in_time(tried(seen_on=seen_on, alert=alert), Injection.parse("null:temp@2013-06-10"), days, withheld)
    assert (found.before_readers, found.partitions_seen) == expected


def test_the_rate_is_of_sixty_partitions() -> None:
    assert drill(n_quiet=3, n_partitions=120).quiet_rate == 1.5


@pytest.mark.parametrize("key", ["2013-05-31", "2013-06-10", "2013-07-01"])
def test_a_fault_that_nobody_would_try_is_refused(key: str) -> None:
    spec = ModelSpec.model_validate(
        {
            "model": "m",
            "task": "binary",
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "a.sql", "labels": "b.sql"},
            "label": {"column": "y"},
        }
    )
    nowhere = Workspace(models=Path("m"), sql=Path("s"), storage=Path("x"), tracking_uri=None)
    past = Past(spec=spec, first="2013-06-01", last="2013-06-10", workspace=nowhere)
    with pytest.raises(PartitionError, match=f"to the one before '2013-06-10', not on .*{key}"):
        try_faults(past, on=[key])
    with pytest.raises(PartitionError, match=key):
        try_faults(past, faults=[Injection.parse(f"half@{key}")])
