"""A multiclass and a regression model through the real scheduler: trained, judged, scored and monitored by Airflow."""

from typing import Any

import pytest

MODELS = ("flight_air_time", "flight_punctuality")
ANSWERS = {
    "flight_air_time": ("prediction", "low", "high"),
    "flight_punctuality": ("predicted_label", "score", "probabilities"),
}
TRAINED, LOOKED_BACK = "2013-07-01", "2013-07-04"
LIMIT_S = 1500  # a hang is a failure; on two quiet cores all of it takes under three minutes


@pytest.fixture(scope="module")
def examples(demo: Any) -> Any:
    """The demo's stack, in which both examples have been trained, have scored two days, and have been monitored."""
    demo.make("examples")
    airflow = demo.airflow()
    airflow.wait_for_dags(
        [f"{model}_{verb}" for model in MODELS for verb in ("train", "predict", "monitor", "retrain")]
    )
    for verb, partitions in (
        ("train", [TRAINED]),
        ("predict", [TRAINED, LOOKED_BACK]),
        ("monitor", [LOOKED_BACK]),
        ("retrain", [LOOKED_BACK]),
    ):
        for model in MODELS:
            for partition in partitions:
                airflow.trigger(f"{model}_{verb}", f"example__{partition}", partition)
        for model in MODELS:
            ended = airflow.wait(f"{model}_{verb}", partitions, lambda runs: None, LIMIT_S)
            assert {run.state for run in ended} == {"success"}, [airflow.failures(run) for run in ended]
    return demo


@pytest.mark.parametrize("model", MODELS)
def test_gate_has_accepted_and_the_release_serves(examples: Any, model: str) -> None:
    ((verdict, reasons),) = examples.rows(
        f"SELECT verdict, reasons FROM tidemill.decision WHERE model = '{model}' AND kind = 'accept'"
    )
    assert verdict == "accept", reasons
    assert examples.rows(f"SELECT count(*) FROM tidemill.champion WHERE model = '{model}'") == [(1,)]


@pytest.mark.parametrize("model", MODELS)
def test_every_flight_of_both_days_is_answered(examples: Any, model: str) -> None:
    present = " AND ".join(f"{name} IS NOT NULL" for name in ANSWERS[model])
    found = examples.rows(
        f"SELECT partition, count(*), count(*) FILTER (WHERE {present}) FROM predictions.{model} GROUP BY 1 ORDER BY 1"
    )
    day = "to_char(scheduled_departure AT TIME ZONE 'America/New_York', 'YYYY-MM-DD')"
    scheduled = examples.rows(
        f"SELECT {day}, count(*), count(*) FROM raw.flights WHERE {day} IN ('{TRAINED}', '{LOOKED_BACK}')"
        " GROUP BY 1 ORDER BY 1"
    )
    assert found == scheduled


def test_interval_of_air_time_holds_the_prediction_and_four_of_five_flights(examples: Any) -> None:
    ((outside, share),) = examples.rows(
        "SELECT count(*) FILTER (WHERE p.prediction NOT BETWEEN p.low AND p.high),"
        " avg((f.air_time BETWEEN p.low AND p.high)::int) FILTER (WHERE f.air_time IS NOT NULL)::float8"
        " FROM predictions.flight_air_time p JOIN raw.flights f USING (flight_id)"
    )
    assert outside == 0
    assert 0.7 < share < 0.9


def test_punctuality_has_the_likeliest_class_probabilities_that_sum_to_one_and_reasons(examples: Any) -> None:
    query = (
        "SELECT count(*) FROM predictions.flight_punctuality p, LATERAL (SELECT sum(value::float8) AS total,"
        " max(value::float8) AS most FROM jsonb_each_text(p.probabilities)) each"
        " WHERE abs(each.total - 1) > 1e-9 OR each.most <> p.score"
        " OR (p.probabilities ->> p.predicted_label)::float8 <> p.score OR jsonb_array_length(p.reasons) <> 3"
    )
    assert examples.rows(query) == [(0,)]


@pytest.mark.parametrize("model", MODELS)
def test_answers_are_watched_for_drift(examples: Any, model: str) -> None:
    query = f"SELECT count(*) FROM tidemill.metric WHERE model = '{model}' AND name = 'score_psi'"
    assert examples.rows(f"{query} AND partition = '{LOOKED_BACK}'") == [(1,)]


@pytest.mark.parametrize(
    ("model", "metric"), [("flight_air_time", "mean_absolute_error"), ("flight_punctuality", "roc_auc_ovr")]
)
def test_the_matured_day_has_its_realised_quality(examples: Any, model: str, metric: str) -> None:
    ((low, value, high, accepted),) = examples.rows(
        f"SELECT m.low, m.value, m.high, (r.evidence -> 'metrics' -> 0 ->> 'value')::float8 FROM tidemill.metric m"
        f" JOIN tidemill.release r USING (release_id) WHERE m.model = '{model}' AND m.name = '{metric}'"
        f" AND m.part = 'performance' AND m.partition = '{TRAINED}' AND m.slice IS NULL"
    )
    assert low < value < high
    assert accepted / 2 < value < 2 * accepted


@pytest.mark.parametrize("model", MODELS)
def test_retraining_is_decided(examples: Any, model: str) -> None:
    ((verdict,),) = examples.rows(f"SELECT verdict FROM tidemill.decision WHERE model = '{model}' AND kind = 'retrain'")
    assert verdict == "reject"
