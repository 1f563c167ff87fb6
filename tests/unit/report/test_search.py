from dataclasses import replace

from tidemill.records import MetricValue, SearchReport
from tidemill.report.search import search_sentences

REPORT = SearchReport(
    n_trials=25,
    n_pruned=9,
    n_folds=3,
    cut_short=False,
    best=17,
    parameters={"max_depth": 4},
    score=0.74,
    default_score=0.73,
    gain=MetricValue(name="roc_auc", value=0.01, low=0.004, high=0.016),
    at_bounds=("max_depth = 4 lies at the upper end of its range, 3 to 4.",),
    seconds=200.0,
    digest="a" * 64,
    uri="m/s/a",
)


def said(report: SearchReport) -> str:
    return " ".join(search_sentences(report))


def test_trials_folds_and_those_given_up_are_reported() -> None:
    assert "25 settings were tried in addition to the defaults, 9 of them given up early, on 3 folds" in said(REPORT)


def test_winner_and_gain_with_its_interval_are_reported() -> None:
    assert "The winner is max_depth 4: roc_auc 0.74" in said(REPORT)
    assert "0.004" in said(REPORT)


def test_the_gain_on_the_test_set_is_reported_where_it_is_known() -> None:
    on_test = MetricValue(name="roc_auc", value=0.0071, low=-0.002, high=0.016)
    assert "On the test set, which the search did not use, the gain is 0.0071" in " ".join(
        search_sentences(REPORT, on_test)
    )
    assert "On the test set" not in said(REPORT)


def test_edges_are_reported() -> None:
    assert "lies at the upper end" in said(REPORT)


def test_a_search_that_was_cut_short_says_so() -> None:
    assert "Time ran out" not in said(REPORT)
    assert "Time ran out" in said(replace(REPORT, cut_short=True))


def test_defaults_that_won_are_reported() -> None:
    assert "None beat the defaults" in said(replace(REPORT, best=0, parameters={}))
