"""The gate's truth table: every row is one report that differs from a good one in one thing, and its verdict."""

from dataclasses import replace

import pytest

from tidemill.errors import SpecError
from tidemill.metrics.differences import paired_difference
from tidemill.modeling.gate.gate import decide_acceptance
from tidemill.records import (
    BehaviourCheck,
    BundleRef,
    EvaluationReport,
    MetricValue,
    Refit,
    Rehearsal,
    SliceSearch,
    Verdict,
    WeakSlice,
)
from tidemill.spec import Accept

NAN, INF = float("nan"), float("inf")
ACCEPT, REJECT, UNDECIDED = Verdict.ACCEPT, Verdict.REJECT, Verdict.NOT_ENOUGH_EVIDENCE
GIB = 2**30


def figure(value, low=None, high=None, name="roc_auc", slice=None, n=1400):
    return MetricValue(name=name, value=value, low=low, high=high, slice=slice, n=n)


def difference(value=0.05, low=0.02, high=0.08, *, name="roc_auc", slice="prior", n=1400, n_blocks=14, error=0.0139):
    return MetricValue(
        name=name, value=value, low=low, high=high, slice=slice, n=n, n_blocks=n_blocks, standard_error=error
    )


def against_champion(value=0.001, low=-0.003, high=0.005, *, error=0.00185, **changes):
    return difference(value, low, high, **{"slice": "release 3", "error": error, **changes})


def against_anchor(value=0.001, low=-0.003, high=0.005, **changes):
    found = against_champion(value, low, high, **{"slice": "release 2", **changes})
    return {"anchor_release": 2, "anchor_difference": found}


def slices(*values, n=1400, n_blocks=14, error=0.01):
    return tuple(
        difference(value, value - 0.02, value + 0.02, slice=f"origin={number}", n=n, n_blocks=n_blocks, error=error)
        for number, value in enumerate(values)
    )


def shares(unlabelled, unmatched, usual=None, near=0.0):
    return {
        "near_match_share": near,
        "unlabelled_share": unlabelled,
        "unmatched_label_share": unmatched,
        "champion_unlabelled_share": usual,
    }


def gaps(*values, error=0.01, n=1400):
    return tuple(
        difference(value, name="gap_selection_rate", slice=f"sex={number}", error=error, n=n)
        for number, value in enumerate(values)
    )


def weak_slices(*, expected=None):
    value = figure(0.52, slice="hour<9", n=412)
    found = WeakSlice(value=value, expected=expected, difference=difference(-0.18, -0.25, -0.11, slice="hour<9"))
    return SliceSearch(n_searched=312, n_tested=3, weak=(found,))


SOUND = BehaviourCheck(name="row order", passed=True, observed="as it should be")
REHEARSED = Rehearsal(n_rows=1400, n_different=0, seconds_per_million=8.0, peak_rss_bytes=GIB)
CHANGED = figure(0.02, name="share_of_decisions")
GOOD = EvaluationReport(
    estimator="xgboost",
    bundle=BundleRef(
        estimator="xgboost", digest="ab", uri="u", size_bytes=1, fit_s=1.0, baseline=False, validation_score=0.7
    ),
    candidates=(),
    importance=(),
    metrics=(figure(0.741, 0.72, 0.76), figure(0.03, name="expected_calibration_error"), figure(0.3, slice="origin=0")),
    baselines=(difference(slice="prior"), difference(slice="shallow_tree")),
    champion_release=3,
    champion_difference=against_champion(),
    champion_slices=slices(0.01, -0.01),
    champion_saw_test=False,
    churn=figure(0.08, name="share_of_decisions"),
    behaviour=(SOUND,),
    rehearsal=REHEARSED,
    n_test=1400,
    n_test_blocks=14,
    uri="u",
)
REFIT = Refit(judged=GOOD.bundle, n_rows=9000, behaviour=(SOUND,), rehearsal=REHEARSED, churn=CHANGED)
STRICT = Accept(
    minimum=0.62,
    margin=0.005,
    slices=("origin",),
    calibration_error=0.05,
    churn=0.1,
    seconds_per_million=60,
    memory_mb=2048,
)
FIRST = {"champion_release": None, "champion_difference": None, "champion_slices": (), "churn": None}


TOGETHER = STRICT.model_copy(update={"looks": "together"})


def decide(accept=STRICT, **changes):
    return decide_acceptance(replace(GOOD, **changes), accept)


TABLE = {
    # floor
    "all is well": (ACCEPT, {}, "at least the floor 0.62"),
    "value equal to the floor": (ACCEPT, {"metrics": (figure(0.62), *GOOD.metrics[1:])}, "at least the floor 0.62"),
    "value below the floor": (REJECT, {"metrics": (figure(0.6), *GOOD.metrics[1:])}, "below the floor 0.62"),
    "value is NaN": (REJECT, {"metrics": (figure(NAN), *GOOD.metrics[1:])}, "not a number to decide on"),
    "value is infinite": (REJECT, {"metrics": (figure(INF), *GOOD.metrics[1:])}, "not a number to decide on"),
    "value is minus infinity": (REJECT, {"metrics": (figure(-INF), *GOOD.metrics[1:])}, "not a number to decide on"),
    "no metric at all": (REJECT, {"metrics": ()}, "roc_auc of the candidate is missing"),
    "metric of a slice alone": (REJECT, {"metrics": (figure(0.9, slice="origin=0"), *GOOD.metrics[1:])}, "missing"),
    # size
    "no test row": (UNDECIDED, {"n_test": 0}, "0 labelled rows; at least 100 are needed, 100 more"),
    "one test row": (UNDECIDED, {"n_test": 1}, "99 more"),
    "one row too few": (UNDECIDED, {"n_test": 99}, "1 more"),
    "just enough rows": (ACCEPT, {"n_test": 100}, "100 labelled rows"),
    "one day too few": (UNDECIDED, {"n_test_blocks": 4}, "spans 4 days with labels; at least 5 are needed, 1 more"),
    "days not known, as in old records": (ACCEPT, {"n_test_blocks": None}, "1,400 labelled rows"),
    # labels
    "labels not counted, as in old records": (ACCEPT, {"champion_unlabelled_share": 0.0}, "1,400 labelled rows"),
    "nearly all rows have a label": (ACCEPT, shares(0.02, 0.0), "2 % of the rows of matured partitions have no label"),
    "the keys are written in two ways": (
        REJECT,
        shares(0.556, 0.556, near=0.556),
        "55.6 % of the labels match no row: the keys of 55.6 % of the rows differ from a label's only in blanks",
    ),
    "a few keys are written in two ways": (REJECT, shares(0.11, 0.01, 0.1, 0.0101), "Write the key alike in both"),
    "hardly any key is written in two ways": (ACCEPT, shares(0.11, 0.01, 0.1, 0.01), "11 % of the rows"),
    "many labels of others, and some rows without one": (
        ACCEPT,
        shares(0.5, 0.95),
        "95 % of the labels match no row.",
    ),
    "features and labels hardly meet": (UNDECIDED, shares(0.51, 0.51), "features and labels hardly meet. See whether"),
    "features and labels hardly meet, as usual": (
        ACCEPT,
        shares(0.8, 0.8, 0.8),
        "in the champion's training was 80 %.",
    ),
    "share of keys written in two ways is NaN": (REJECT, shares(0.0, 0.0, near=NAN), "not valid shares"),
    "few rows without a label, many labels of others": (ACCEPT, shares(0.1, 0.9), "90 % of the labels match no row."),
    "many rows without a label, few labels of others": (ACCEPT, shares(0.9, 0.1), "90 % of the rows"),
    "share without a label is NaN": (REJECT, shares(NAN, 0.0), "not valid shares"),
    "share of labels without a row is NaN": (REJECT, shares(0.0, NAN), "not valid shares"),
    "share without a label as usual": (ACCEPT, shares(0.02, 0.0, 0.02), "in the champion's training was 2 %."),
    "far more rows without a label than usual": (
        UNDECIDED,
        shares(0.25, 0.0, 0.02),
        "25 % of the rows of matured partitions have no label, and 0 % of the labels match no row; "
        "the share of rows without a label in the champion's training was 2 %, so labels are missing. Find out where",
    ),
    "rows without a label for the first time": (UNDECIDED, shares(0.101, 0.0, 0.0), "10.1 % of the rows"),
    "four times as usual, but few": (ACCEPT, shares(0.1, 0.0, 0.025), "10 % of the rows"),
    "far above usual, but not three times": (ACCEPT, shares(0.75, 0.0, 0.25), "75 % of the rows"),
    "the usual share is NaN": (UNDECIDED, shares(0.02, 0.0, NAN), "training was not defined, so"),
    # baselines
    "no baseline": (REJECT, {"baselines": ()}, "compared with no baseline"),
    "better than a baseline, but not surely": (
        UNDECIDED,
        {"baselines": (difference(0.05, -0.001, 0.101, error=0.0236),)},
        "not shown to be better; about 17 more days of labels",
    ),
    "as good as a baseline": (REJECT, {"baselines": (difference(0.0, -0.03, 0.03),)}, "not better"),
    "worse than a baseline": (REJECT, {"baselines": (difference(-0.05, -0.08, -0.02),)}, "not better"),
    "one baseline of two not beaten": (
        REJECT,
        {"baselines": (difference(), difference(-0.01, -0.04, 0.02, slice="group_rate"))},
        "baseline group_rate",
    ),
    "baseline in another metric": (REJECT, {"baselines": (difference(name="f1"),)}, "is in f1, not in roc_auc"),
    "baseline: the rows tell nothing about the error": (
        UNDECIDED,
        {"baselines": (difference(low=NAN, high=NAN),)},
        "has no interval: too few days hold rows that count for roc_auc",
    ),
    "interval turned round": (REJECT, {"baselines": (difference(low=0.2, high=0.1),)}, "turned round"),
    "difference to a baseline is NaN": (REJECT, {"baselines": (difference(NAN),)}, "has value nan"),
    "difference to a baseline is infinite": (REJECT, {"baselines": (difference(INF),)}, "has value inf"),
    "baseline: low end is NaN": (REJECT, {"baselines": (difference(low=NAN),)}, "has low nan"),
    "baseline: low end is missing": (REJECT, {"baselines": (difference(low=None),)}, "has low None"),
    "baseline: low end is infinite": (REJECT, {"baselines": (difference(low=-INF),)}, "has low -inf"),
    "baseline: high end is NaN": (REJECT, {"baselines": (difference(high=NAN),)}, "has high nan"),
    "baseline: high end is missing": (REJECT, {"baselines": (difference(high=None),)}, "has high None"),
    "baseline: too few days for an interval": (
        UNDECIDED,
        {"baselines": (difference(low=NAN, high=NAN, n_blocks=3),)},
        "rests on 3 days; at least 5 are needed, 2 days of labels more",
    ),
    # champion
    "no champion yet": (ACCEPT, FIRST, "There is no champion yet"),
    "shown to be no worse": (ACCEPT, {}, "not worse by 0.005 or more"),
    "low end exactly at the margin": (
        UNDECIDED,
        {"champion_difference": against_champion(0.0, -0.005, 0.005)},
        "may be worse by 0.005 or more; about 7 more days of labels",
    ),
    "may be better or worse: too few days": (
        UNDECIDED,
        {"champion_difference": against_champion(0.002, -0.018, 0.022, error=0.0093)},
        "about 193 more days of labels (19,300 rows) would decide it",
    ),
    "a margin that could be shown is named": (
        UNDECIDED,
        {"champion_difference": against_champion(0.002, -0.018, 0.022, error=0.0093)},
        "A margin above 0.018 could be shown with what there is",
    ),
    "hardly above the margin: no number helps": (
        UNDECIDED,
        {"champion_difference": against_champion(-0.00499, -0.05, 0.04, error=0.02)},
        "no test set would show it in less than 3,650 days",
    ),
    "the estimate itself is the margin": (
        REJECT,
        {"champion_difference": against_champion(-0.005, -0.02, 0.01)},
        "worse by 0.005 or more",
    ),
    "worse than the champion": (
        REJECT,
        {"champion_difference": against_champion(-0.05, -0.08, -0.02)},
        "worse by 0.005 or more",
    ),
    "champion: difference is missing": (REJECT, {"champion_difference": None}, "release 3, is missing"),
    "champion cannot be scored on these rows": (
        UNDECIDED,
        {"champion_difference": None, "champion_slices": (), "churn": None, "champion_problem": "It reads 'wind'."},
        "release 3, cannot be compared: It reads 'wind'.",
    ),
    "champion: release is missing": (REJECT, {"champion_release": None}, "no release that it belongs to"),
    "champion: value is NaN": (REJECT, {"champion_difference": against_champion(NAN)}, "has value nan"),
    "champion: low end is NaN": (REJECT, {"champion_difference": against_champion(low=NAN)}, "has low nan"),
    "champion: low end is missing": (REJECT, {"champion_difference": against_champion(low=None)}, "has low None"),
    "champion: high end is infinite": (REJECT, {"champion_difference": against_champion(high=INF)}, "has high inf"),
    "champion: in another metric": (REJECT, {"champion_difference": against_champion(name="f1")}, "is in f1"),
    "champion: too few days that it has not seen": (
        UNDECIDED,
        {"champion_difference": against_champion(low=NAN, high=NAN, n_blocks=2)},
        "rests on 2 days",
    ),
    "champion: compared on the rows that it has not seen": (
        ACCEPT,
        {"champion_difference": against_champion(n=700)},
        "on the 700 of 1,400 test rows that the champion has not seen",
    ),
    "champion saw the test rows, and loses": (
        ACCEPT,
        {"champion_saw_test": True},
        "although the champion was trained on some of the test rows",
    ),
    "champion saw the test rows, and wins": (
        UNDECIDED,
        {"champion_saw_test": True, "champion_difference": against_champion(-0.05, -0.08, -0.02)},
        "which flatters it",
    ),
    # slices
    "no slice shown to be worse": (ACCEPT, {}, "2 of 2 slices could be compared"),
    "a slice worse, within what chance explains": (ACCEPT, {"champion_slices": slices(-0.02, 0.0)}, "none is shown"),
    "a search without a weak slice": (ACCEPT, {"slice_search": SliceSearch(n_searched=312, n_tested=3)}, "among 312"),
    "a weak slice refuses nothing": (
        ACCEPT,
        {"slice_search": weak_slices()},
        "for hour<9 (412 test rows), roc_auc is 0.52, 0.18",
    ),
    "a weak slice beside what scores promise": (
        ACCEPT,
        {"slice_search": weak_slices(expected=0.71)},
        "roc_auc is 0.52, where its scores promise 0.71: 0.18 worse",
    ),
    "gaps without a limit": (ACCEPT, {"gaps": gaps(0.3)}, "at least the floor"),
    "a slice shown to be worse": (REJECT, {"champion_slices": slices(-0.06, 0.0)}, "For origin=0, roc_auc minus"),
    "worse alone, but one of many looks": (
        ACCEPT,
        {"champion_slices": slices(-0.03, *[0.0] * 19)},
        "20 of 20 slices could be compared with the champion's; none is shown",
    ),
    "the same slice, looked at alone": (REJECT, {"champion_slices": slices(-0.04)}, "allowing for 1 slices"),
    "slices were not compared": (REJECT, {"champion_slices": ()}, "were not compared"),
    "all slices too small": (UNDECIDED, {"champion_slices": slices(0.1, n=40)}, "No slice by origin has 100"),
    "all slices over too few days": (UNDECIDED, {"champion_slices": slices(0.1, n_blocks=3)}, "over 5 days"),
    "a slice of one class beside a sound one": (
        ACCEPT,
        {"champion_slices": (*slices(0.0), difference(NAN, NAN, NAN, slice="origin=9", error=NAN))},
        "1 of 2 slices could be compared",
    ),
    "a slice is worse, and the champion saw the rows": (
        UNDECIDED,
        {"champion_saw_test": True, "champion_slices": slices(-0.06, 0.0)},
        "For origin=0",
    ),
    # calibration
    "calibration within its limit": (ACCEPT, {}, "off by 0.0300 on average"),
    "calibration over its limit": (
        REJECT,
        {"metrics": (figure(0.741), figure(0.051, name="expected_calibration_error"))},
        "over the limit of 0.05",
    ),
    "calibration is missing": (REJECT, {"metrics": (figure(0.741),)}, "calibration error of the candidate is missing"),
    "calibration is NaN": (
        REJECT,
        {"metrics": (figure(0.741), figure(NAN, name="expected_calibration_error"))},
        "calibration error of the candidate is nan",
    ),
    # churn
    "churn within its limit": (ACCEPT, {}, "8 % of the decisions differ"),
    "churn over its limit": (REJECT, {"churn": figure(0.11, name="share_of_decisions")}, "over the limit of 0.1"),
    "churn is missing": (REJECT, {"churn": None}, "churn against the champion is missing"),
    "churn is NaN": (REJECT, {"churn": figure(NAN, name="share_of_decisions")}, "churn against the champion is nan"),
    # behaviour
    "behaviour not checked": (REJECT, {"behaviour": ()}, "was not checked"),
    "behaviour fails": (
        REJECT,
        {"behaviour": (SOUND, replace(SOUND, name="batch size", passed=False, observed="3 of 9 rows differ"))},
        "'batch size' failed: 3 of 9 rows differ.",
    ),
    # a clean process
    "not loaded in a clean process": (REJECT, {"rehearsal": None}, "was not loaded in a clean process"),
    "classes that the train set lacks": (
        ACCEPT,
        {"metrics": (*GOOD.metrics, figure(0.12, name="unknown_class_share"))},
        "12 % of the test rows",
    ),
    "clean process fails": (REJECT, {"rehearsal": replace(REHEARSED, problem="It ended with code 1.")}, "code 1"),
    "clean process scores differently": (REJECT, {"rehearsal": replace(REHEARSED, n_different=1)}, "1 of 1,400 rows"),
    "clean process scores nothing": (REJECT, {"rehearsal": replace(REHEARSED, n_rows=0)}, "0 of 0 rows"),
    "too slow": (REJECT, {"rehearsal": replace(REHEARSED, seconds_per_million=61.0)}, "over the limit of 60 s"),
    "as slow as allowed": (ACCEPT, {"rehearsal": replace(REHEARSED, seconds_per_million=60.0)}, "within the limit"),
    "speed is NaN": (REJECT, {"rehearsal": replace(REHEARSED, seconds_per_million=NAN)}, "is not a measurement"),
    "speed is zero": (REJECT, {"rehearsal": replace(REHEARSED, seconds_per_million=0.0)}, "is not a measurement"),
    "too much memory": (REJECT, {"rehearsal": replace(REHEARSED, peak_rss_bytes=3 * GIB)}, "limit of 2,048 MiB"),
    "memory not measured": (REJECT, {"rehearsal": replace(REHEARSED, peak_rss_bytes=0)}, "is not a measurement"),
    # the fit on all rows
    "fitted again": (
        ACCEPT,
        {"refit": REFIT},
        "all 9,000 labelled rows: 2 % of the decisions on the test rows differ",
    ),
    "fitted again, with values": (
        ACCEPT,
        {"refit": replace(REFIT, churn=figure(0.1, name="change_in_deviations"))},
        "differ by 0.1000 standard deviations",
    ),
    "fitted again, and the difference is NaN": (
        REJECT,
        {"refit": replace(REFIT, churn=figure(NAN))},
        "which is not a number",
    ),
    "fitted again, and its behaviour fails": (
        REJECT,
        {"refit": replace(REFIT, behaviour=(replace(SOUND, passed=False),))},
        "Fitted again: Check of behaviour 'row order' failed",
    ),
    "fitted again, and a clean process scores differently": (
        REJECT,
        {"refit": replace(REFIT, rehearsal=replace(REHEARSED, n_different=1))},
        "Fitted again: In a clean process 1 of 1,400 rows",
    ),
    # repeated looks
    "no worse, and the first look at this champion": (
        ACCEPT,
        {"accept": TOGETHER, "champion_difference": against_champion(0.001, -0.003, 0.005)},
        "at worst -0.0037 in this comparison number 1 with it: not worse",
    ),
    "no worse by itself, but the third look at this champion": (
        UNDECIDED,
        {"accept": TOGETHER, "champion_looks": 3},
        "in this comparison number 3 with it: it may be worse by 0.005 or more",
    ),
    "as many looks, each by itself": (ACCEPT, {"champion_looks": 26}, "not worse by 0.005 or more"),
    # an earlier champion
    "no worse than an earlier champion": (
        ACCEPT,
        against_anchor(0.001, -0.003, 0.005),
        "an earlier champion, is +0.0010",
    ),
    "small losses have added up": (REJECT, against_anchor(-0.008, -0.012, -0.004), "so small losses have added up"),
    "they may have added up": (
        UNDECIDED,
        against_anchor(-0.003, -0.007, 0.001),
        "it may be worse by 0.005 or more; about",
    ),
    "an earlier champion cannot be compared": (
        ACCEPT,
        {"anchor_release": 2, "anchor_problem": "Its folder is gone."},
        "is unknown: Its folder is gone.",
    ),
    "the difference to an earlier champion is missing": (
        REJECT,
        {"anchor_release": 2},
        "an earlier champion, is missing",
    ),
    "the difference to an earlier champion is NaN": (REJECT, against_anchor(NAN), "has value nan"),
    "an earlier champion was compared on too few days": (
        UNDECIDED,
        against_anchor(n_blocks=2, low=NAN, high=NAN),
        "rests on 2 days",
    ),
    # together
    "a bad model on a tiny test set": (REJECT, {"n_test": 5, "metrics": (figure(0.4),)}, "below the floor"),
    "undecided about the champion, and too slow": (
        REJECT,
        {
            "champion_difference": against_champion(0.0, -0.02, 0.02),
            "rehearsal": replace(REHEARSED, seconds_per_million=61.0),
        },
        "over the limit of 60 s",
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_the_verdict_of_every_row_of_the_truth_table(row):
    verdict, changes, _ = TABLE[row]
    assert decide(**changes).verdict is verdict


@pytest.mark.parametrize("row", TABLE)
def test_the_reason_of_every_row_is_reported_and_decisive_ones_come_first(row):
    verdict, changes, reason = TABLE[row]
    reasons = decide(**changes).reasons
    position = next(number for number, said in enumerate(reasons) if reason in said)
    assert position == 0 or verdict is ACCEPT or reason in " ".join(reasons[: position + 1])


def test_without_a_time_the_decision_says_what_is_not_known_and_asks_for_rows() -> None:
    unsure = replace(GOOD, baselines=(difference(0.05, -0.001, 0.101, error=0.0236),))
    decided = decide_acceptance(unsure, STRICT, unit="fold")
    assert "about 2.2 times as many labelled rows would decide it" in decided.reasons[0]
    assert any("how the model fares on later rows is not known" in reason for reason in decided.reasons)
    assert not any("Rows have no time" in reason for reason in decide().reasons)


@pytest.mark.parametrize("row", [name for name, (verdict, *_) in TABLE.items() if verdict is not ACCEPT])
def test_what_is_not_accepted_begins_with_its_reason(row):
    _, changes, _ = TABLE[row]
    first, good = decide(**changes).reasons[0], decide().reasons
    assert first not in good


def test_good_evidence_is_accepted_with_a_sentence_for_each_thing_weighed():
    assert decide().reasons == (
        "The test set has 1,400 labelled rows, at least the 100 needed.",
        "roc_auc 0.741 is at least the floor 0.62.",
        "roc_auc minus that of baseline prior is +0.0500 (+0.0200 to +0.0800): better, the whole 95 % interval is above 0.",
        "roc_auc minus that of baseline shallow_tree is +0.0500 (+0.0200 to +0.0800): "
        "better, the whole 95 % interval is above 0.",
        "roc_auc minus that of the champion, release 3, is +0.0010 (-0.0030 to +0.0050): not worse by 0.005 or more.",
        "2 of 2 slices could be compared with the champion's; none is shown to be worse by more than 0.005.",
        "Scores are off by 0.0300 on average (expected calibration error), within the limit of 0.05.",
        "8 % of the decisions differ from the champion's, within the limit of 0.1.",
        "It behaves as it should: row order.",
        "In a clean process all 1,400 rows get the same score, bit by bit.",
        "Scoring takes 8.0 processor seconds per million rows, within the limit of 60 s.",
        "Loading and scoring takes 1,024 MiB, within the limit of 2,048 MiB.",
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 60.0])
def test_without_a_margin_in_the_spec_the_unit_of_the_label_does_not_matter(scale):
    by_error = Accept(metric="mean_absolute_error")
    loss = {"name": "mean_absolute_error"}

    def verdict(worse):
        return decide(
            by_error,
            metrics=(figure(8 * scale, **loss), figure(0.03, name="expected_calibration_error")),
            baselines=(difference(-2 * scale, -2.2 * scale, -1.8 * scale, error=0.1 * scale, **loss),),
            champion_difference=against_champion(
                worse * scale, (worse - 0.01) * scale, (worse + 0.01) * scale, error=0.005 * scale, **loss
            ),
            champion_slices=(),
        )

    assert verdict(0.08).accepted  # of a lead of 2, 5 % are 0.1
    assert f"The margin is {0.1 * scale:.4g}, 5 % of the lead" in " ".join(verdict(0.08).reasons)
    assert verdict(0.12).verdict is REJECT


def test_without_a_known_lead_over_prior_a_challenger_has_to_be_better_than_the_champion():
    only_tree = (difference(slice="shallow_tree"),)
    assert decide(Accept(), baselines=only_tree).verdict is UNDECIDED
    assert decide(Accept(), baselines=only_tree, champion_difference=against_champion(0.01, 0.001, 0.019)).accepted


NO_LIMITS = Accept(minimum=0.62, margin=0.005, seconds_per_million=None, memory_mb=None)
UNLIMITED = {
    "calibration": {"metrics": (figure(0.741), figure(0.9, name="expected_calibration_error"))},
    "churn": {"churn": figure(0.9, name="share_of_decisions")},
    "seconds": {"rehearsal": replace(REHEARSED, seconds_per_million=1e6)},
    "memory": {"rehearsal": replace(REHEARSED, peak_rss_bytes=900 * GIB)},
    "slices": {"champion_slices": slices(-0.5)},
}


@pytest.mark.parametrize("row", UNLIMITED)
def test_what_the_spec_sets_no_limit_for_stops_nothing(row):
    assert decide(NO_LIMITS, **UNLIMITED[row]).accepted


@pytest.mark.parametrize("row", [name for name in UNLIMITED if name != "slices"])
def test_what_the_spec_sets_no_limit_for_is_reported_as_not_weighed(row):
    assert sum("not weighed" in reason for reason in decide(NO_LIMITS, **UNLIMITED[row]).reasons) == 4


@pytest.mark.parametrize("minimum", [NAN, INF, -INF])
def test_a_floor_that_is_not_a_number_is_never_reached(minimum):
    assert decide(STRICT.model_copy(update={"minimum": minimum})).verdict is REJECT


@pytest.mark.parametrize("margin", [NAN, INF, -INF, -0.01])
def test_a_margin_that_is_none_is_never_kept(margin):
    assert decide(STRICT.model_copy(update={"margin": margin})).verdict is REJECT


LOSS = Accept(metric="log_loss", minimum=0.55, margin=0.005)
AS_A_LOSS = {
    "metrics": (figure(0.5, name="log_loss"),),
    "baselines": (difference(-0.05, -0.08, -0.02, name="log_loss"),),
    "champion_difference": against_champion(0.0, -0.01, 0.004, name="log_loss"),
}
HIGHER = {
    "above the ceiling": {"metrics": (figure(0.6, name="log_loss"),)},
    "higher than a baseline": {"baselines": (difference(0.05, 0.02, 0.08, name="log_loss"),)},
    "higher than the champion": {"champion_difference": against_champion(0.02, 0.001, 0.03, name="log_loss")},
}


def test_a_loss_is_better_when_it_is_lower():
    assert decide(LOSS, **AS_A_LOSS).accepted


@pytest.mark.parametrize("row", HIGHER)
def test_a_loss_that_is_higher_is_rejected(row):
    assert decide(LOSS, **{**AS_A_LOSS, **HIGHER[row]}).verdict is REJECT


def test_an_evaluation_from_before_labels_were_counted_is_read_and_judged_as_before():
    names = shares(0.0, 0.0).keys()
    old = {name: value for name, value in GOOD.to_dict().items() if name not in names}
    assert decide_acceptance(EvaluationReport.from_dict(old), STRICT) == decide()


def test_a_block_of_time_is_called_what_the_spec_calls_it():
    report = replace(GOOD, champion_difference=against_champion(0.002, -0.018, 0.022, error=0.0093))
    assert "193 more weeks" in decide_acceptance(report, STRICT, unit="week").reasons[0]


def test_a_difference_measured_on_one_class_is_rejected():
    ones, score = [1] * 200, [0.7] * 200
    measured = paired_difference("roc_auc", ones, score, score, [day % 10 for day in range(200)], slice="prior")
    assert decide(baselines=(measured,)).verdict is REJECT


def test_a_difference_measured_on_few_days_is_not_enough_evidence():
    y, score, days = [0, 1] * 100, [0.2, 0.8] * 100, [0, 1, 2, 3] * 50
    measured = paired_difference("roc_auc", y, score, [0.5] * 200, days, slice="prior")
    assert decide(baselines=(measured,)).verdict is UNDECIDED


def test_an_unknown_metric_is_refused():
    with pytest.raises(SpecError, match="roc_auc"):
        decide(STRICT.model_copy(update={"metric": "rocauc"}))


@pytest.mark.parametrize(
    ("found", "verdict", "said"),
    [
        (gaps(0.12, -0.05), ACCEPT, "2 of 2 gaps between groups could be judged; none is shown"),
        (gaps(0.2), REJECT, "For sex=0, selection rate minus that of the other rows is +0.2000"),
        (gaps(-0.2), REJECT, "a gap above 0.1"),
        (gaps(0.128, *[0.0] * 19), ACCEPT, "none is shown"),  # one of 20, allowing for all
        (gaps(0.2, error=float("nan")), UNDECIDED, "No group has 100 labelled rows"),
        (gaps(0.2, n=90), UNDECIDED, "No group has 100 labelled rows"),
        ((), UNDECIDED, "No group has 100 labelled rows"),
    ],
)
def test_a_gap_is_rejected_only_if_shown_to_be_above_its_limit(found, verdict, said):
    accept = STRICT.model_copy(update={"gaps": {"selection_rate": 0.1}})
    decision = decide_acceptance(replace(GOOD, gaps=found), accept)
    assert decision.verdict is verdict
    assert any(said in reason for reason in decision.reasons)
