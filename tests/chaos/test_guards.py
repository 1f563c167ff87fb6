"""Guards that only bite when another one has failed."""

import numpy as np
import pyarrow as pa
import pytest

from tidemill.errors import IncompletePublish
from tidemill.steps.predict.predict import _refuse_undefined

from .conftest import Proved, Subject


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_score_that_is_no_number_is_refused_before_it_is_written(
    serving: Subject, proved: Proved, score: float
) -> None:
    keys, scores = pa.chunked_array([["good", "bad"]]), np.array([0.5, score])
    with pytest.raises(IncompletePublish, match=r"no number for 1 of 2 rows, such as \['bad'\]"):
        _refuse_undefined(keys, scores, serving.mill.resolve())
    proved("B48 P7", guards=1)
