from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.errors import ContractBroken, SchemaChanged
from tidemill.modeling.alignment import align
from tidemill.modeling.schema import FeatureSchema

NUMBER = FeatureSchema(numeric=("x",))
TEXT = FeatureSchema(categorical=("x",))


def aligned(values, schema):
    return align(pd.DataFrame({"x": values}), schema)["x"]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 0], dtype="int32"),
        pd.Series([True, False]),
        pd.Series([1, 0], dtype="Int64"),
        pd.Series([True, False], dtype="boolean"),
        pd.Series([Decimal("1.0"), Decimal(0)], dtype=object),
        pd.Series([1, False], dtype=object),
        pd.Series([1.0, 0.0], dtype="float32"),
    ],
)
def test_every_kind_of_number_becomes_the_same_float64(values):
    pd.testing.assert_series_equal(aligned(values, NUMBER), pd.Series([1.0, 0.0], name="x"))


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, pd.NA], dtype="Int64"),
        pd.Series([True, None], dtype=object),
        pd.Series([Decimal(1), pd.NA], dtype=object),
        pd.Series([1.0, np.nan]),
    ],
)
def test_every_kind_of_missing_number_becomes_nan(values):
    pd.testing.assert_series_equal(aligned(values, NUMBER), pd.Series([1.0, np.nan], name="x"))


def test_a_numeric_column_without_any_value_is_missing():
    assert aligned(pd.Series([None, None], dtype="str"), NUMBER).isna().all()


@pytest.mark.parametrize("values", [["1.5", "2"], [1, "2"], pd.to_datetime(["2013-07-01", "2013-07-02"])])
def test_a_numeric_column_of_another_type_is_refused_by_name(values):
    with pytest.raises(SchemaChanged, match="'x' is numeric in the model, but holds"):
        aligned(values, NUMBER)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39, 10**400, Decimal("Infinity")])
def test_a_number_beyond_float32_is_refused_with_its_count(value):
    with pytest.raises(ContractBroken, match=r"'x' \(1 of 2 rows\)"):
        aligned(pd.Series([value, 1], dtype=object), NUMBER)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["1", None], dtype="str"),
        pd.Series(["1", None], dtype=object),
        pd.Series(["1", pd.NA], dtype="string"),
        pd.Series(["1", None], dtype="category"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.0, np.nan]),
        pd.Series([Decimal("1.0"), None], dtype=object),
    ],
)
def test_every_kind_of_category_becomes_the_same_text(values):
    pd.testing.assert_series_equal(aligned(values, TEXT), pd.Series(["1", None], dtype="str", name="x"))


def test_a_boolean_category_is_spelt_as_in_sql():
    assert aligned([True, False], TEXT).tolist() == ["true", "false"]


@pytest.mark.parametrize("order", [1, -1])
def test_values_that_pandas_takes_for_equal_are_spelt_each_by_itself(order):
    values = pd.Series([True, 1, None, "true", 0, False, Decimal("1.0")][::order], dtype=object)
    expected = pd.Series(["true", "1", None, "true", "0", "false", "1"][::order], dtype="str", name="x")
    pd.testing.assert_series_equal(aligned(values, TEXT), expected)


@pytest.mark.parametrize("value", [2**64, 10**400, -(2**60) - 1, Decimal(2**60 + 1)])
def test_a_whole_number_of_any_size_is_spelt_by_all_its_digits(value):
    assert aligned(pd.Series([value, None], dtype=object), TEXT)[0] == str(value)


@pytest.mark.parametrize("value", [Decimal(2**60 + 1) + Decimal("0.5"), np.inf, Decimal("Infinity")])
def test_what_is_not_a_whole_number_is_not_a_category(value):
    with pytest.raises(SchemaChanged, match="'x' is categorical in the model, but holds"):
        aligned(pd.Series([value, "a"], dtype=object), TEXT)


def test_whole_numbers_that_a_float_may_have_rounded_are_refused():
    with pytest.raises(SchemaChanged, match=r"lost digits beyond 2\*\*53"):
        aligned(pd.Series([2**60 + 1, np.nan]), TEXT)


@pytest.mark.parametrize("values", [[1.5, 2.0], [b"a", b"b"], pd.to_datetime(["2013-07-01", "2013-07-02"])])
def test_a_categorical_column_of_another_type_is_refused_by_name(values):
    with pytest.raises(SchemaChanged, match="'x' is categorical in the model, but holds"):
        aligned(values, TEXT)


def test_all_missing_columns_are_named_with_the_nearest_name():
    with pytest.raises(SchemaChanged, match=r"'wind_speed' \(is it 'windspeed'\?\), 'zzz', which"):
        align(pd.DataFrame({"windspeed": [1.0]}), FeatureSchema(numeric=("wind_speed",), categorical=("zzz",)))


def test_all_wrong_types_are_named_at_once():
    with pytest.raises(SchemaChanged, match=r"2 feature\(s\).*'a'.*'b'"):
        align(pd.DataFrame({"a": ["t"], "b": [1.5]}), FeatureSchema(numeric=("a",), categorical=("b",)))


def test_a_column_that_comes_twice_is_refused():
    X = pd.DataFrame([[1.0, 2.0]], columns=["x", "x"])
    with pytest.raises(SchemaChanged, match="'x' come more than once"):
        align(X, NUMBER)


def test_extra_columns_and_order_do_not_matter(schema, train):
    X = train[0]
    shuffled = X[X.columns[::-1]].assign(dep_delay=1.0)
    pd.testing.assert_frame_equal(align(shuffled, schema), align(X, schema))


def test_no_rows_give_no_rows(schema, train):
    assert align(train[0].head(0), schema).shape == (0, 5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work shares the cores
@given(st.lists(st.one_of(st.none(), st.text(max_size=3), st.booleans(), st.integers(-99, 99)), min_size=1))
def test_aligning_twice_changes_nothing(values):
    once = align(pd.DataFrame({"x": pd.Series(values, dtype=object)}), TEXT)
    pd.testing.assert_frame_equal(align(once, TEXT), once)


def test_a_schema_survives_its_dict(schema):
    assert FeatureSchema.from_dict(schema.to_dict()) == schema
