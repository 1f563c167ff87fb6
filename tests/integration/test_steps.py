"""The chain on a real Postgres: what each step promises the next, and what monitoring and retraining conclude."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tidemill.errors import NotPublished, RetrainingFailed
from tidemill.records import SnapshotRef
from tidemill.runtime.declarations import steps_of
from tidemill.storage.bundles import pyfunc_loader
from tidemill.storage.layout import FEATURES, LABELS, PARTITION
from tidemill.storage.store import Store

from .data import FEATURES_SQL, LAST, NEXT, PER_DAY, SCORED, SPEC, TRAINED, Mill

Trained = tuple[Mill, dict[str, dict[str, Any]]]


def rows_of(mill: Mill, snapshot: SnapshotRef, file: str = FEATURES) -> pd.DataFrame:
    folder = Store(mill.workspace.storage).folder(snapshot.uri, snapshot.digest)
    return pq.ParquetFile(folder / file).read().to_pandas()


# --- extract


def test_same_inputs_give_the_same_digest(mill: Mill) -> None:
    assert mill.extract("score", SCORED) == mill.extract("score", SCORED)


def test_same_training_gives_the_same_digest(mill: Mill) -> None:
    assert mill.extract("train", TRAINED) == mill.extract("train", TRAINED)


def test_changed_source_gives_another_digest(mill: Mill) -> None:
    before = mill.extract("score", SCORED)
    mill.sql("UPDATE {t} SET carrier = 'B' WHERE parcel_id = '20240325-000'")
    assert mill.extract("score", SCORED).digest != before.digest


def test_the_order_of_rows_in_the_source_does_not_matter(mill: Mill) -> None:
    before = mill.extract("score", SCORED)
    mill.sql(
        "CREATE TABLE shop.again AS SELECT * FROM {t} ORDER BY md5(parcel_id); TRUNCATE {t};"
        "INSERT INTO {t} SELECT * FROM shop.again; DROP TABLE shop.again"
    )
    assert mill.extract("score", SCORED).digest == before.digest


@pytest.mark.parametrize("day", ["2024-03-09", "2024-03-10", "2024-03-11"])  # the clocks change on the 10th
def test_a_training_row_equals_the_row_that_was_scored_on_its_day(mill: Mill, day: str) -> None:
    training = rows_of(mill, mill.extract("train", TRAINED))
    scored = rows_of(mill, mill.extract("score", day))
    pd.testing.assert_frame_equal(training[training[PARTITION] == day].reset_index(drop=True), scored)


def test_training_ends_before_the_partition_that_it_is_for(mill: Mill) -> None:
    training = rows_of(mill, mill.extract("train", TRAINED))
    assert training["shipped_at"].max() < pd.Timestamp(mill.spec.partition(TRAINED).interval.start)


def test_labels_that_arrive_after_the_cutoff_are_not_read(mill: Mill) -> None:
    labels = rows_of(mill, mill.extract("train", TRAINED), LABELS)
    assert labels["observed_at"].max() <= pd.Timestamp(mill.spec.partition(TRAINED).cutoff)


def test_window_of_training_is_as_long_as_the_spec_says(mill: Mill) -> None:
    training = rows_of(mill, mill.extract("train", TRAINED))
    assert sorted(set(training[PARTITION]))[0] == "2024-03-02"  # 22 days and the one that labels take


def test_two_models_with_the_same_rows_have_separate_snapshots(new_mill: Callable[[], Mill], mill: Mill) -> None:
    other = new_mill()
    digests = {mill.extract("score", SCORED).digest, other.extract("score", SCORED).digest}
    recorded = mill.sql("SELECT model FROM tidemill.snapshot WHERE digest = ANY(%s) ORDER BY model", list(digests))
    assert {(mill.model,), (other.model,)} <= set(recorded)


# --- train


def test_training_promotes_a_release(trained_mill: Trained) -> None:
    mill, records = trained_mill
    champion = mill.promoter.champion(mill.model)
    assert champion is not None
    assert champion.release_id == records["register"]["release_id"]


def test_training_runs_every_step_once_and_each_estimator(trained_mill: Trained) -> None:
    mill, _ = trained_mill
    steps = mill.sql("SELECT step FROM tidemill.run WHERE model = '{m}' AND chain = 'train' ORDER BY run_id")
    declared = [step.name for step in steps_of("train")]
    at = declared.index("train")
    assert [step for (step,) in steps] == [*declared[:at], *["train"] * 4, *declared[at + 1 :]]


def test_a_run_records_its_cost(trained_mill: Trained) -> None:
    mill, _ = trained_mill
    (wall_s, cpu_s, peak), *_ = mill.sql(
        "SELECT wall_s, cpu_s, peak_rss_bytes FROM tidemill.run WHERE model = '{m}' AND step = 'evaluate'"
    )
    assert min(wall_s, cpu_s, peak) > 0


def test_rows_of_every_set_are_accounted_for(trained_mill: Trained) -> None:
    _, records = trained_mill
    split = records["prepare"]
    parts = ("n_train", "n_validation", "n_test", "n_unlabelled", "n_purged", "n_immature")
    assert sum(split[name] for name in parts) == records["extract"]["n_rows"]


def test_test_set_is_younger_than_all_that_was_learnt_from(trained_mill: Trained) -> None:
    mill, records = trained_mill
    folder = Store(mill.workspace.storage).path(records["prepare"]["uri"])
    newest = {name: pq.read_table(folder / f"{name}.parquet")["shipped_at"].to_pandas() for name in ("train", "test")}
    assert newest["train"].max() < newest["test"].min()


def test_a_release_names_everything_that_it_was_made_from(trained_mill: Trained) -> None:
    mill, records = trained_mill
    (row,) = mill.sql(
        "SELECT snapshot_digest, split_digest, bundle_digest, spec_digest, decision_id FROM tidemill.release"
        " WHERE model = '{m}'"
    )
    assert row == (
        records["extract"]["digest"],
        records["prepare"]["digest"],
        records["evaluate"]["bundle"]["digest"],
        mill.spec.digest,
        records["validate_model"]["decision_id"],
    )


def test_training_on_the_same_rows_gives_the_same_bundle(mill: Mill, trained_mill: Trained) -> None:
    _, records = trained_mill
    split = records["prepare"]
    again = mill.step("train", "train", TRAINED, split=split, estimator="logistic_regression")
    assert again["digest"] == records["evaluate"]["bundle"]["digest"]


def test_refused_model_ends_the_chain_without_an_error_and_promotes_nothing(mill: Mill) -> None:
    mill.write(spec=SPEC.replace("minimum: 0.6", "minimum: 0.99"))
    records = mill.train(shown=False)
    refused = mill.sql("SELECT verdict, reasons[1] FROM tidemill.decision WHERE model = '{m}'")
    assert records["register"]["decision"]["verdict"] == "reject"
    assert mill.promoter.champion(mill.model) is None
    assert refused[0][0] == "reject"
    assert "below the floor 0.99" in refused[0][1]


def test_the_evidence_holds_what_the_gate_weighs(trained_mill: Trained) -> None:
    _, records = trained_mill
    evaluation = records["evaluate"]
    assert evaluation["rehearsal"]["n_different"] == 0
    assert all(check["passed"] for check in evaluation["behaviour"])
    assert evaluation["n_test_blocks"] == 5
    assert evaluation["threshold_criterion"].startswith("best F1 on")
    assert evaluation["slice_search"]["n_searched"] > 0


def test_a_second_training_is_compared_on_the_rows_that_the_champion_has_not_seen(
    serving: Mill, trained_mill: Trained
) -> None:
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    evaluation = serving.train(NEXT, shown=False)["evaluate"]
    assert evaluation["champion_release"] == champion.release_id
    assert not evaluation["champion_saw_test"]
    assert {item["slice"] for item in evaluation["champion_slices"]} == {"carrier=A", "carrier=B", "carrier=C"}
    assert 0 <= evaluation["churn"]["value"] < 0.5


def test_a_champion_that_reads_what_the_query_no_longer_gives_leaves_the_gate_undecided(serving: Mill) -> None:
    serving.write(features=FEATURES_SQL.replace("p.queue_h, ", ""))
    decision = serving.train(NEXT, shown=False)["validate_model"]
    assert decision["verdict"] == "not_enough_evidence"
    assert "cannot be compared: The data lack feature(s) 'queue_h'" in decision["reasons"][0]


def test_stages_of_the_spec_are_in_the_bundle_and_on_the_card(mill: Mill) -> None:
    mill.write(spec=SPEC.replace("train: {", "train: {calibration: sigmoid, threshold: recall 0.7, "))
    evaluation = mill.train(shown=False)["evaluate"]
    assert evaluation["calibration"].startswith("sigmoid on 120 validation rows")
    assert evaluation["threshold_criterion"].startswith("recall at least 0.7 on 240 validation rows")
    card = (mill.workspace.storage / evaluation["bundle"]["uri"] / "MODEL_CARD.md").read_text()
    assert "sigmoid on 120 validation rows" in card


# --- predict


def test_every_parcel_of_the_day_is_scored_once(serving: Mill) -> None:
    serving.predict()
    expected = serving.sql("SELECT parcel_id FROM {t} WHERE parcel_id LIKE '20240325-%%' ORDER BY 1")
    assert [(key,) for key, _ in serving.view()] == expected


def test_mlflow_s_loader_gives_the_scores_of_the_table_bit_for_bit(serving: Mill) -> None:
    records = serving.predict()
    release = records["resolve_release"]
    model = pyfunc_loader._load_pyfunc(str(serving.workspace.storage / release["bundle_uri"]))
    rows = rows_of(serving, SnapshotRef.from_dict(records["extract"]))
    scores = model.predict(rows)["score"].to_numpy()
    assert np.array_equal(scores, np.array([score for _, score in serving.view()]))


def test_a_partition_before_the_training_is_scored_only_in_a_simulation_and_marked(serving: Mill) -> None:
    release = serving.promoter.champion(serving.model)
    assert release is not None
    serving.predict("2024-03-20", release=release.release_id, simulate=True)
    assert {row for row in serving.view("2024-03-20", "simulated")} == {(True,)}


def test_score_depends_on_the_row_and_not_on_its_neighbours(serving: Mill) -> None:
    serving.predict()
    before = dict(serving.view())
    serving.sql("DELETE FROM {t} WHERE parcel_id LIKE '20240325-%%' AND parcel_id > '20240325-029'")
    serving.predict()
    assert dict(serving.view()).items() <= before.items()


# --- monitor


def test_monitoring_writes_figures_of_every_part(serving: Mill) -> None:
    serving.predict("2024-03-24")
    serving.predict("2024-03-26")
    serving.monitor("2024-03-26")
    parts = {part for (part,) in serving.sql("SELECT DISTINCT part FROM tidemill.metric WHERE model = '{m}'")}
    assert parts >= {"compute", "drift", "estimate", "freshness", "performance"}


@pytest.fixture
def week(serving: Mill) -> Mill:
    """A small model with four published days."""
    for day in ("2024-03-24", "2024-03-25", "2024-03-26", "2024-03-27"):
        serving.predict(day)
    return serving


def test_only_partitions_whose_labels_have_matured_are_measured(week: Mill) -> None:
    collected = week.step("monitor", "collect", "2024-03-27")
    assert collected["matured"] == ["2024-03-24", "2024-03-25"]  # the 26th ends at 00:00, a day and 5 hours are needed


def test_realised_quality_is_that_of_the_labels(week: Mill) -> None:
    from sklearn.metrics import roc_auc_score

    collected = week.step("monitor", "collect", "2024-03-27")
    week.step("monitor", "performance", "2024-03-27", collected=collected)
    pairs = week.sql(
        "SELECT t.late, p.score FROM predictions.{m} p JOIN {t} t USING (parcel_id) WHERE p.partition = '2024-03-25'"
    )
    found, *_ = week.ledger.metrics(week.model, "performance", "roc_auc", until="2024-03-27")["2024-03-25"]
    assert found.value == pytest.approx(roc_auc_score([late for late, _ in pairs], [score for _, score in pairs]))


def test_label_that_is_still_missing_lowers_the_coverage(week: Mill) -> None:
    week.sql("UPDATE {t} SET delivered_at = '2024-06-01' WHERE parcel_id BETWEEN '20240325-000' AND '20240325-029'")
    collected = week.step("monitor", "collect", "2024-03-27")
    week.step("monitor", "performance", "2024-03-27", collected=collected)
    found, *_ = week.ledger.metrics(week.model, "performance", "label_coverage", until="2024-03-27")["2024-03-25"]
    assert found.value == 0.5


def alerts_of(mill: Mill, rule: str) -> list[tuple[Any, ...]]:
    return mill.sql(
        "SELECT status, first_partition, last_partition FROM tidemill.alert WHERE model = '{m}' AND rule = %s"
        " ORDER BY alert_id",
        rule,
    )


def watch(mill: Mill, day: str) -> None:
    """Predict a day and raise the alerts that its drift calls for."""
    mill.predict(day)
    collected = mill.step("monitor", "collect", day)
    part = mill.step("monitor", "drift", day, collected=collected)
    mill.step("monitor", "alert", day, collected=collected, parts=[part])


@pytest.fixture
def drifting(serving: Mill) -> Mill:
    """A small model whose source sends ten times the distance, and more, on two days."""
    serving.sql("UPDATE {t} SET distance_km = distance_km * 10 + 30 WHERE parcel_id BETWEEN '20240325' AND '20240327'")
    return serving


def test_a_break_opens_an_alert(drifting: Mill) -> None:
    watch(drifting, "2024-03-25")
    assert alerts_of(drifting, "break:distance_km") == [("open", "2024-03-25", "2024-03-25")]


def test_a_break_that_goes_on_updates_the_alert_that_is_open(drifting: Mill) -> None:
    watch(drifting, "2024-03-25")
    watch(drifting, "2024-03-26")
    assert alerts_of(drifting, "break:distance_km") == [("open", "2024-03-25", "2024-03-26")]


def test_one_quiet_day_does_not_resolve_an_alert(drifting: Mill) -> None:
    watch(drifting, "2024-03-25")
    watch(drifting, "2024-03-27")
    assert alerts_of(drifting, "break:distance_km")[0][0] == "open"


def test_a_break_that_is_over_resolves_its_alert(drifting: Mill) -> None:
    for day in ("2024-03-25", "2024-03-27", "2024-03-28"):
        watch(drifting, day)
    assert alerts_of(drifting, "break:distance_km")[0][0] == "resolved"


def test_older_partition_without_a_break_does_not_resolve_the_alert_of_a_newer_one(drifting: Mill) -> None:
    watch(drifting, "2024-03-26")
    watch(drifting, "2024-03-24")
    assert alerts_of(drifting, "break:distance_km")[0][0] == "open"


def test_an_alert_resolves_when_the_same_partition_has_been_corrected(drifting: Mill) -> None:
    watch(drifting, "2024-03-25")
    drifting.sql("UPDATE {t} SET distance_km = (distance_km - 30) / 10 WHERE parcel_id LIKE '20240325-%%'")
    watch(drifting, "2024-03-25")
    assert alerts_of(drifting, "break:distance_km")[0][0] == "resolved"


def test_monitoring_twice_gives_the_same_figures(serving: Mill) -> None:
    watch(serving, SCORED)
    before = serving.ledger.metrics(serving.model, "drift", until=SCORED)
    watch(serving, SCORED)
    assert serving.ledger.metrics(serving.model, "drift", until=SCORED) == before


def test_monitoring_goes_on_when_the_source_has_forgotten_its_first_days(serving: Mill) -> None:
    for partition in (SCORED, NEXT):
        serving.predict(partition)
    serving.write(spec=SPEC.replace("first: 2024-03-01", f"first: {NEXT}"))
    assert serving.monitor(NEXT, shown=False)["alert"]["alerts"] == []
    assert serving.retrain(NEXT)["decide"]["verdict"] == "reject"


def test_page_of_a_day_is_written(serving: Mill) -> None:
    serving.predict(SCORED)
    page = serving.monitor(SCORED)["report"]
    assert "distance_km" in (serving.workspace.storage / page["uri"] / "index.html").read_text()


def test_partitions_are_counted_once_for_later_ones(drifting: Mill) -> None:
    for day in ("2024-03-25", "2024-03-26", "2024-03-27"):
        watch(drifting, day)
    counted = drifting.sql(
        "SELECT r.partition, count(*) FROM tidemill.partition_counts JOIN tidemill.prediction_run r"
        " USING (prediction_run_id) WHERE r.model = '{m}' GROUP BY 1 ORDER BY 1"
    )
    assert counted == [("2024-03-25", 1), ("2024-03-26", 1)]  # those that came before another


def test_after_a_promotion_the_newest_partitions_are_counted_again(serving: Mill, trained_mill: Trained) -> None:
    watch(serving, "2024-03-25")
    watch(serving, "2024-03-26")
    before = serving.promoter.champion(serving.model)
    assert before is not None
    second = serving.register(trained_mill[1], "2024-03-27")
    serving.promote(second, before.release_id, "2024-03-27")
    watch(serving, "2024-03-27")
    releases = serving.sql(
        "SELECT DISTINCT c.release_id FROM tidemill.partition_counts c JOIN tidemill.prediction_run r"
        " USING (prediction_run_id) WHERE r.model = '{m}' ORDER BY 1"
    )
    assert releases == [(before.release_id,), (second,)]


def test_drift_is_weighted_by_what_features_contribute(serving: Mill) -> None:
    watch(serving, SCORED)
    figures = serving.ledger.metrics(serving.model, "drift", "importance_share", until=SCORED)[SCORED]
    shares = {figure.feature: figure.value for figure in figures}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["weight_kg"] > shares["carrier"]


# --- freshness


def findings_of(mill: Mill, day: str) -> dict[str, str]:
    """Run the chain for a day, and return the messages about its supply, by rule."""
    mill.predict(day)
    collected = mill.step("monitor", "collect", day)
    part = mill.step("monitor", "freshness", day, collected=collected)
    return {alert["rule"]: alert["message"] for alert in part["alerts"]}


@pytest.fixture
def supplied(serving: Mill) -> Mill:
    """A small model with five published days, whose supply has been examined."""
    for day in range(24, 29):
        assert findings_of(serving, f"2024-03-{day}") == {}
    return serving


def test_half_the_rows_are_noticed(supplied: Mill) -> None:
    supplied.write(SPEC + "predict: {withhold: null}\n")  # otherwise they are withheld, and there is nothing to monitor
    supplied.sql("DELETE FROM {t} WHERE parcel_id LIKE '20240329-%%' AND parcel_id > '20240329-029'")
    assert list(findings_of(supplied, "2024-03-29")) == ["volume"]


def test_a_partition_left_out_is_noticed(supplied: Mill) -> None:
    assert "2024-03-29" in findings_of(supplied, "2024-03-30")["missing"]


def test_labels_that_have_stopped_are_noticed(supplied: Mill) -> None:
    supplied.sql("UPDATE {t} SET delivered_at = '2024-06-01' WHERE delivered_at > '2024-03-28'")
    assert list(findings_of(supplied, "2024-03-29")) == ["age:labels"]


def test_labels_that_have_stopped_are_noticed_on_the_next_day_too(supplied: Mill) -> None:
    supplied.sql("UPDATE {t} SET delivered_at = '2024-06-01' WHERE delivered_at > '2024-03-28'")
    monitored = [supplied.predict(day) and supplied.monitor(day, shown=False) for day in ("2024-03-29", "2024-03-30")]
    assert ["age:labels" in {found["rule"] for found in item["alert"]["alerts"]} for item in monitored] == [True, True]


def test_a_column_of_another_type_is_noticed(supplied: Mill) -> None:
    supplied.sql("ALTER TABLE {t} ALTER n_stops TYPE real")
    assert "n_stops was double and is float" in findings_of(supplied, "2024-03-29")["schema"]


def test_another_query_and_code_are_noticed(supplied: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    supplied.write(features=FEATURES_SQL + "-- changed\n")
    monkeypatch.setattr("tidemill.runtime.run.code_version", lambda: "another")
    assert {"code", "query"} <= set(findings_of(supplied, "2024-03-29")["dependencies"].split())


def test_a_partition_that_was_due_and_has_no_predictions_opens_an_alert(supplied: Mill) -> None:
    with pytest.raises(NotPublished):
        supplied.step("monitor", "collect", "2024-03-29")
    assert alerts_of(supplied, "missing") == [("open", "2024-03-29", "2024-03-29")]


def test_a_partition_that_came_late_resolves_it(supplied: Mill) -> None:
    with pytest.raises(NotPublished):
        supplied.step("monitor", "collect", "2024-03-29")
    watch(supplied, "2024-03-29")
    assert alerts_of(supplied, "missing")[0][0] == "resolved"


# --- retrain


def test_young_champion_without_figures_is_not_retrained(serving: Mill) -> None:
    records = serving.retrain(SCORED)
    assert records["decide"]["verdict"] == "reject"
    assert records["record_outcome"]["reasons"][-1] == "No training was started."


def test_a_champion_accepted_by_another_metric_is_not_compared_with_todays(serving: Mill) -> None:
    serving.write(spec=SPEC.replace("minimum: 0.6", "metric: log_loss"))
    reasons = serving.step("retrain", "decide", SCORED)["reasons"]
    assert "The champion's quality at acceptance is unknown, so decay cannot be detected." in reasons


def test_decision_is_recorded_with_its_evidence(serving: Mill) -> None:
    decided = serving.step("retrain", "decide", SCORED)
    (row,) = serving.sql(
        "SELECT kind, partition, evidence FROM tidemill.decision WHERE decision_id = %s", decided["decision_id"]
    )
    assert row[:2] == ("retrain", SCORED)
    assert row[2]["trained_until"] is not None


def test_an_old_champion_is_retrained_and_the_outcome_reported(serving: Mill) -> None:
    serving.write(spec=SPEC + "retrain: {cooldown: 1 day, max_age: 2 days}\n")
    records = serving.retrain(LAST)
    assert records["decide"]["verdict"] == "accept"
    assert "The challenger was trained; the gate said" in records["record_outcome"]["reasons"][-1]


def test_dry_run_decides_and_trains_nothing(serving: Mill) -> None:
    serving.write(spec=SPEC + "retrain: {cooldown: 1 day, max_age: 2 days}\n")
    assert "train" not in serving.retrain(LAST, dry_run=True)


def test_the_outcome_is_that_of_the_training_that_the_decision_caused(serving: Mill, trained_mill: Trained) -> None:
    """Monday's regular training, for the same partition but before the decision, does not count."""
    serving.write(spec=SPEC + "retrain: {cooldown: 0 days, max_age: 1 day}\n")
    serving.register(trained_mill[1], SCORED)
    decided = serving.step("retrain", "decide", SCORED)
    assert decided["verdict"] == "accept"
    with pytest.raises(RetrainingFailed, match="Training was due, but has not come to a verdict"):
        serving.step("retrain", "record_outcome", SCORED, decision=decided)


def test_no_verdict_is_in_the_audit_too(serving: Mill) -> None:
    serving.write(spec=SPEC + "retrain: {cooldown: 0 days, max_age: 1 day}\n")
    decided = serving.step("retrain", "decide", SCORED)
    with pytest.raises(RetrainingFailed):
        serving.step("retrain", "record_outcome", SCORED, decision=decided)
    (details,) = serving.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'retrain_outcome'")
    assert details[0]["outcome"] == "Training was due, but has not come to a verdict."


def test_outcome_is_in_the_audit(serving: Mill) -> None:
    serving.retrain(SCORED)
    (details,) = serving.sql("SELECT details FROM tidemill.audit WHERE model = '{m}' AND event = 'retrain_outcome'")
    assert details[0]["outcome"] == "No training was started."


def test_result_of_a_step_is_kept_as_it_was_given(serving: Mill) -> None:
    record = serving.step("predict", "resolve_release", NEXT)
    (row,) = serving.sql("SELECT result FROM tidemill.run WHERE model = '{m}' ORDER BY run_id DESC LIMIT 1")
    assert row[0] == json.loads(json.dumps(record))


def test_count_of_rows_is_kept_with_the_run(serving: Mill) -> None:
    serving.extract("score", SCORED)
    assert serving.last_run()["n_rows"] == PER_DAY
