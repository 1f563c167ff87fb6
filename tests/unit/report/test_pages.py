import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from tidemill.records import Alert, CheckResult, Decision, MetricValue, OpenAlert, Severity, Verdict
from tidemill.report import pages
from tidemill.report.monitoring import AlertsView, MonitorView, QualityView, monitor_page
from tidemill.report.values import ColumnProfile, DriftRow, StepCompute

HOSTILE = "<script>alert(1)</script>"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><text>late</text></svg>'
QUALITY = {"2013-07-01": (MetricValue(name="roc_auc", value=0.74, low=0.71, high=0.77, n=958, label_coverage=0.97),)}
ALERT = Alert(rule="drift:precip", severity=Severity.FAIL, message="precip drifts.", value=0.31, threshold=0.2)
OPEN = OpenAlert(
    alert_id=1,
    model="flight_delays",
    alert=ALERT,
    owner=HOSTILE,
    first_partition="2013-07-04",
    last_partition="2013-07-05",
    told=ALERT,
    told_partition="2013-07-04",
    acknowledged_by=HOSTILE,
)


def answer(html: str) -> str:
    return re.search(r"<h1>(.*?)</h1>", html).group(1)


def check(success: bool, severity: Severity = Severity.FAIL, **more: object) -> CheckResult:
    named = {"expectation": "expect_column_values_to_not_be_null", "column": "carrier", "observed": "12 nulls"}
    return CheckResult(**{**named, "severity": severity, "success": success, **more})


@pytest.fixture
def all_pages(snapshot, evaluation, decision):
    hostile = replace(snapshot, model=HOSTILE, partition=HOSTILE)
    column = ColumnProfile(name=HOSTILE, type=HOSTILE, null_share=0.1, summary=HOSTILE, picture=SVG)
    broken = check(False, column=HOSTILE, observed=HOSTILE, failure_cases=(HOSTILE,))
    sliced = replace(evaluation, metrics=(MetricValue(name=HOSTILE, value=0.5, slice=HOSTILE),))
    row = DriftRow(
        feature=HOSTILE, metrics=(MetricValue(name=HOSTILE, value=1.0),), reference=HOSTILE, analysis=HOSTILE
    )
    return [
        pages.profile_page(hostile, [column], [HOSTILE], pictures=[SVG]),
        pages.contract_page(hostile, [broken]),
        pages.evaluation_page(hostile, sliced, replace(decision, reasons=(HOSTILE,)), pictures=[SVG]),
        monitor_page(
            MonitorView(
                model=HOSTILE,
                partition=HOSTILE,
                alerts=AlertsView(opened=[replace(OPEN, alert=replace(ALERT, message=HOSTILE, rule=HOSTILE))]),
                drift=[row],
                quality=QualityView(metric=HOSTILE, realised={HOSTILE: QUALITY["2013-07-01"]}),
                compute=[StepCompute(step=HOSTILE, wall_s=1.0)],
                pictures=[SVG],
                bundle_digest=HOSTILE,
            )
        ),
    ]


def test_everything_untrusted_is_escaped(all_pages):
    assert [page.count("<script") for page in all_pages] == [0, 0, 0, 0]


def test_a_page_names_no_address_but_the_svg_namespace(all_pages):
    assert set(re.findall(r"[a-z]+://[^\"' ]+", "".join(all_pages))) == {"http://www.w3.org/2000/svg"}


def test_a_page_has_no_inline_style_that_its_policy_blocks(all_pages):
    assert not any(" style=" in page for page in all_pages)


def test_the_policy_allows_exactly_the_stylesheet_of_the_page(all_pages):
    css = re.search(r"<style>(.*?)</style>", all_pages[0], re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert policy in all_pages[0].replace("&#39;", "'")


def test_a_digest_is_short_with_the_whole_of_it_in_the_title(snapshot):
    page = pages.contract_page(snapshot, [])
    assert f'<code title="{snapshot.digest}">{snapshot.digest[:12]}</code>' in page


def test_a_page_is_the_same_each_time(snapshot):
    assert pages.contract_page(snapshot, [check(False)]) == pages.contract_page(snapshot, [check(False)])


def test_a_lone_surrogate_does_not_stop_the_page_from_being_written(snapshot):
    assert pages.contract_page(snapshot, [check(False, observed="\ud800")]).encode()


def test_pages_load_without_altair():
    modules = "tidemill.report.pages, tidemill.report.monitoring, tidemill.report.card"
    command = f"import sys, {modules}; sys.exit('altair' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_broken_expectations_come_first(snapshot):
    results = [check(True, column="good"), check(False, Severity.WARN, column="odd"), check(False, column="bad")]
    page = pages.contract_page(snapshot, results)
    assert page.index("<td>bad</td>") < page.index("<td>odd</td>") < page.index("<td>good</td>")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], "Not known: the contract has no expectation."),
        ([check(True), check(True)], "Yes: all 2 expectations hold."),
        ([check(True), check(False, Severity.WARN)], "Yes, with 1 warning in 2 expectations."),
        ([check(True), check(False, Severity.QUARANTINE)], "Yes, with 12 rows set aside."),
        (
            [check(False, Severity.WARN), check(False, Severity.QUARANTINE)],
            "Yes, with 1 warning in 2 expectations and 12 rows set aside.",
        ),
        ([check(True), check(False)], "No: 1 of 2 expectations is broken, and the run stops."),
    ],
)
def test_contract_page_answers_at_the_top(snapshot, results, expected):
    assert answer(pages.contract_page(replace(snapshot, n_set_aside=12), results)) == expected


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.ACCEPT, "Yes: xgboost is accepted."),
        (Verdict.REJECT, "No: xgboost is refused, and nothing changes."),
        (Verdict.NOT_ENOUGH_EVIDENCE, "Not known: there is not enough evidence, and nothing changes."),
    ],
)
def test_evaluation_page_answers_at_the_top(snapshot, evaluation, verdict, expected):
    decision = Decision(kind="accept", verdict=verdict, reasons=())
    assert answer(pages.evaluation_page(snapshot, evaluation, decision)) == expected


def test_evaluation_page_without_a_decision_says_that_it_is_open(snapshot, evaluation):
    assert answer(pages.evaluation_page(snapshot, evaluation)) == "xgboost is measured; the decision is open."


def test_a_metric_that_is_nan_is_shown_as_not_defined(snapshot, evaluation):
    page = pages.evaluation_page(snapshot, evaluation)
    assert '<td>carrier=OO</td><td class="number">not defined</td>' in page


def test_a_slice_of_two_rows_is_marked(snapshot, evaluation):
    whole, *_ = evaluation.metrics
    few = replace(whole, slice="carrier=OO", value=0.0, n=2)
    page = pages.evaluation_page(snapshot, replace(evaluation, metrics=(whole, few)))
    assert page.count('<span class="mark none">few</span> 2</td>') == page.count('class="mark none"') == 1


def test_evaluation_page_compares_with_the_hardest_baseline_at_the_top(snapshot, evaluation):
    page = pages.evaluation_page(snapshot, evaluation)
    assert '<div class="label">roc_auc over hour_rate</div><div class="value">+0.071</div>' in page


def test_evaluation_page_works_without_evidence(snapshot, evaluation):
    bare = replace(evaluation, metrics=(), baselines=(), champion_release=None, champion_difference=None, candidates=())
    assert "No baseline was compared." in pages.evaluation_page(snapshot, bare)


def test_profile_page_works_without_columns(snapshot):
    assert answer(pages.profile_page(snapshot, [], [])) == "Nothing unusual in 80,214 rows of 0 columns."


def test_profile_page_counts_its_findings_at_the_top(snapshot):
    page = pages.profile_page(snapshot, [], ["pressure is missing in 11 % of the rows."])
    assert answer(page) == "1 thing to look at in 80,214 rows of 0 columns."


def test_a_column_with_missing_values_comes_before_one_without(snapshot):
    columns = [ColumnProfile(name=name, type="numeric", null_share=share) for name, share in (("a", 0.0), ("b", 0.2))]
    page = pages.profile_page(snapshot, columns, [])
    assert page.index(">b</th>") < page.index(">a</th>")
