"""Which task runs after which, and where each takes its arguments from."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from tidemill.spec import BASELINES

from .conftest import PROJECT, Described

UPSTREAM = {
    "train": {
        "extract": [],
        "validate_data": ["extract"],
        "analyse": ["extract", "validate_data"],
        "prepare": ["extract", "validate_data"],
        "train": ["prepare"],
        "evaluate": ["prepare", "train"],
        "validate_model": ["evaluate"],
        "register": ["analyse", "evaluate", "extract", "prepare", "validate_model"],
    },
    "predict": {
        "resolve_release": [],
        "extract": ["resolve_release"],
        "validate_data": ["extract"],
        "predict": ["extract", "resolve_release", "validate_data"],
        "inspect": ["extract", "predict"],
        "publish": ["inspect", "predict"],
    },
    "monitor": {
        "collect": [],
        "drift": ["collect"],
        "performance": ["collect"],
        "compute": ["collect"],
        "freshness": ["collect"],
        "alert": ["collect", "compute", "drift", "freshness", "performance"],
        "report": ["alert", "collect"],
        "notify": ["report"],
    },
    "retrain": {
        "decide": [],
        "trigger_training": ["decide"],
        "record_outcome": ["decide", "trigger_training"],
    },
    "reproduce": {"reproduce": []},
    "test": {"run_tests": []},
}


def tasks(described: Described, verb: str) -> Mapping[str, Any]:
    return described["dags"][f"flight_delays_{verb}"]["tasks"]


@pytest.mark.parametrize("verb", UPSTREAM)
def test_tasks_run_in_the_order_of_the_design(described: Described, verb: str) -> None:
    assert {name: task["upstream"] for name, task in tasks(described, verb).items()} == UPSTREAM[verb]


@pytest.mark.parametrize("verb", UPSTREAM)
def test_a_task_is_named_after_its_step(described: Described, verb: str) -> None:
    steps = {name: task["step"] for name, task in tasks(described, verb).items() if task["step"] is not None}
    assert steps == {name: name for name in steps}


def test_only_triggering_is_no_step(described: Described) -> None:
    others = [name for verb in UPSTREAM for name, task in tasks(described, verb).items() if task["step"] is None]
    assert others == ["trigger_training"]


def test_every_estimator_and_baseline_is_a_task_of_its_own(described: Described) -> None:
    train = tasks(described, "train")["train"]
    assert (train["mapped"], train["takes"]["estimator"]) == (
        True,
        ["xgboost", "hist_gradient_boosting", *BASELINES],
    )


def test_only_training_is_mapped(described: Described) -> None:
    assert [name for verb in UPSTREAM for name, task in tasks(described, verb).items() if task["mapped"]] == ["train"]


def test_training_extracts_the_window_and_prediction_the_partition(described: Described) -> None:
    purposes = {verb: tasks(described, verb)["extract"]["takes"]["purpose"] for verb in ("train", "predict")}
    assert purposes == {"train": "train", "predict": "score"}


def test_the_outcome_is_recorded_even_if_the_training_failed(described: Described) -> None:
    assert tasks(described, "retrain")["record_outcome"]["trigger_rule"].lower().endswith("all_done")


def test_the_channels_are_notified_even_if_another_task_failed_and_the_run_still_fails(described: Described) -> None:
    notify = tasks(described, "monitor")["notify"]
    assert (notify["trigger_rule"].lower().endswith("all_done_setup_success"), notify["teardown"]) == (True, True)


def test_every_other_task_needs_all_before_it(described: Described) -> None:
    rules = {
        task["trigger_rule"].lower().rpartition(".")[2]
        for verb in UPSTREAM
        for name, task in tasks(described, verb).items()
        if name not in ("record_outcome", "notify")
    }
    assert rules == {"all_success"}


def test_assets_join_training_prediction_and_monitoring(described: Described) -> None:
    joined = {
        name: (task["inlets"], task["outlets"])
        for verb in UPSTREAM
        for name, task in tasks(described, verb).items()
        if task["inlets"] or task["outlets"]
    }
    assert joined == {
        "register": ([], ["flight_delays_champion"]),
        "resolve_release": (["flight_delays_champion"], []),
        "publish": ([], ["flight_delays_predictions"]),
        "collect": (["flight_delays_predictions"], []),
    }


def test_a_spec_with_shards_has_a_task_that_cuts_and_one_mapped_over_what_it_gives(
    describe_models: Callable[..., Described],
) -> None:
    text = (
        (PROJECT / "dags" / "models" / "flight_delays.yaml")
        .read_text()
        .replace("predict: {", "predict: {shard_rows: 1000000, ")
    )
    described = describe_models(flight_delays=text)
    found = {name: task["upstream"] for name, task in tasks(described, "predict").items()}
    assert found["cut"] == ["extract", "validate_data"]
    assert found["score"] == ["cut", "extract", "resolve_release"]
    assert found["predict"] == ["extract", "resolve_release", "score", "validate_data"]


def test_a_spec_that_looks_back_does_so_after_publication(describe_models: Callable[..., Described]) -> None:
    text = (
        (PROJECT / "dags" / "models" / "flight_delays.yaml")
        .read_text()
        .replace("predict: {", "predict: {lookback: 3 days, ")
    )
    found = {name: task["upstream"] for name, task in tasks(describe_models(flight_delays=text), "predict").items()}
    assert (found["look_back"], found["score_again"]) == (["publish"], ["look_back"])


def test_a_spec_with_a_shadow_has_tasks_that_compare_and_settle(describe_models: Callable[..., Described]) -> None:
    spec = yaml.safe_load((PROJECT / "dags" / "models" / "flight_delays.yaml").read_text())
    spec["accept"]["watch"] = "14 days"
    found = tasks(describe_models(flight_delays=yaml.safe_dump(spec)), "monitor")
    assert (found["shadow"]["upstream"], found["settle"]["upstream"]) == (["collect"], ["shadow"])
    assert found["settle"]["outlets"] == ["flight_delays_champion", "flight_delays_predictions"]


@pytest.mark.parametrize(
    ("verb", "first"), [("train", "extract"), ("predict", "resolve_release"), ("monitor", "collect")]
)
def test_a_spec_with_ready_has_a_task_before_the_first(
    describe_models: Callable[..., Described], verb: str, first: str
) -> None:
    spec = yaml.safe_load((PROJECT / "dags" / "models" / "flight_delays.yaml").read_text())
    spec[verb]["ready"] = {"query": "flight_delays/ready.sql"}
    described = describe_models(flight_delays=yaml.safe_dump(spec))
    found = tasks(described, verb)
    assert (found["await_ready"]["upstream"], found[first]["upstream"]) == ([], ["await_ready"])
    others = set(UPSTREAM) - {verb}
    assert not [other for other in others if "await_ready" in tasks(described, other)]
