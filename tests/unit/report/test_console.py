"""The console's pages: one look for all models, and the way from there to the reason."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tidemill.records import (
    Alert,
    Evidence,
    FailedStep,
    FeatureDrift,
    LineScore,
    MetricValue,
    ModelDetails,
    ModelState,
    OpenAlert,
    PublishedPartition,
    RecordedScore,
    RetrainDecision,
    RowDecision,
    Scorecard,
    ScoreLine,
    ScoreSection,
    Severity,
    StandingRelease,
    Timeliness,
    UnrecordedFailure,
    Verdict,
)
from tidemill.report.console import model_page, models_page, score_page

HOSTILE = "<script>alert(1)</script>"
NOW = datetime(2013, 7, 8, 5, tzinfo=UTC)
DIGEST = "ab12" * 16
RELEASE = StandingRelease(
    release_id=7,
    estimator="xgboost",
    partition="2013-07-01",
    metric="roc_auc",
    metric_value=0.78,
    accepted_value=0.73,
    verdict="accept",
    live_from=NOW,
    approved_by="gate",
    reason="roc_auc 0.78",
)
PARTITION = PublishedPartition(
    partition="2013-07-07",
    n_rows=934,
    release_id=7,
    simulated=False,
    published_at=NOW,
    realised=None,
    estimated=MetricValue(name="estimated", value=0.728),
    drift_share=0.206,
    monitoring=f"flight_delays/reports/{DIGEST}",
    contract=None,
)
FINE = ModelState(
    model="flight_delays",
    champion=RELEASE,
    newest=PARTITION,
    quality=MetricValue(name="roc_auc_recent", value=0.699, low=0.576, high=0.822),
    matured="2013-07-04",
    examined="2013-07-07",
    n_unexamined=0,
    alerts=(),
    failures=(),
)
ALERT = Alert(rule="drift:temp", severity=Severity.WARN, message="temp has drifted.", value=0.3, threshold=0.2)
OPEN = OpenAlert(
    alert_id=1,
    model="flight_delays",
    alert=ALERT,
    owner="team",
    first_partition="2013-07-05",
    last_partition="2013-07-07",
    told=ALERT,
    told_partition="2013-07-05",
)
FAILED = FailedStep(
    run_id=5, chain="predict", step="extract", partition="2013-07-08", error="No rows.\nLook at the source.", ended_at=NOW,
    by_schedule=True,
)  # fmt: skip
BY_HAND = replace(FAILED, by_schedule=False)
LATE = Timeliness(
    message="Late since 2013-07-08 06:40 EDT: no partition for 2013-07-08; the newest is 2013-07-07.",
    severity=Severity.FAIL,
    remedy="'tidemill predict flight_delays --from 2013-07-08 --to 2013-07-08'.",
    missing=("2013-07-08",),
)
LOST = UnrecordedFailure(
    dag_id="flight_delays_predict", dag_run_id="scheduled__1", partition="2013-07-08", ended_at=NOW, by_schedule=True
)
WARNED = replace(FINE, model="air_time", alerts=(OPEN,))
KNOWN = replace(
    OPEN,
    alert=replace(ALERT, severity=Severity.FAIL),
    acknowledged_by="ann",
    acknowledged_at=NOW,
    acknowledged_reason="the source is being fixed",
)
STOPPED = replace(FINE, model="on_time", failures=(FAILED,))
NEW = replace(FINE, model="new", champion=None, newest=None, quality=None, matured=None, examined=None)


def details(state: ModelState, **more: object) -> ModelDetails:
    parts = {"partitions": (PARTITION,), "releases": (RELEASE,), "decisions": ()}
    return ModelDetails(state=state, n_published=7, **{**parts, **more})


def said(page: str) -> tuple[str, str]:
    tone, answer = re.search(r'class="verdict (\w+)".*?<h1>(.*?)</h1>', page, re.DOTALL).groups()
    return tone, answer


@pytest.mark.parametrize(
    ("states", "tone", "answer"),
    [
        ([], "none", "No model has run yet."),
        ([FINE], "good", "Yes, flight_delays is."),
        ([FINE, replace(FINE, model="other")], "good", "Yes, all 2 are."),
        ([FINE, WARNED], "warn", "Not all: air_time needs a look."),
        ([WARNED, NEW], "warn", "Not all: air_time needs a look."),
        ([FINE, NEW], "good", "Yes, flight_delays is; new is a draft."),
        ([NEW, replace(NEW, model="newer")], "none", "None serves yet: new, newer are drafts."),
        ([FINE, replace(STOPPED, failures=(BY_HAND,))], "warn", "Not all: on_time needs a look."),
        ([replace(NEW, failures=(BY_HAND,))], "warn", "Not all: new needs a look."),
        ([FINE, WARNED, STOPPED], "fail", "Not all: on_time needs action; air_time needs a look."),
    ],
)
def test_one_look_says_whether_all_are_fine(states: list[ModelState], tone: str, answer: str) -> None:
    assert said(models_page(states)) == (tone, answer)


def test_a_known_problem_is_calm_and_says_who_knows_since_when_and_why() -> None:
    calm = replace(FINE, alerts=(KNOWN,))
    assert calm.severity is None
    said_so = "Known since 2013-07-08 05:00 UTC: the source is being fixed (ann, rule drift:temp)"
    page = model_page(details(calm))
    assert said(page) == ("none", "Nothing new: nothing asks for a person as of 2013-07-07.")
    assert f"<li>{said_so}</li>" in page
    overview = models_page([calm])
    assert '<span class="mark none">known</span>' in overview
    assert said_so in overview


def test_a_known_problem_hides_no_other() -> None:
    page = model_page(details(replace(FINE, alerts=(KNOWN, replace(OPEN, alert_id=2)))))
    assert said(page) == ("warn", "It needs a look.")
    reasons = re.findall(r"<li>(.*?)</li>", page.partition("</section>")[0])
    assert reasons[0] == "temp has drifted."
    assert reasons[1].startswith("Known since")


def test_the_key_of_a_week_is_written_as_it_is() -> None:
    assert "Nothing asks for a person as of 2013-W27." in models_page([replace(FINE, examined="2013-W27")])


def test_what_needs_a_person_comes_first_and_says_why() -> None:
    page = models_page([FINE, WARNED, STOPPED])
    assert re.findall(r'<a href="(\w+)/">', page) == ["on_time", "air_time", "flight_delays"]
    assert "extract of the chain &#39;predict&#39; has failed for partition 2013-07-08: No rows." in page
    assert "temp has drifted." in page


@pytest.mark.parametrize(
    ("state", "tone", "answer"),
    [
        (FINE, "good", "Yes, nothing asks for a person as of 2013-07-07."),
        (WARNED, "warn", "It needs a look."),
        (NEW, "none", "It is a draft."),
        (STOPPED, "fail", "No, it needs action."),
        (replace(FINE, timeliness=LATE), "fail", "No, it needs action."),
        (replace(FINE, timeliness=replace(LATE, severity=Severity.WARN)), "warn", "It needs a look."),
        (replace(FINE, timeliness=replace(LATE, severity=None)), "good", "Yes, nothing asks for a person as of 2013-07-07."),
        (replace(FINE, unrecorded=(LOST,)), "fail", "No, it needs action."),
        (replace(FINE, unrecorded=(replace(LOST, by_schedule=False),)), "warn", "It needs a look."),
        (replace(FINE, obstacles=("Airflow's scheduler does not run.",)), "fail", "No, it needs action."),
        (replace(FINE, alerts=(replace(OPEN, alert=replace(ALERT, severity=Severity.FAIL)),)), "fail", "No, it needs action."),
    ],
)  # fmt: skip
def test_a_models_page_says_whether_it_is_fine(state: ModelState, tone: str, answer: str) -> None:
    assert said(model_page(details(state))) == (tone, answer)


def test_a_draft_says_when_its_schedules_start() -> None:
    page = model_page(details(NEW, partitions=(), releases=()))
    assert "A draft: its schedules start with the first promotion." in page
    assert (NEW.severity, NEW.draft, FINE.draft) == (None, True, False)


def test_a_model_that_serves_and_has_published_nothing_says_so() -> None:
    page = model_page(details(replace(NEW, champion=RELEASE), partitions=()))
    assert "No partition has been published." in page


def test_a_failure_says_who_has_started_it_and_how_to_dismiss_it() -> None:
    page = model_page(details(replace(FINE, failures=(BY_HAND, FAILED))))
    assert re.findall("<td>(a person|the schedule)</td>", page) == ["a person", "the schedule"]
    assert "tidemill dismiss flight_delays --partition" in page
    assert "failed for partition 2013-07-08, started by a person: No rows." in page


def test_what_is_late_comes_first_with_its_deadline_and_the_reason_after_it() -> None:
    state = replace(STOPPED, timeliness=LATE, obstacles=("The DAG is paused.",), unrecorded=(LOST,))
    page = model_page(details(state))
    reasons = re.findall(r"<li>(.*?)</li>", page.partition("</section>")[0])
    assert reasons[0] == LATE.message
    assert reasons[1] == "The DAG is paused."
    assert (
        "flight_delays_predict for partition 2013-07-08 failed on 2013-07-08 05:00 UTC without a failed step"
        in reasons[2]
    )
    assert "&#39;extract&#39;" not in reasons[2]
    assert f"{LATE.message} &#39;tidemill predict flight_delays --from 2013-07-08" in page


def test_a_part_of_airflow_that_does_not_run_is_named_above_all_models() -> None:
    page = models_page([FINE], ["Airflow's triggerer does not run."])
    assert "<li>Airflow&#39;s triggerer does not run.</li>" in page


def test_an_alert_is_reached_from_the_chart_and_carries_its_instructions() -> None:
    old = replace(PARTITION, partition="2013-07-05")
    page = model_page(details(WARNED, partitions=(PARTITION, old)))
    assert '<a href="#alert-1" aria-label="temp has drifted.">' in page
    row = page.partition('<tr id="alert-1">')[2].partition("</tr>")[0]
    assert "<summary>What to do</summary>" in row
    assert "Features with much of the model&#39;s importance are far from its training data." in row
    assert "<code>tidemill train MODEL --partition KEY</code>" in row
    assert 'href="partitions/2013-07-05/"' in row


def test_a_headline_names_a_few_of_many_models() -> None:
    page = models_page([replace(WARNED, model=f"m{number}") for number in range(300)])
    assert "<h1>Not all: m0, m1, m10, m100, m101 and 295 more need a look.</h1>" in page


def test_every_table_has_a_caption_and_every_heading_a_scope() -> None:
    state = replace(WARNED, failures=(FAILED,), unrecorded=(LOST,))
    drift = FeatureDrift(feature="temp", partition="2013-07-07", distance=0.3, threshold=0.2, importance=0.4)
    for page in (models_page([state]), model_page(details(state, drift=(drift,)))):
        assert page.count("<table") == page.count("<caption>") > 0
        assert re.findall(r"<th(?! scope=)[ >]", page) == []


def test_a_failure_is_a_click_from_its_log_and_its_run() -> None:
    failed = replace(FAILED, dag_id="flight_delays_predict", dag_run_id="scheduled__2", task_id="extract", try_number=3)
    page = model_page(details(replace(FINE, failures=(failed,), unrecorded=(LOST,))))
    runs = "../../dags/flight_delays_predict/runs"
    assert f'<a href="{runs}/scheduled__2/tasks/extract?try_number=3">extract</a>' in page
    assert f'<a href="{runs}/scheduled__1">' in page
    assert "/tasks/" not in model_page(details(STOPPED))


def test_a_model_that_nobody_watches_is_not_fine() -> None:
    late, unwatched = replace(FINE, n_unexamined=2), replace(FINE, n_unexamined=3)
    assert (late.severity, unwatched.severity) == (None, Severity.WARN)
    assert "Monitoring has not looked at the newest 3 partitions." in model_page(details(unwatched))


def test_a_partition_says_how_many_of_its_rows_are_set_aside() -> None:
    page = model_page(
        details(FINE, partitions=(PARTITION, replace(PARTITION, partition="2013-07-06", n_set_aside=1234)))
    )
    assert (page.count("1,234 set aside"), page.count("set aside")) == (1, 1)


def test_every_page_about_a_partition_is_a_click_away_and_links_are_relative() -> None:
    links = re.findall(r'href="([^"]*)"', model_page(details(FINE)))
    day, report = "partitions/2013-07-07/", f"reports/{DIGEST}/?partition=2013-07-07"
    assert links == [
        "../",
        "rows/",
        "figures/",
        day,
        day,
        day,
        "releases/7/",
        report,
        "releases/7/",
        "score/",
    ]  # chart, calendar and table


def test_each_release_is_compared_with_the_one_before_and_the_one_that_serves() -> None:
    releases = tuple(replace(RELEASE, release_id=number) for number in (9, 8, 7, 6))
    links = re.findall(r'href="(releases/\d+/against/[^"]*)"', model_page(details(FINE, releases=releases)))
    assert links == [
        "releases/9/against/8/", "releases/9/against/7/", "releases/8/against/7/", "releases/7/against/6/",
        "releases/6/against/7/",
    ]  # fmt: skip


def test_why_it_is_not_trained_again_is_on_the_page() -> None:
    decision = RetrainDecision(partition="2013-07-07", verdict=Verdict.REJECT, reasons=("Within the cooldown.",))
    assert model_page(details(FINE, decisions=(decision,))).count("Within the cooldown.") == 2


def test_everything_untrusted_is_escaped() -> None:
    failed = replace(FAILED, error=HOSTILE, partition=HOSTILE)
    alert = replace(
        OPEN,
        owner=HOSTILE,
        alert=replace(ALERT, message=HOSTILE, rule=HOSTILE),
        acknowledged_by=HOSTILE,
        acknowledged_reason=HOSTILE,
    )
    state = replace(
        FINE,
        model=HOSTILE,
        failures=(failed,),
        alerts=(alert,),
        timeliness=Timeliness(message=HOSTILE, severity=Severity.FAIL, remedy=HOSTILE, missing=(HOSTILE,)),
        unrecorded=(
            UnrecordedFailure(dag_id=HOSTILE, dag_run_id=HOSTILE, partition=HOSTILE, ended_at=NOW, by_schedule=True),
        ),
        obstacles=(HOSTILE,),
        withheld=(HOSTILE,),
    )
    rows = RowDecision(
        partition="2013-07-07", kind="inspect", verdict=Verdict.REJECT, reasons=(HOSTILE,), decided_at=NOW
    )
    release = replace(RELEASE, approved_by=HOSTILE, reason=HOSTILE, estimator=HOSTILE)
    decision = RetrainDecision(partition=HOSTILE, verdict=Verdict.ACCEPT, reasons=(HOSTILE,))
    pages = [
        models_page([state], [HOSTILE]),
        model_page(details(state, releases=(release,), decisions=(decision,), row_decisions=(rows,))),
    ]
    assert [page.count("<script") for page in pages] == [0, 0]


def test_the_past_of_a_model_is_drawn_and_leads_to_its_pages() -> None:
    before = replace(
        PARTITION, partition="2013-07-05", realised=MetricValue(name="roc_auc", value=0.7, low=0.6, high=0.8)
    )
    drift = FeatureDrift(feature=HOSTILE, partition="2013-07-07", distance=0.3, threshold=0.2, importance=0.4)
    page = model_page(details(FINE, partitions=(PARTITION, before), drift=(drift,)))
    assert "2013-07-05: realised roc_auc 0.700 (0.600 to 0.800), release 7" in page
    assert "2013-07-06: no predictions" in page
    assert page.count(f'href="reports/{DIGEST}/?partition=2013-07-0') == 3  # a cell of drift, two rows
    assert page.count('href="partitions/2013-07-0') == 8  # three points, three days, two rows
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_a_models_page_shows_the_recorded_score_and_leads_to_its_lines() -> None:
    points = {"data": 4.5, "model": 3.0, "monitoring": 7.0, "infrastructure": 5.0}  # as JSON of the ledger orders them
    page = model_page(details(FINE, score=RecordedScore(partition="2013-07-07", points=points)))
    assert "<strong>3 of 7</strong> as of 2013-07-07: data 4.5, model 3, infrastructure 5, monitoring 7." in page
    assert '<a href="score/">' in page
    assert '<a href="score/">' in model_page(details(FINE))


def test_the_page_of_the_score_shows_each_line_with_its_evidence_and_the_next_half_point() -> None:
    skew = LineScore(
        line=ScoreLine.SKEW,
        section=ScoreSection.MONITORING,
        title="Training and serving are not skewed",
        points=1,
        reason=HOSTILE,
        evidence=(Evidence(need="compared", kind="metric", row_id="17", at=NOW, worth=1, shows=HOSTILE),),
        stale_from=NOW.replace(day=15),
        next_half="",
    )
    tuning = replace(
        skew, line=ScoreLine.TUNING, section=ScoreSection.MODEL, points=0.5, evidence=(), next_half="search longer"
    )
    page = score_page(Scorecard(model="flight_delays", as_of=NOW, lines=(tuning, skew)))
    assert said(page) == ("none", "ML Test Score: 0 of 7.")
    assert "<h2>Model: 0.5 of 7</h2>" in page
    assert "<h2>Monitoring: 1 of 7</h2>" in page
    assert "<code>metric 17</code> 2013-07-08 05:00 UTC" in page
    assert "2013-07-15 05:00 UTC" in page
    assert "search longer" in page
    assert HOSTILE not in page
