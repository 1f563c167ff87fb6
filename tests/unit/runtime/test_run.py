import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from tidemill.errors import IncompatibleVersions, PartitionError
from tidemill.intervals import Every
from tidemill.records import BundleRef, PageRef, Record, SnapshotRef
from tidemill.runtime.declarations import STEPS, declaration
from tidemill.runtime.job import Job
from tidemill.runtime.run import _as_of, _function, _rebuilt, _typed, run_step
from tidemill.runtime.step import NO_ROWS, step

DAY = Every.DAY.of("2024-03-25", "America/New_York", timedelta(hours=5))
SNAPSHOT = SnapshotRef(
    model="m",
    purpose="score",
    partition="2024-03-25",
    digest="0" * 64,
    uri="m/snapshots/0",
    n_rows=1,
    size_bytes=1,
    start=DAY.interval.start,
    end=DAY.interval.end,
    cutoff=DAY.cutoff,
    query_digest="0" * 64,
)
BUNDLE = BundleRef(
    estimator="xgboost",
    digest="0" * 64,
    uri="m/bundles/0",
    size_bytes=1,
    fit_s=0.1,
    baseline=False,
    validation_score=float("nan"),
)


@step("nowhere", chains=(), limit=timedelta(hours=1), memory=NO_ROWS)
def taking(
    job: Job, snapshot: SnapshotRef, bundles: tuple[BundleRef, ...], purpose: str, n: int | None = None
) -> PageRef:
    raise NotImplementedError


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_a_function_with_the_declared_inputs_and_record(name: str) -> None:
    function = _function(STEPS[name])
    hints = get_type_hints(function)
    taken = STEPS[name].inputs
    given = {key: value for key, value in taken.items() if name != "register" or value.chosen}  # the rest is one value
    assert list(inspect.signature(function).parameters)[: len(given) + 1] == ["job", *given]
    assert {key: hints[key] for key in given} == {key: value.hint for key, value in given.items()}
    assert issubclass(hints["return"], Record)
    assert hints["return"] is STEPS[name].record


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_exported_by_its_module(name: str) -> None:
    function = _function(STEPS[name])
    assert name in inspect.getmodule(function).__all__


def test_unknown_step_is_answered_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"Unknown step 'paint'\. Steps are await_ready, resolve_release, extract"):
        declaration("paint")


def typed(**inputs: Any) -> dict[str, Any]:
    return _typed(taking, inputs)


def test_dict_becomes_the_record_of_the_annotation() -> None:
    assert typed(snapshot=SNAPSHOT.to_dict())["snapshot"] == SNAPSHOT


def test_record_stays_as_it_is() -> None:
    assert typed(snapshot=SNAPSHOT)["snapshot"] is SNAPSHOT


def test_list_of_dicts_becomes_a_tuple_of_records() -> None:
    (found,) = typed(bundles=[BUNDLE.to_dict()])["bundles"]
    assert isinstance(found, BundleRef)


def test_plain_values_stay_as_they_are() -> None:
    assert typed(purpose="score", n=None) == {"purpose": "score", "n": None}


def test_unknown_key_of_a_record_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="colour"):
        typed(snapshot=SNAPSHOT.to_dict() | {"colour": "red"})


# --- the cutoff


def test_partition_keeps_its_own_cutoff_by_default() -> None:
    assert _as_of(DAY, None) is DAY


def test_cutoff_may_be_earlier() -> None:
    earlier = datetime(2024, 3, 24, tzinfo=UTC)
    assert _as_of(DAY, earlier).cutoff == earlier


def test_cutoff_may_be_the_end_of_the_partition() -> None:
    assert _as_of(DAY, DAY.interval.end).cutoff == DAY.interval.end


def test_cutoff_may_be_as_late_as_the_partition_s_own() -> None:
    late = replace(DAY, cutoff=DAY.interval.end + timedelta(hours=3))
    assert _as_of(late, late.cutoff - timedelta(hours=1)).cutoff == late.cutoff - timedelta(hours=1)
    with pytest.raises(PartitionError, match="Choose a cutoff up to"):
        _as_of(late, late.cutoff + timedelta(hours=1))


def test_cutoff_after_the_end_of_the_partition_is_refused() -> None:
    with pytest.raises(PartitionError, match="its rows would know their outcome"):
        _as_of(DAY, DAY.interval.end + timedelta(microseconds=1))


def test_dict_becomes_the_record_of_an_optional_annotation() -> None:
    assert _rebuilt(SnapshotRef | None, SNAPSHOT.to_dict()) == SNAPSHOT
    assert _rebuilt(SnapshotRef | None, None) is None


def test_dict_stays_one_where_no_record_is_asked_for() -> None:
    assert _rebuilt(dict[str, int], {"a": 1}) == {"a": 1}


def test_no_step_runs_on_other_packages_than_a_named_lock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock.txt").write_text("numpy==0.1\n", encoding="utf-8")
    monkeypatch.setenv("TIDEMILL_LOCK", str(tmp_path / "lock.txt"))
    nowhere: Any = None
    with pytest.raises(IncompatibleVersions, match="numpy is"):
        run_step("train", "extract", "m", "2024-03-25", {}, workspace=nowhere)
