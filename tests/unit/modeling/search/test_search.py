import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from tidemill.errors import NotTrainable
from tidemill.modeling.search.search import Found, Limits, Measured, search
from tidemill.modeling.search.space import Space
from tidemill.records import Parameters, Trial
from tidemill.spec import Dimension

SPACE: Space = {
    "depth": Dimension(low=1, high=20),
    "rate": Dimension(low=0.001, high=1.0, log=True),
    "kind": Dimension(choices=("a", "b")),
}
LIMITS = Limits(n_trials=25, n_folds=3, timeout_s=math.inf, greater_is_better=True, random_state=7)


def hill(parameters: Parameters, fold: int) -> Measured:
    """A smooth hill with its top at depth 12, rate 0.1; folds differ in height."""
    depth, rate = float(parameters.get("depth", 2)), float(parameters.get("rate", 0.5))
    score = 0.8 - 0.1 * fold - ((depth - 12) / 40) ** 2 - (math.log10(rate) + 1) ** 2 / 20
    return Measured(score=score, y_score=np.empty(0), threshold=None)


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that advances by some seconds each time it is read."""
    ticks = count()
    return lambda: next(ticks) * seconds


def found(limits: Limits = LIMITS, known: Sequence[Trial] = (), measure: Callable[..., Measured] = hill) -> Found:
    return search(SPACE, measure, limits, known=known, clock=ticking(0.0))


def test_the_defaults_are_trial_0_and_need_no_parameters() -> None:
    assert found().trials[0].parameters == {}


def test_the_trials_asked_for_come_besides_the_defaults() -> None:
    assert [trial.number for trial in found().trials] == list(range(26))


def test_a_search_finds_what_is_better_than_the_defaults() -> None:
    outcome = found()
    assert np.mean(outcome.best.scores) > np.mean(outcome.trials[0].scores) + 0.05


def test_the_defaults_win_if_nothing_is_better() -> None:
    def flat(parameters: Parameters, fold: int) -> Measured:
        return Measured(score=0.5, y_score=np.empty(0), threshold=None)

    assert found(measure=flat).best.number == 0


def test_lower_is_better_where_it_is() -> None:
    def valley(parameters: Parameters, fold: int) -> Measured:
        return replace(hill(parameters, fold), score=-hill(parameters, fold).score)

    outcome = found(replace(LIMITS, greater_is_better=False), measure=valley)
    assert outcome.best.parameters == found().best.parameters


def test_the_same_seed_gives_the_same_trials() -> None:
    assert found() == found()


def test_another_seed_gives_other_trials() -> None:
    assert found().best.parameters != found(replace(LIMITS, random_state=8)).best.parameters


@pytest.mark.parametrize("n_done", [0, 1, 2, 9, 17, 26])
def test_a_search_that_was_killed_after_any_trial_goes_on_as_if_it_had_not(n_done: int) -> None:
    whole = found()
    kept = [Trial.from_dict(trial.to_dict()) for trial in whole.trials[:n_done]]
    assert found(known=kept) == whole


def test_known_trials_are_not_measured_again() -> None:
    def refuse(parameters: Parameters, fold: int) -> Measured:
        raise AssertionError

    assert found(known=found().trials, measure=refuse).best == found().best


def test_new_trials_are_reported_and_known_ones_are_not() -> None:
    told: list[int] = []
    search(SPACE, hill, LIMITS, known=found().trials[:20], on_trial=lambda trial: told.append(trial.number))
    assert told == list(range(20, 26))


def test_proposals_stay_inside_the_space() -> None:
    for trial in found(replace(LIMITS, n_trials=60)).trials[1:]:
        depth, rate, kind = (trial.parameters[name] for name in SPACE)
        assert isinstance(depth, int)
        assert 1 <= depth <= 20
        assert isinstance(rate, float)
        assert 0.001 <= rate <= 1.0
        assert kind in ("a", "b")


def test_clearly_worse_settings_are_given_up_after_a_fold() -> None:
    pruned = [trial for trial in found().trials if trial.pruned]
    assert pruned
    assert all(0 < len(trial.scores) < LIMITS.n_folds for trial in pruned)


def test_a_setting_that_was_given_up_never_wins() -> None:
    assert not found().best.pruned


def test_time_that_runs_out_is_reported() -> None:
    outcome = search(SPACE, hill, replace(LIMITS, timeout_s=30.0), clock=ticking(1.0))
    assert outcome.cut_short
    assert 1 < len(outcome.trials) < 26


def test_a_trial_that_time_cuts_off_leaves_nothing() -> None:
    outcome = search(SPACE, hill, replace(LIMITS, timeout_s=30.0), clock=ticking(1.0))
    assert all(trial.pruned or len(trial.scores) == LIMITS.n_folds for trial in outcome.trials)


def test_the_defaults_are_measured_whatever_the_time() -> None:
    outcome = search(SPACE, hill, replace(LIMITS, timeout_s=0.0), clock=ticking(100.0))
    assert (outcome.cut_short, outcome.best.number) == (True, 0)


def test_the_time_of_an_earlier_attempt_counts() -> None:
    known = [replace(trial, seconds=20.0) for trial in found().trials[:3]]
    assert len(search(SPACE, hill, replace(LIMITS, timeout_s=60.0), known=known).trials) == 3


def test_a_search_that_ended_in_time_was_not_cut_short() -> None:
    assert not found().cut_short


def test_a_metric_that_is_not_defined_on_a_fold_ends_the_search() -> None:
    def undefined(parameters: Parameters, fold: int) -> Measured:
        return Measured(score=math.nan if fold == 1 else 0.5, y_score=np.empty(0), threshold=None)

    with pytest.raises(NotTrainable, match="not defined on fold 2"):
        found(measure=undefined)
