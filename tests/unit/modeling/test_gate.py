from dataclasses import replace

import pytest

from tidemill.errors import SpecError
from tidemill.modeling.gate import decide_acceptance
from tidemill.modeling.metrics import evaluate, paired_difference
from tidemill.records import BundleRef, EvaluationReport, MetricValue, Verdict

NAN, INF = float("nan"), float("inf")
NOT_NUMBERS = [NAN, INF, -INF]


def figure(value, low=None, high=None, name="roc_auc", slice=None):
    return MetricValue(name=name, value=value, low=low, high=high, slice=slice, n=900)


def difference(value=0.05, low=0.02, high=0.08, name="roc_auc", slice="prior"):
    return figure(value, low, high, name, slice)


GOOD = EvaluationReport(
    estimator="xgboost",
    bundle=BundleRef(
        estimator="xgboost", digest="ab", uri="u", size_bytes=1, fit_s=1.0, baseline=False, validation_score=0.7
    ),
    candidates=(),
    importance=(),
    metrics=(figure(0.741, 0.72, 0.76), figure(0.30, slice="origin=EWR")),
    baselines=(difference(slice="prior"), difference(slice="shallow_tree")),
    champion_release=3,
    champion_difference=difference(0.001, -0.003, 0.004, slice=None),
    champion_saw_test=False,
    n_test=900,
    uri="u",
)


def decide(report, metric="roc_auc", minimum=0.62, margin=0.005):
    return decide_acceptance(report, metric=metric, minimum=minimum, margin=margin)


def test_good_evidence_is_accepted_with_a_sentence_for_each_thing_weighed():
    decision = decide(GOOD)
    assert decision.verdict is Verdict.ACCEPT
    assert decision.reasons == (
        "The test set has 900 labelled rows, at least the 100 needed.",
        "roc_auc 0.741 is at least the floor 0.62.",
        "roc_auc minus that of baseline prior is +0.0500 (+0.0200 to +0.0800): better with the whole interval.",
        "roc_auc minus that of baseline shallow_tree is +0.0500 (+0.0200 to +0.0800): better with the whole interval.",
        "roc_auc minus that of the champion, release 3, is +0.0010 (-0.0030 to +0.0040): not worse by 0.005 or more.",
    )


REJECTED = {
    "value below the floor": (replace(GOOD, metrics=(figure(0.6),)), "roc_auc 0.6 is below the floor 0.62."),
    "metric missing": (replace(GOOD, metrics=()), "roc_auc of the candidate is missing from the evaluation."),
    "metric of a slice alone": (replace(GOOD, metrics=(figure(0.9, slice="origin=EWR"),)), "is missing"),
    "no baseline": (replace(GOOD, baselines=()), "compared with no baseline"),
    "baseline not beaten": (replace(GOOD, baselines=(difference(low=-0.001),)), "not shown to be better"),
    "baseline beaten by nothing": (replace(GOOD, baselines=(difference(low=0.0),)), "not shown to be better"),
    "second baseline not beaten": (
        replace(GOOD, baselines=(difference(), difference(low=-0.1, slice="group_rate"))),
        "baseline group_rate",
    ),
    "baseline in another metric": (replace(GOOD, baselines=(difference(name="f1"),)), "is in f1, not in roc_auc"),
    "interval turned round": (replace(GOOD, baselines=(difference(low=0.2, high=0.1),)), "turned round"),
    "worse than the champion": (
        replace(GOOD, champion_difference=difference(-0.05, -0.08, -0.02)),
        "may be worse by 0.005",
    ),
    "champion: exactly the margin": (
        replace(GOOD, champion_difference=difference(0.0, -0.005, 0.005)),
        "may be worse by 0.005",
    ),
    "champion: difference missing": (replace(GOOD, champion_difference=None), "release 3, is missing"),
    "champion: release missing": (replace(GOOD, champion_release=None), "no release that it belongs to"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_gate_rejects_and_says_why_first(case):
    report, reason = REJECTED[case]
    decision = decide(report)
    assert decision.verdict is Verdict.REJECT
    assert reason in decision.reasons[0]


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_gate_rejects_when_the_metric_is_no_number(value):
    decision = decide(replace(GOOD, metrics=(figure(value),)))
    assert decision.verdict is Verdict.REJECT
    assert "not a number to decide on" in decision.reasons[0]


@pytest.mark.parametrize("value", [*NOT_NUMBERS, None])
@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("of", ["baselines", "champion_difference"])
def test_gate_rejects_when_an_interval_is_no_interval(of, end, value):
    bad = replace(difference(), **{end: value})
    report = replace(GOOD, **{of: (bad,) if of == "baselines" else bad})
    assert decide(report).verdict is Verdict.REJECT


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_gate_rejects_when_a_difference_is_no_number(value):
    assert decide(replace(GOOD, baselines=(difference(value),))).verdict is Verdict.REJECT


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_gate_rejects_when_the_floor_is_no_number(value):
    assert decide(GOOD, minimum=value).verdict is Verdict.REJECT


@pytest.mark.parametrize("value", [*NOT_NUMBERS, -0.01])
def test_gate_rejects_when_the_margin_is_no_margin(value):
    assert decide(GOOD, margin=value).verdict is Verdict.REJECT


def test_value_equal_to_the_floor_is_accepted():
    assert decide(GOOD, minimum=0.741).accepted


def test_the_first_model_needs_no_champion():
    decision = decide(replace(GOOD, champion_release=None, champion_difference=None))
    assert decision.accepted
    assert "There is no champion yet to compare with." in decision.reasons


@pytest.mark.parametrize("n_test", [0, 1, 99])
def test_a_tiny_test_set_is_not_enough_evidence(n_test):
    decision = decide(replace(GOOD, n_test=n_test))
    assert decision.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert decision.reasons[0] == f"The test set has {n_test} labelled rows; at least 100 are needed."


def test_a_bad_model_on_a_tiny_test_set_is_rejected():
    assert decide(replace(GOOD, n_test=5, metrics=(figure(0.4),))).verdict is Verdict.REJECT


def test_beating_a_champion_that_saw_the_test_set_is_accepted_and_said():
    decision = decide(replace(GOOD, champion_saw_test=True))
    assert decision.accepted
    assert "although the champion was trained on some of the test rows" in decision.reasons[-1]


def test_losing_to_a_champion_that_saw_the_test_set_is_not_enough_evidence():
    report = replace(GOOD, champion_saw_test=True, champion_difference=difference(-0.05, -0.08, -0.02))
    decision = decide(report)
    assert decision.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert "which flatters it" in decision.reasons[0]


def test_a_loss_is_better_when_it_is_lower():
    report = replace(
        GOOD,
        metrics=(figure(0.5, name="log_loss"),),
        baselines=(difference(-0.05, -0.08, -0.02, "log_loss"),),
        champion_difference=difference(0.0, -0.01, 0.004, "log_loss"),
    )
    assert decide(report, metric="log_loss", minimum=0.55).accepted


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": (figure(0.6, name="log_loss"),)},
        {"baselines": (difference(0.05, 0.02, 0.08, "log_loss"),)},
        {"champion_difference": difference(0.02, 0.001, 0.03, "log_loss")},
    ],
)
def test_a_loss_that_is_higher_is_rejected(change):
    good = replace(
        GOOD,
        metrics=(figure(0.5, name="log_loss"),),
        baselines=(difference(-0.05, -0.08, -0.02, "log_loss"),),
        champion_difference=difference(0.0, -0.01, 0.004, "log_loss"),
    )
    assert decide(replace(good, **change), metric="log_loss", minimum=0.55).verdict is Verdict.REJECT


def test_figures_of_a_single_class_are_rejected():
    ones, score = [1] * 200, [0.7] * 200
    report = replace(
        GOOD,
        metrics=evaluate("binary", ones, score),
        baselines=(paired_difference("roc_auc", ones, score, score, None, slice="prior"),),
    )
    assert decide(report).verdict is Verdict.REJECT


def test_figures_of_few_days_are_rejected():
    y, score, days = [0, 1] * 100, [0.2, 0.8] * 100, [0, 1, 2, 3] * 50
    report = replace(GOOD, baselines=(paired_difference("roc_auc", y, score, [0.5] * 200, days, slice="prior"),))
    decision = decide(report)
    assert decision.verdict is Verdict.REJECT
    assert "has low nan" in decision.reasons[0]


def test_an_unknown_metric_is_refused():
    with pytest.raises(SpecError, match="roc_auc"):
        decide(GOOD, metric="rocauc")
