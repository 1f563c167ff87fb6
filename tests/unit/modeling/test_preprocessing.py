"""What trees read for a category that training has not seen."""

import numpy as np
import pandas as pd
import pytest

from tidemill.modeling.levels import fit_for_trees
from tidemill.modeling.preprocessing import for_trees
from tidemill.modeling.schema import FeatureSchema

SCHEMA = FeatureSchema(categorical=("origin", "plane"))
FREQUENT = ["JFK"] * 30 + ["EWR"] * 40 + ["LGA"] * 20
RARE = ["N1"] * 50 + ["N2"] * 36 + ["N3"] * 2 + ["N4"] * 2
NEW = pd.DataFrame({"origin": ["BOS", None, "EWR"], "plane": ["N9", None, "N3"]}, dtype="str")


@pytest.mark.parametrize("missing", [0, 5])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_unseen_level_is_rare_or_the_most_frequent_one_and_never_missing(missing: int, in_pieces: bool) -> None:
    rows = pd.DataFrame({"origin": FREQUENT + [None] * missing, "plane": RARE + [None] * missing}, dtype="str").sample(
        frac=1, random_state=0
    )
    encoder = fit_for_trees(SCHEMA, [rows[:31], rows[31:]]) if in_pieces else for_trees(SCHEMA).fit(rows)
    unseen, nothing, known = encoder.transform(NEW)
    assert unseen.tolist() == known.tolist()  # of EWR, the most frequent, and of N3, a rare one
    assert np.isnan(nothing).all()


def test_without_any_level_an_unseen_one_is_missing() -> None:
    rows = pd.DataFrame({"origin": [None] * 20, "plane": RARE[:20]}, dtype="str")
    assert np.isnan(for_trees(SCHEMA).fit(rows).transform(NEW)[0, 0])
