"""The chains that run without Airflow, and the DAGs: the same steps, in the same order, taking the same things."""

from collections.abc import Callable
from typing import Any

import pytest

from tidemill.runtime.chains import Chain, monitor_chain, one_by_one, predict_chain, retrain_chain, train_chain
from tidemill.spec import BASELINES
from tidemill.spec_file import read_spec

from .conftest import PROJECT, Described

SPEC = read_spec(PROJECT / "dags" / "models" / "flight_delays.yaml")
CHAINS: dict[str, Callable[[], Chain]] = {
    "train": lambda: train_chain(SPEC),
    "predict": predict_chain,
    "monitor": lambda: monitor_chain(SPEC),
    "retrain": lambda: retrain_chain(SPEC),
}
CHOSEN = {
    ("resolve_release", "release"),
    ("resolve_release", "simulate"),
    ("resolve_release", "dry_run"),
    ("inspect", "dry_run"),
    ("publish", "dry_run"),
    ("train", "trials"),
    ("register", "dry_run"),
    ("register", "reason"),
    ("record_outcome", "dry_run"),
}
"""What the CLI passes by option, and an operator from the trigger form, by step and argument."""
MAPPED = {("train", "estimator"), ("predict", "scores")}
"""What is a value in a chain, and all values at once in a DAG; a chain scores in one piece, and passes no shards on."""


def requests(verb: str) -> list[tuple[str, dict[str, Any]]]:
    """What a chain asks for, each step answered by a record that only says where it is from."""
    chain, found = one_by_one(CHAINS[verb]()), []
    step, inputs = next(chain)
    while True:
        found.append((step, inputs))
        try:
            step, inputs = chain.send({"from": f"<{step}>", "verdict": "reject", "reasons": []})
        except StopIteration:
            return found


def source(value: Any) -> Any:
    """Name the step that an argument comes from, as ``describe`` does for tasks; many of one mapped task are one."""
    if isinstance(value, dict):
        return value["from"]
    if isinstance(value, list):
        sources = list(dict.fromkeys(source(item) for item in value))
        return sources[0] if len(sources) == 1 else sources
    return value


@pytest.mark.parametrize("verb", CHAINS)
def test_a_chain_has_the_steps_of_its_dag(described: Described, verb: str) -> None:
    tasks = described["dags"][f"flight_delays_{verb}"]["tasks"]
    assert {step for step, _ in requests(verb)} == {name for name, task in tasks.items() if task["step"]}


@pytest.mark.parametrize("verb", CHAINS)
def test_a_chain_runs_no_step_before_those_that_its_task_waits_for(described: Described, verb: str) -> None:
    tasks = described["dags"][f"flight_delays_{verb}"]["tasks"]
    done: set[str] = {"trigger_training"}  # the chain of retraining trains in its own process instead
    early = []
    for step, _ in requests(verb):
        early += [(step, before) for before in tasks[step]["upstream"] if before not in done]
        done.add(step)
    assert early == []


@pytest.mark.parametrize("verb", CHAINS)
def test_a_step_takes_in_the_chain_what_its_task_takes_in_the_dag(described: Described, verb: str) -> None:
    tasks = described["dags"][f"flight_delays_{verb}"]["tasks"]
    in_chain = {
        step: {name: source(value) for name, value in inputs.items() if (step, name) not in CHOSEN | MAPPED}
        for step, inputs in requests(verb)
    }
    in_dag = {
        name: {
            argument: value
            for argument, value in task["takes"].items()
            if (name, argument) not in MAPPED and value is not None
        }
        for name, task in tasks.items()
        if task["step"]
    }
    assert in_chain == in_dag


def test_the_chain_trains_the_estimators_that_the_dag_maps_over() -> None:
    trained = [inputs["estimator"] for step, inputs in requests("train") if step == "train"]
    assert trained == [*SPEC.train.estimators, *BASELINES]
