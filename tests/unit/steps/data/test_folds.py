"""Rows without a time are divided by a hash of their key: the same in every run, and never across sets."""

import hashlib
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from scipy.stats import chisquare

from tidemill.spec import N_FOLDS, Folds, ModelSpec
from tidemill.steps.data.folds import fold_numbers, in_test_folds, row_marks
from tidemill.steps.data.split_plan import plan_folds


def spec(**more):
    values = {
        "model": "m",
        "task": "binary",
        "entity_key": "k",
        "event_time": "none",
        "source": {"features": "m/f.sql", "labels": "m/l.sql"},
        "label": {"column": "y"},
    }
    return ModelSpec.model_validate(values | more)


def test_a_fold_is_the_hash_of_the_key_as_text() -> None:
    keys = ["C00001", "ä", "7", ""]
    expected = [int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) % 100 for key in keys]
    assert fold_numbers(pa.array(keys)).to_pylist() == expected
    assert fold_numbers(pa.array([7], pa.int64())).to_pylist() == expected[2:3]


def test_folds_hold_equal_shares_of_consecutive_keys() -> None:
    counts = np.bincount(fold_numbers(pa.array(range(100_000))).to_numpy(), minlength=N_FOLDS)
    assert chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize(("validation", "test"), [(20, 20), (5, 45), (45, 45)])
def test_sets_are_consecutive_folds_and_the_test_folds_are_those_of_the_plan(validation: int, test: int) -> None:
    model = spec(train={"folds": {"validation": validation, "test": test}})
    keys = pa.chunked_array([pa.array(range(2_000))])
    marks = row_marks(model, pa.RecordBatch.from_pydict({"k": keys.combine_chunks()}), None).to_pylist()
    plan = plan_folds(model.train.folds)
    sets = {key: plan.set_of(model.block(key).interval.start) for key in sorted(set(marks))}
    assert list(sets.values()) == ["train"] * (100 - validation - test) + ["validation"] * validation + ["test"] * test
    assert [sets[key] == "test" for key in marks] == in_test_folds(keys, model).to_pylist()


def test_sizes_that_leave_nothing_to_train_on_are_refused() -> None:
    Folds(validation=45, test=45)
    with pytest.raises(ValidationError):
        Folds(validation=46, test=45)


def test_without_a_time_rows_get_the_partitions_start_as_one() -> None:
    model = spec()
    assert (model.time_column, model.block_unit) == ("partition_start", "fold")
    assert model.partition_at(datetime(2026, 11, 30, 5, tzinfo=UTC)).key == "2026-11-30"
    assert ModelSpec.model_validate(model.model_dump(mode="json")) == model


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"train": {"window": "30 days"}}, "train.window is a length of time"),
        ({"predict": {"offset": -1}}, "predict.offset"),
        ({"predict": {"lookback": "3 days"}}, "predict.lookback"),
        ({"partitions": {"cutoff": "5 hours"}}, "partitions.cutoff"),
        ({"event_time": "t", "train": {"folds": {"test": 30}}}, "train.folds is for event_time: none"),
        ({"entity_key": "partition_start"}, "must be three different columns"),
    ],
)
def test_keys_about_time_are_refused_without_one_and_folds_with_one(more, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(**more)
