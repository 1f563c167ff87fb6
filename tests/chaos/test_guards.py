"""Guards that only bite when another one has failed."""

from typing import Any

import pytest

from tidemill.errors import IncompletePublish
from tidemill.modeling.scorer import Scorer

from .conftest import Proved, Subject


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_score_that_is_not_a_number_is_refused_before_it_is_written(
    serving: Subject, proved: Proved, monkeypatch: pytest.MonkeyPatch, score: float
) -> None:
    """With 60 rows, a hundredth that may be set aside is none."""
    scored = Scorer.score

    def broken(self: Scorer, batch: Any) -> Any:
        scores = scored(self, batch)
        scores[0] = score
        return scores

    monkeypatch.setattr(Scorer, "score", broken)
    with pytest.raises(IncompletePublish, match=r"not a number for 1 or more of 60 rows, such as \['20240325-000'\]"):
        serving.mill.predict()
    proved("B48 P7", guards=1)
