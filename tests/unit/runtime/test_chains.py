import inspect
from pathlib import Path
from typing import Any

import pytest

from tidemill.errors import FatalError
from tidemill.runtime.chains import Chain, drive, monitor_chain, one_by_one, predict_chain, retrain_chain, train_chain
from tidemill.runtime.declarations import STEPS
from tidemill.runtime.run import _function
from tidemill.spec import BASELINES, ModelSpec
from tidemill.workspace import Workspace

SPEC = ModelSpec.model_validate(
    {
        "model": "m",
        "task": "binary",
        "entity_key": "id",
        "event_time": "at",
        "source": {"features": "a.sql", "labels": "b.sql"},
        "label": {"column": "y"},
        "train": {"estimators": ["xgboost", "random_forest"]},
        "accept": {"shadow": "14 days"},
    }
)
YES = {"verdict": "accept", "reasons": ["The champion is old."]}
NO = {"verdict": "reject", "reasons": ["All is well."]}


def walk(chain: Chain, records: dict[str, Any] | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Drive a chain with records that say which step gave them."""
    steps = one_by_one(chain)
    requests = [next(steps)]
    while True:
        step, _ = requests[-1]
        try:
            requests.append(steps.send((records or {}).get(step, f"record {len(requests)} of {step}")))
        except StopIteration:
            return requests


def names(chain: Chain, records: dict[str, Any] | None = None) -> list[str]:
    return [step for step, _ in walk(chain, records)]


def test_training_goes_from_extract_to_register() -> None:
    assert names(train_chain(SPEC)) == [
        "extract",
        "validate_data",
        "analyse",
        "prepare",
        "train",
        "train",
        "train",
        "train",
        "train",
        "evaluate",
        "validate_model",
        "register",
    ]


def test_training_fits_candidates_and_then_baselines() -> None:
    fitted = [inputs["estimator"] for step, inputs in walk(train_chain(SPEC)) if step == "train"]
    assert fitted == ["xgboost", "random_forest", *BASELINES]


def test_evaluation_is_given_every_bundle() -> None:
    steps = walk(train_chain(SPEC))
    numbers = [number for number, (step, _) in enumerate(steps, start=1) if step == "train"]
    assert dict(steps)["evaluate"]["bundles"] == [f"record {number} of train" for number in numbers]


def test_data_are_validated_before_anything_is_made_of_them() -> None:
    for chain in (train_chain(SPEC), predict_chain()):
        order = names(chain)
        assert order.index("validate_data") == order.index("extract") + 1


def test_release_is_resolved_before_anything_is_read() -> None:
    assert names(predict_chain()) == ["resolve_release", "extract", "validate_data", "predict", "inspect", "publish"]


def test_prediction_uses_the_release_that_was_resolved_first() -> None:
    assert dict(walk(predict_chain()))["predict"]["release"] == "record 1 of resolve_release"


def test_wish_for_a_release_is_passed_on() -> None:
    inputs = dict(walk(predict_chain(release=7, simulate=True)))["resolve_release"]
    assert inputs == {"release": 7, "simulate": True, "dry_run": False}


@pytest.mark.parametrize("dry_run", [True, False])
def test_dry_run_is_passed_to_the_step_that_would_show_something(dry_run: bool) -> None:
    predicted = dict(walk(predict_chain(dry_run=dry_run)))
    registered = dict(walk(train_chain(SPEC, dry_run=dry_run)))["register"]["dry_run"]
    assert (predicted["inspect"]["dry_run"], predicted["publish"]["dry_run"], registered) == (dry_run,) * 3


def test_alerts_see_what_every_part_found() -> None:
    inputs = dict(walk(monitor_chain(SPEC)))["alert"]
    assert inputs["parts"] == [
        "record 2 of drift",
        "record 3 of performance",
        "record 4 of compute",
        "record 5 of freshness",
    ]


def test_retraining_trains_when_it_is_due() -> None:
    order = names(retrain_chain(SPEC), {"decide": YES})
    assert (order[0], order[1], order[-1]) == ("decide", "extract", "record_outcome")


def test_retraining_says_why_it_trains() -> None:
    inputs = dict(walk(retrain_chain(SPEC), {"decide": YES}))["register"]
    assert inputs["reason"] == "The champion is old."


def test_retraining_that_is_not_due_trains_nothing() -> None:
    assert names(retrain_chain(SPEC), {"decide": NO}) == ["decide", "record_outcome"]


def test_dry_run_of_retraining_trains_nothing() -> None:
    assert names(retrain_chain(SPEC, dry_run=True), {"decide": YES}) == ["decide", "record_outcome"]


@pytest.mark.parametrize(
    "chain",
    [train_chain(SPEC), predict_chain(), monitor_chain(SPEC), retrain_chain(SPEC)],
    ids=["train", "predict", "monitor", "retrain"],
)
def test_every_request_fits_the_arguments_of_its_step(chain: Chain) -> None:
    for step, inputs in walk(chain, {"decide": YES}):
        inspect.signature(_function(STEPS[step])).bind("job", **inputs)


def test_every_step_belongs_to_a_chain_but_asking_waiting_looking_back_building_again_testing_and_scoring_a_shard() -> (
    None
):
    chains = (train_chain(SPEC), predict_chain(), monitor_chain(SPEC), retrain_chain(SPEC))
    others = {name for name, step in STEPS.items() if step.airflow_only or step.chains in [("reproduce",), ("test",)]}
    assert others == {"approve", "await_ready", "look_back", "reproduce", "run_tests", "score"}
    assert {step for chain in chains for step in names(chain, {"decide": NO})} == set(STEPS) - others


def test_a_step_that_no_chain_has_is_refused_before_anything_runs() -> None:
    nowhere = Workspace(models=Path("m"), sql=Path("s"), storage=Path("x"), tracking_uri=None)
    with pytest.raises(
        FatalError, match=r"There is no step 'extrakt'\. Steps are await_ready, resolve_release, extract"
    ):
        drive("train", train_chain(SPEC), "m", "2013-07-01", nowhere, until="extrakt", run=None)
