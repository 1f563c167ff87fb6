"""Signs of a leak in rows: observed late, changed since, copied from train to test."""

import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.leakage import find_changed, find_copies, find_late
from tidemill.modeling.schema import FeatureSchema

CUTOFF = pd.Timestamp("2024-03-10 05:00", tz="UTC")
N = 200


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "key": [f"k{number}" for number in range(N)],
            "wind": rng.normal(size=N),
            "gust": rng.gamma(2.0, size=N),
            "carrier": rng.choice(list("ABC"), N),
            "status": "planned",
        }
    )


FEATURES = FeatureSchema(numeric=("wind", "gust"), categorical=("carrier",))


def late_of(rows):
    return find_late(rows, [CUTOFF] * len(rows), rows["key"])


def late_at(*hours):
    return pd.Series([CUTOFF + pd.Timedelta(hours=hour) for hour in hours])


def test_a_value_observed_after_the_cutoff_is_named(rows):
    few = rows.head(3).assign(wind_observed_at=late_at(-1, 0, 2))
    (leak,) = late_of(few)
    assert (leak.subject, leak.kind) == ("wind", "late")
    assert "1 of 3 rows" in leak.how
    assert "'k2'" in leak.how


def test_what_was_observed_at_the_cutoff_itself_is_known(rows):
    assert late_of(rows.head(2).assign(wind_observed_at=late_at(-1, 0))) == []


def test_a_row_observed_after_the_cutoff_is_found(rows):
    assert late_of(rows.head(2).assign(observed_at=late_at(-1, 3)))[0].subject == "rows"


def test_an_unknown_time_of_observation_is_no_finding(rows):
    times = pd.Series([pd.NaT, CUTOFF], dtype="datetime64[us, UTC]")
    assert late_of(rows.head(2).assign(wind_observed_at=times)) == []


def test_other_times_may_lie_after_the_cutoff(rows):
    assert late_of(rows.head(2).assign(scheduled_at=late_at(5, 6))) == []


# --- changed since


def test_a_value_that_is_written_later_is_named(rows):
    now = rows.assign(status=np.where(np.arange(N) % 5 == 0, "landed", "planned"))
    (leak,) = find_changed(rows, now, ["key"], ["wind", "status"])
    assert (leak.subject, leak.kind) == ("status", "changed")
    assert "20 % of 200 rows" in leak.how


def test_a_value_that_is_filled_in_later_is_named(rows):
    served = rows.assign(gust=np.where(np.arange(N) % 4 == 0, np.nan, rows["gust"]))
    assert [leak.subject for leak in find_changed(served, rows, ["key"], ["wind", "gust"])] == ["gust"]


def test_what_has_not_changed_is_not_named_whatever_the_order_of_rows(rows):
    assert find_changed(rows, rows.sample(frac=1, random_state=0), ["key"], FEATURES.names) == []


def test_missing_then_and_now_is_no_change(rows):
    gone = rows.assign(gust=np.nan, carrier=None)
    assert find_changed(gone, gone.copy(), ["key"], FEATURES.names) == []


def test_a_mean_over_other_order_is_no_change(rows):
    assert find_changed(rows, rows.assign(wind=rows["wind"] * (1 + 1e-15)), ["key"], ["wind"]) == []


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint64"])
def test_whole_numbers_that_float64_does_not_tell_apart_have_changed(rows, dtype):
    ids = pd.Series(2**53 + 2 * np.arange(N), dtype=dtype, index=rows.index)
    (leak,) = find_changed(rows.assign(order=ids), rows.assign(order=ids + 1), ["key"], ["order"])
    assert leak.subject == "order"
    with_null = ids.astype("Int64" if dtype == "int64" else "UInt64" if dtype == "uint64" else dtype)
    with_null.iloc[0] = pd.NA
    assert find_changed(rows.assign(order=ids), rows.assign(order=with_null), ["key"], ["order"]) == []


def test_a_few_corrections_are_no_leak(rows):
    now = rows.assign(wind=np.where(np.arange(N) < 5, 99.0, rows["wind"]))
    assert find_changed(rows, now, ["key"], ["wind"]) == []


def test_rows_that_one_of_both_lacks_are_not_compared(rows):
    assert find_changed(rows.head(10), rows.tail(10).assign(wind=0.0), ["key"], ["wind"]) == []


# --- copies


def test_rows_that_stand_in_both_sets_by_their_key_are_found(rows):
    (leak,) = find_copies(rows.head(150), rows.tail(60), FEATURES, ["key"])
    assert leak.how.startswith("10 of 60 test rows are also in the train set, by their key, for example 'k140'")


def test_rows_that_were_given_new_keys_are_found_by_their_features(rows):
    again = rows.head(20).assign(key=[f"new{number}" for number in range(20)])
    (leak,) = find_copies(rows.head(150), pd.concat([rows.tail(50), again]), FEATURES, ["key"])
    assert "20 of 70 test rows" in leak.how
    assert "all of 3 features" in leak.how


def test_two_sets_of_their_own_are_no_copies(rows):
    assert find_copies(rows.head(150), rows.tail(50), FEATURES, ["key"]) == []


def test_rows_of_a_few_categories_are_alike_by_nature(rows):
    few = FeatureSchema(numeric=("hour",), categorical=("carrier", "status"))
    X = rows.assign(hour=np.arange(N) % 4)
    assert find_copies(X.head(150), X.tail(50), few, ["key"]) == []


@pytest.mark.parametrize("n", [0, 150])
def test_an_empty_set_has_no_copies(rows, n):
    assert find_copies(rows.head(n), rows.head(150 - n), FEATURES, ["key"]) == []


def test_an_entity_on_two_days_is_no_copy(rows: pd.DataFrame) -> None:
    train, test = rows.head(100).assign(day=1), rows.head(100).assign(day=2)
    assert find_copies(train, test, FEATURES, ["key", "day"]) == []
    (leak,) = find_copies(train, pd.concat([test, train.head(3)]), FEATURES, ["key", "day"])
    assert "3 of 103 test rows are also in the train set, by their key" in leak.how


def test_a_value_is_compared_with_that_of_its_own_day(rows: pd.DataFrame) -> None:
    two_days = pd.concat([rows.assign(day=1), rows.assign(day=2, wind=rows["wind"] + 5)])
    assert find_changed(two_days, two_days.sample(frac=1, random_state=0), ["key", "day"], ["wind"]) == []
