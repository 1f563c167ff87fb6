"""Encoders fitted in one pass are those that scikit-learn fits on all rows."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.modeling.levels import fit_for_trees
from tidemill.modeling.preprocessing import for_trees
from tidemill.modeling.schema import FeatureSchema

SCHEMA = FeatureSchema(numeric=("x",), categorical=("a", "b"))
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", "B", "", "é", "zz"]), st.text(max_size=2))


def state(transformer):
    encoder = transformer.named_transformers_["categorical"]
    known = {key: value for key, value in vars(encoder).items() if key not in ("categories_", "_infrequent_indices")}
    return (
        [[str(level) for level in levels] for levels in encoder.categories_],
        [None if item is None else item.tolist() for item in encoder._infrequent_indices],
        {key: str(value) for key, value in known.items()},
        {key: str(value) for key, value in vars(transformer).items() if "transformers" not in key},
    )


def alike(rows, cuts=()):
    pieces = [rows.iloc[a:b].reset_index(drop=True) for a, b in pairwise([0, *sorted(cuts), len(rows)])]
    whole, streamed = for_trees(SCHEMA).fit(rows), fit_for_trees(SCHEMA, pieces)
    assert state(streamed) == state(whole)
    asked = pd.concat([rows, pd.DataFrame({"x": [1.0], "a": ["never"], "b": [np.nan]})], ignore_index=True).astype(
        {"a": "str", "b": "str"}
    )
    assert np.array_equal(streamed.transform(asked), whole.transform(asked), equal_nan=True)


def frame(a, b):
    return pd.DataFrame(
        {
            "x": np.arange(len(a), dtype=float),
            "a": pd.Series(a, dtype="str"),
            "b": pd.Series(b, dtype="str"),
        }
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=80), st.lists(st.integers(0, 80), max_size=3))
def test_of_any_rows_in_any_pieces_the_encoder_is_the_same(rows, cuts):
    alike(frame(*zip(*rows, strict=True)), [min(cut, len(rows)) for cut in cuts])


@pytest.mark.parametrize("n_levels", [10, 254, 255, 256, 400])
def test_of_many_levels_those_that_are_frequent_get_a_code_of_their_own(n_levels):
    numbers = np.random.default_rng(n_levels).zipf(1.2, 20_000) % n_levels
    alike(frame([f"l{number}" for number in numbers], ["same"] * len(numbers)))


def test_levels_that_are_all_as_frequent_as_each_other_are_cut_alike():
    alike(frame([f"l{number % 300}" for number in range(6000)], [f"r{number}" for number in range(6000)]))


def test_a_column_of_only_rare_levels_stays_rare_beside_a_long_one():
    alike(frame([f"k{number // 9}" for number in range(900)], [f"l{number % 90}" for number in range(900)]))


def test_numbers_need_no_levels():
    numbers = FeatureSchema(numeric=("x",))
    assert fit_for_trees(numbers, []).transform(pd.DataFrame({"x": [2.0]})).tolist() == [[2.0]]
