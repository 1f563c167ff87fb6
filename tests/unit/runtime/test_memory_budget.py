from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tidemill.errors import SettingsError
from tidemill.records import SnapshotRef, SplitRef
from tidemill.runtime.declarations import STEPS
from tidemill.runtime.limits import BATCH_ROWS
from tidemill.runtime.memory import memory_limit_bytes
from tidemill.runtime.memory_budget import SHARE, Need, _checked, budget_bytes, need_of
from tidemill.runtime.step import NO_ROWS
from tidemill.spec import ModelSpec

DAY = datetime(2024, 3, 1, tzinfo=UTC)
SPLIT = SplitRef(
    snapshot_digest="0",
    digest="0",
    uri="m/splits/0",
    n_train=8_000_000,
    n_validation=1_000_000,
    n_test=1_000_000,
    n_unlabelled=0,
    n_immature=0,
    train_start=DAY,
    validation_start=DAY,
    test_start=DAY,
    test_end=DAY,
)
SNAPSHOT = SnapshotRef(
    model="m",
    purpose="train",
    partition="2024-03-31",
    digest="0",
    uri="m/snapshots/0",
    n_rows=10_000_000,
    size_bytes=1,
    start=DAY,
    end=DAY,
    cutoff=DAY,
    query_digest="0",
)


def spec(engine: str = "local", threads: int | None = None) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "model": "m",
            "task": "binary",
            "entity_key": "id",
            "event_time": "at",
            "source": {"features": "a.sql", "labels": "b.sql"},
            "label": {"column": "y"},
            "predict": {"threads": threads},
            "train": {"engine": engine, "estimators": ["xgboost"], "window": "100 days", "test": "10 days"},
        }
    )


def need(step: str, engine: str = "local", rows: SnapshotRef | SplitRef = SPLIT, threads: int | None = None) -> Need:
    return need_of(spec(engine, threads), step, rows, 20, 200.0)


def test_a_step_without_rows_has_no_estimate() -> None:
    with pytest.raises(ValueError, match="Step 'publish' is declared to hold no rows"):
        need("publish")


def test_before_a_training_every_later_step_with_rows_is_checked_and_before_a_prediction_itself() -> None:
    def checked(step: str, chain: str) -> list[str]:
        return [found.name for found in _checked(STEPS[step], chain) if found.memory != NO_ROWS]

    assert checked("validate_data", "train") == ["analyse", "prepare", "train", "evaluate"]
    assert (checked("validate_data", "predict"), checked("predict", "predict")) == ([], ["predict"])


def test_the_figure_says_how_it_was_estimated() -> None:
    held = Need(step="train", n_rows=2_400_000, n_columns=24, row_bytes=195.4, times=4.0, helps="")
    assert held.description == "1.9 GB (2,400,000 rows of 24 columns, 195 bytes per row, 4 copies)"
    assert replace(held, extra_bytes=10**8).description.endswith("4 copies, and 100 MB of labels and keys)")


def test_a_fit_holds_all_rows_but_those_of_the_test_set() -> None:
    assert need("train").n_rows == 9_000_000


def test_before_they_are_cut_the_spec_says_how_many_rows_each_set_will_have() -> None:
    assert need("train", rows=SNAPSHOT).n_rows == 9_000_000


@pytest.mark.parametrize("step", ["analyse", "prepare", "train", "evaluate"])
def test_from_disk_each_step_needs_a_fraction_of_what_it_needs_in_memory(step: str) -> None:
    local, external = need(step), need(step, "external_memory")
    assert external.total_bytes < local.total_bytes / 2
    assert "external_memory" in local.helps
    assert "external_memory" not in external.helps


def test_scoring_holds_some_batches_for_each_thread() -> None:
    assert need("predict", rows=SNAPSHOT, threads=4).n_rows == 9 * BATCH_ROWS
    assert need("predict", rows=replace(SNAPSHOT, n_rows=500), threads=4).n_rows == 500


def test_without_a_setting_most_of_what_is_here_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_MEMORY_MB", raising=False)
    assert budget_bytes() == int(memory_limit_bytes() * SHARE)


def test_the_setting_is_in_mebibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_MEMORY_MB", "512")
    assert budget_bytes() == 2**29


@pytest.mark.parametrize("words", ["0", "-1", "1.5", "2 GB"])
def test_what_is_not_a_number_of_mebibytes_is_refused(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("TIDEMILL_MEMORY_MB", words)
    with pytest.raises(SettingsError, match=r"TIDEMILL_MEMORY_MB is .*, expected whole mebibytes"):
        budget_bytes()
