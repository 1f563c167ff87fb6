import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from tidemill.monitoring.drift import detect_drift, detect_score_drift
from tidemill.monitoring.profile import build_profile, count_table
from tidemill.records import Alert, MetricValue, OpenAlert, Severity
from tidemill.records.figures import percent
from tidemill.report.monitoring import AlertsView, LabelsView, MonitorView, QualityView, drifted_features, monitor_page
from tidemill.report.values import DriftRow, LabelRow, SliceRow, State, StepCompute
from tidemill.steps.monitor.page import Marks, _drift_rows, _slice_rows

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><text>late</text></svg>'
QUIET = DriftRow(feature="dep_hour", metrics=(MetricValue(name="psi", value=0.03),), threshold=0.2, picture=SVG)
LOUD = DriftRow(feature="precip", metrics=(MetricValue(name="psi", value=0.31),), threshold=0.2)
LOST = replace(QUIET, feature="seats", metrics=(MetricValue(name="psi", value=math.nan),))
SCORE = replace(QUIET, feature="score", is_feature=False)

AUC = MetricValue(name="roc_auc", value=0.74, low=0.71, high=0.77, n=958, label_coverage=0.97)
RECENT = replace(AUC, name="roc_auc_recent")
QUALITY = QualityView(metric="roc_auc", floor=0.62, recent=RECENT, realised={"2013-07-01": (AUC,)})
BAD = replace(QUALITY, recent=replace(RECENT, value=0.596), realised={"2013-07-01": (replace(AUC, value=0.596),)})

ALERT = Alert(rule="drift:precip", severity=Severity.FAIL, message="precip drifts.", value=0.31, threshold=0.2)
OPEN = OpenAlert(
    alert_id=1,
    model="flight_delays",
    alert=ALERT,
    owner="ann@example.com",
    first_partition="2013-07-04",
    last_partition="2013-07-05",
    told=ALERT,
    told_partition="2013-07-04",
    acknowledged_by="bob",
)
WARNED = replace(OPEN, alert=replace(ALERT, severity=Severity.WARN))


def of(**parts: object) -> str:
    return monitor_page(MonitorView(**{"model": "flight_delays", "partition": "2013-07-06", **parts}))


def answer(html: str) -> str:
    return re.search(r"<h1>(.*?)</h1>", html).group(1)


def top(html: str) -> str:
    return html.partition('<section class="verdict')[2].partition("</section>")[0]


def tile(html: str, label: str) -> str:
    return html.partition(f'<div class="label">{label}</div>')[2].partition("</div></div>")[0]


def marks(html: str) -> list[str]:
    return re.findall(r'<span class="mark \w+">(\w+)</span>', html)


def test_the_page_of_a_healthy_model_says_so_first():
    page = of(drift=[QUIET], quality=QUALITY)
    assert answer(page) == "Yes: flight_delays is fine."
    assert "No column is beyond its drift threshold." in top(page)
    assert "is 0.740 (floor 0.620)" in top(page)


def test_before_the_labels_arrive_the_quality_is_reported_as_unknown():
    assert "The quality is not known before the labels arrive." in of(drift=[QUIET])


@pytest.mark.parametrize("is_estimated", [True, False])
def test_the_page_says_where_quality_is_not_estimated_before_labels_arrive(is_estimated):
    page = of(quality=replace(QUALITY, is_estimated=is_estimated))
    assert ("The quality of a regression is not estimated before labels arrive." in page) is not is_estimated


def test_an_alert_that_needs_action_makes_the_answer_no():
    page = of(alerts=AlertsView(opened=[OPEN]), drift=[QUIET])
    assert answer(page) == "No: 1 alert of flight_delays needs action today."


def test_alerts_that_warn_ask_for_a_look():
    page = of(alerts=AlertsView(opened=[WARNED, WARNED]), drift=[QUIET])
    assert answer(page) == "flight_delays works, but 2 alerts need a look."


def test_no_sentence_calls_drift_within_its_thresholds_while_a_row_is_beyond():
    page = of(drift=[QUIET, LOUD, SCORE], quality=QUALITY)
    assert answer(page) == "Yes: flight_delays has no open alert."
    assert "1 of 2 features (50 %) is beyond its drift threshold, which is not an alert yet." in top(page)
    assert "No column is beyond" not in page
    assert "1 of 2" in tile(page, "Drifted features")
    assert sorted(marks(page)) == ["beyond", "usual", "usual"]


def test_no_sentence_calls_quality_within_its_floor_while_it_is_below():
    page = of(drift=[QUIET], quality=BAD)
    assert "is 0.596, below its floor of 0.620, which is not an alert yet." in top(page)
    assert "(floor 0.620)" not in top(page)
    assert "beyond" in marks(page)
    assert "0.596" in tile(page, "Realised roc_auc")


def test_an_error_above_its_ceiling_is_beyond():
    error = MetricValue(name="mean_absolute_error", value=3.0, n=900)
    quality = QualityView(
        metric="mean_absolute_error",
        floor=2.0,
        greater_is_better=False,
        recent=replace(error, name="mean_absolute_error_recent"),
        realised={"2013-07-01": (error,)},
    )
    assert "is 3.000, above its ceiling of 2.000" in top(of(drift=[QUIET], quality=quality))


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (QUIET, State.USUAL),
        (LOUD, State.BEYOND),
        (replace(QUIET, found=True), State.BEYOND),
        (replace(QUIET, severity=Severity.WARN), State.WARN),
        (replace(LOUD, severity=Severity.FAIL), State.FAIL),
        (LOST, State.UNKNOWN),
    ],
)
def test_a_column_is_usual_beyond_its_threshold_or_in_an_alert(row, state):
    assert row.state is state


def test_a_step_that_crossed_a_rule_is_named_and_marked():
    page = of(drift=[QUIET], quality=QUALITY, compute=[StepCompute(step="predict", wall_s=9.0, found=True)])
    assert "predict crossed a threshold in this partition, which is not an alert yet." in top(page)
    assert marks(page).count("beyond") == 1


@pytest.mark.parametrize("drift", [[], [LOST]])
def test_a_model_of_which_nothing_is_known_is_not_fine(drift):
    assert answer(of(drift=drift)) == "Not known: nothing could be measured."


def test_a_fine_model_names_the_columns_that_could_not_be_compared():
    assert "Drift could not be measured for seats." in of(drift=[QUIET, LOST], quality=QUALITY)


def test_an_empty_partition_is_reported_as_empty():
    assert answer(of(n_rows=0)) == "Empty: flight_delays had nothing to score."


def test_drift_that_is_nan_is_shown_as_not_defined():
    assert '<td class="number">not defined' in of(drift=[LOST]).replace("\n", "")


def test_the_worst_drift_comes_first():
    page = of(drift=[QUIET, LOUD])
    assert page.index(">precip</th>") < page.index(">dep_<wbr>hour</th>")


def test_an_alert_says_since_when_whose_and_what_to_do():
    page = of(alerts=AlertsView(opened=[OPEN], runbook="https://example.com/runbook"))
    for said in (
        "2013-07-04",
        "ann@example.com",
        "Acknowledged by bob",
        "Last found in 2013-07-05",
        '<a href="https://example.com/runbook#drift">',
    ):
        assert said in page


def test_a_runbook_that_a_browser_cannot_open_is_no_link():
    assert "href" not in of(alerts=AlertsView(opened=[OPEN], runbook="javascript:alert(1)//"))


def test_what_was_found_and_is_no_alert_yet_is_listed():
    page = of(alerts=AlertsView(found=[ALERT]), drift=[QUIET], quality=QUALITY)
    assert "Beyond a threshold, no alert yet" in page
    assert answer(page) == "Yes: flight_delays has no open alert."
    assert "drift:precip crossed a threshold, which is not an alert yet." in top(page)


def test_a_late_partition_is_marked():
    late = {"2013-07-02": (replace(AUC, value=0.51),)}
    quality = replace(QUALITY, realised={**QUALITY.realised, **late}, late=frozenset(late))
    assert '2013-07-02 <span class="mark warn">late</span>' in of(drift=[QUIET], quality=quality)


def test_slices_are_shown_beside_acceptance_and_labels_as_they_arrive():
    recent = replace(RECENT, value=0.61, n=300, slice="origin=EWR")
    row = SliceRow(recent=recent, accepted=MetricValue(name="roc_auc", value=0.69, slice="origin=EWR"))
    rows = [LabelRow(partition="2013-07-04", hours=43.0, coverage=0.31, usual=float("nan"), state="arriving")]
    page = of(quality=replace(QUALITY, slices=[row]), labels=LabelsView(rows=rows, sentence="Half of the labels."))
    for said in ("origin=", "0.610", "0.690", "97 %", "Half of the labels.", "31 %", "not known"):
        assert said in page
    assert "few rows" not in page


def test_a_slice_of_two_rows_is_marked():
    row = SliceRow(recent=replace(RECENT, value=1.0, low=None, high=None, n=2, slice="origin=LGA"))
    page = of(quality=replace(QUALITY, slices=[row]))
    assert "few rows" in page
    assert "roc_<wbr>auc</th>" in page  # the name of the figure everywhere else


def test_a_slice_in_which_no_row_counts_is_not_measured():
    accepted = {"name": "roc_auc", "value": 0.69, "slice": "origin=LGA"}
    job = SimpleNamespace(spec=SimpleNamespace(accept=SimpleNamespace(metric="roc_auc")))
    release = SimpleNamespace(evidence={"metrics": [{**accepted, "slice": None}, accepted]})
    slices = _slice_rows(job, [replace(RECENT, slice="origin=EWR")], release)
    page = of(quality=replace(QUALITY, slices=slices))
    assert page.count("not measured") == of().count("not measured") + 1
    assert not re.search(r"\bnan\b", page, re.IGNORECASE)
    assert "few rows" not in page


def test_the_share_of_drifted_features_is_that_of_the_ledger_which_the_model_page_shows():
    rng = np.random.default_rng(0)
    names = [f"f{k}" for k in range(12)]
    before = pa.table({name: rng.normal(size=4_000) for name in [*names, "score"]})
    now = pa.table({name: rng.normal(k % 3, 1, size=900) for k, name in enumerate([*names, "score"])})
    reference = build_profile(before, [*names, "score"], [])
    counted = count_table(reference, now)
    figures = (
        *detect_drift(reference[:-1], counted[:-1]),
        *detect_score_drift(reference[-1], counted[-1]),
    )
    rows = _drift_rows(figures, reference, counted, Marks(severities={}, found=frozenset()))
    share = next(item.value for item in figures if item.name == "drift_share")
    assert drifted_features(rows) == (8, 12, share)
    page = of(drift=rows, quality=QUALITY)
    assert f"8 of 12 features ({percent(share)}) are beyond their drift threshold" in top(page)
    assert percent(share) in tile(page, "Drifted features")
    assert marks(page).count("beyond") == 8 + sum(row.has_drifted for row in rows if not row.is_feature)


def test_the_share_of_known_labels_has_one_name():
    share = MetricValue(name="label_coverage", value=0.97, n=958, label_coverage=0.97)
    html = of(quality=QualityView(realised={"2013-07-04": (AUC, share)}, metric="roc_auc"))
    assert '<th scope="col" class="number">roc_auc</th>' in html
    assert "labels known" in html
    assert "label_coverage" not in html
