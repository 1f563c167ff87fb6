"""How often the gate errs, on pairs of models whose true difference is known; tests/bench/gate_errors.py runs more."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import rankdata

from tidemill.records import Verdict

from .rivals import HANDICAPS, MARGIN, Days, judge, live_days

pytestmark = pytest.mark.slow

N_PAIRS = 300  # so that a share of 2.5 % has a standard error of 0.9 %


@pytest.fixture(scope="module")
def verdicts():
    """Verdicts on 300 pairs of each kind, on 14 days of 60 rows."""
    found = {}
    for number, (truth, handicap) in enumerate(HANDICAPS.items()):
        rng = np.random.default_rng(number)
        pairs = (live_days(rng, 14, 60, resemblance=0.15, handicap=handicap) for _ in range(N_PAIRS))
        found[truth] = Counter(judge(days) for days in pairs)
    return found


def test_a_challenger_worse_by_the_margin_is_accepted_no_more_often_than_stated(verdicts):
    assert verdicts["worse by the margin"][Verdict.ACCEPT] / N_PAIRS < 0.025 + 3 * 0.009


def test_a_better_challenger_is_accepted_more_often_than_an_equal_one(verdicts):
    accepted = [verdicts[truth][Verdict.ACCEPT] for truth in HANDICAPS]
    assert accepted == sorted(accepted)
    assert accepted[2] > 4 * accepted[0]


def test_an_equal_challenger_is_seldom_rejected(verdicts):
    assert verdicts["equal"][Verdict.REJECT] < verdicts["worse by the margin"][Verdict.REJECT] / 2


@pytest.mark.parametrize(("truth", "expected"), [("worse by the margin", -MARGIN), ("better by the margin", MARGIN)])
def test_the_pairs_differ_as_described(truth, expected):
    rng = np.random.default_rng(11)
    days = live_days(rng, 4000, 100, resemblance=0.0, handicap=HANDICAPS[truth])
    assert gap(days) == pytest.approx(expected, abs=0.003)


def gap(days: Days) -> float:
    y = days.y.ravel()
    areas = []
    for score in (days.challenger, days.champion):
        ranks = rankdata(score.ravel())
        areas.append((ranks[y].sum() - y.sum() * (y.sum() + 1) / 2) / (y.sum() * (~y).sum()))
    return areas[0] - areas[1]
