"""Training with not all rows in memory: the same release, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tidemill.errors import OutOfMemory
from tidemill.records import SplitRef
from tidemill.runtime.memory_budget import need_of
from tidemill.steps.data import features
from tidemill.storage.store import Store

from ..bench import memory as bench
from .data import SPEC, TRAINED, Mill

BOOSTED = SPEC.replace("[logistic_regression]", "[xgboost]")
EXTERNAL = SPEC.replace("[logistic_regression]", "[xgboost], engine: external_memory")
N_ROWS = 400_000  # with fewer, what both need whatever the rows counts for most


def bundles(mill: Mill) -> dict[str, str]:
    """Train, and return the digest of each estimator's bundle."""
    evaluated = mill.train(shown=False)["evaluate"]
    return {ref["estimator"]: ref["digest"] for ref in evaluated["candidates"]}


def test_the_engine_changes_no_bundle_and_a_release_of_it_is_built_again(mill: Mill) -> None:
    mill.write(BOOSTED)
    local = bundles(mill)
    mill.write(EXTERNAL)
    assert bundles(mill) == local
    ((release,),) = mill.sql("SELECT max(release_id) FROM tidemill.release WHERE model = '{m}'")  # accepted or not
    again = mill.step("reproduce", "reproduce", TRAINED, release=release)
    assert {step["step"]: step["verdict"] for step in again["steps"]}["train"] == "bit_equal"


def test_a_killed_training_leaves_bins_that_the_next_one_clears(mill: Mill) -> None:
    mill.write(EXTERNAL)
    snapshot = mill.extract("train", TRAINED).to_dict()
    split = mill.step("train", "prepare", TRAINED, snapshot=snapshot)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, mill.model, TRAINED, json.dumps(split)],
        env=os.environ | mill.environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    folder = mill.workspace.storage / mill.model / "bundles"
    assert (done.returncode, len(list(folder.glob(".writing-*")))) == (-signal.SIGKILL, 1)
    mill.step("train", "train", TRAINED, split=split, estimator="xgboost")
    assert list(folder.glob(".writing-*")) == []


def test_baselines_and_search_look_at_a_sample_and_say_so(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    mill.write(EXTERNAL.replace("external_memory", "external_memory, search: {trials: 1, folds: 2}"))
    monkeypatch.setattr(features, "SAMPLE_ROWS", 150)
    records = mill.train(shown=False)
    every = -(-records["prepare"]["n_train"] // 150)
    assert every > 1
    assert records["evaluate"]["bundle"]["search"]["every"] == every
    remarks = [
        json.loads((mill.workspace.storage / ref["uri"] / "schema.json").read_text())["remarks"]
        for ref in records["evaluate"]["candidates"]
        if ref["baseline"]
    ]
    assert remarks == [[f"Fitted on one of {every} rows of the train set."]] * 3


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    storage = tmp_path_factory.mktemp("bench")
    split: SplitRef = bench.write(Store(storage), N_ROWS)
    return {engine: bench.measure(storage, engine, split) for engine in bench.ENGINES}


def test_memory_grows_by_less_than_two_thirds_of_what_local_needs(measured: dict[str, dict[str, Any]]) -> None:
    grown = {engine: found["growth_bytes"] for engine, found in measured.items()}
    assert grown["external_memory"] < grown["local"] * 2 / 3, grown


def test_both_ways_lead_to_the_same_figures(measured: dict[str, dict[str, Any]]) -> None:
    local, external = (measured[engine]["validation_score"] for engine in ("local", "external_memory"))
    assert external == pytest.approx(local, abs=1e-3)


KILLED = """\
import json, os, sys
os.environ["TIDEMILL_FAULT"] = "fit-started:kill"
from tidemill.runtime.run import run_step
from tidemill.workspace import Workspace
model, partition, split = sys.argv[1:]
inputs = {"split": json.loads(split), "estimator": "xgboost"}
run_step("train", "train", model, partition, inputs, workspace=Workspace.from_environment())
"""


def test_a_training_that_would_not_fit_says_so_as_soon_as_its_rows_are_known(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_MEMORY_MB", "1")
    with pytest.raises(
        OutOfMemory, match=r"Step analyse of .* would need about .* rows of 14 columns.* may use 1 MB"
    ) as caught:
        mill.train()
    assert "train: {engine: external_memory, estimators: [xgboost]}" in caught.value.next_step
    ((step, error),) = mill.sql("SELECT step, error FROM tidemill.run WHERE model = '{m}' AND status = 'failed'")
    assert (step, "TIDEMILL_MEMORY_MB" in error) == ("validate_data", True)


def test_the_estimate_is_not_far_from_what_a_fit_takes(measured: dict[str, dict[str, Any]]) -> None:
    split = SplitRef.from_dict(measured["local"]["split"])
    need = need_of(bench.spec("local"), "train", split, 24, bench.row_bytes())
    assert 0.4 < need.total_bytes / measured["local"]["growth_bytes"] < 2.5
