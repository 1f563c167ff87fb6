"""Commands that predict one partition at the same time: equal attempts all succeed, and different ones say so."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tidemill.errors import StaleAttempt
from tidemill.operations.backfill import Policy, backfill
from tidemill.operations.prediction import Prediction, predict_partition
from tidemill.records import PredictionRef
from tidemill.runtime.chains import predict_chain
from tidemill.warehouse.ledger import Cost

from .data import PER_DAY, SCORED, Mill

N_COMMANDS = 4


def overtaken(mill: Mill, after: str, newer: Callable[[], Any]) -> Prediction:
    """Predict, with something newer that happens once a step has ended."""

    def on_step(step: str, record: dict[str, Any] | None) -> None:
        if step == after and record is not None:
            newer()

    return predict_partition(predict_chain(), mill.model, SCORED, mill.workspace, on_step=on_step)


@pytest.mark.parametrize("after", ["extract", "predict"])
def test_an_attempt_that_an_equal_one_overtakes_succeeds(serving: Mill, after: str) -> None:
    done = overtaken(serving, after, serving.predict)
    ((visible,),) = serving.sql("SELECT prediction_run_id FROM tidemill.published WHERE model = '{m}'")
    assert (done.overtaken, done.rows.prediction_run_id, done.rows.published) == (True, visible, True)
    assert len(serving.view()) == PER_DAY


@pytest.mark.parametrize("after", ["extract", "predict"])
def test_an_attempt_that_other_rows_overtake_is_stale(serving: Mill, after: str) -> None:
    def newer() -> None:
        serving.sql("UPDATE {t} SET distance_km = distance_km + 5 WHERE parcel_id LIKE '20240325-%%'")
        serving.predict()

    with pytest.raises(StaleAttempt):
        overtaken(serving, after, newer)


def test_an_attempt_whose_newer_one_fails_is_stale(serving: Mill) -> None:
    def newer() -> None:
        run_id = serving.start_run()
        serving.publisher.claim(serving.model, SCORED, run_id)
        serving.ledger.end_run(
            run_id, Cost(wall_s=0, cpu_s=0, peak_rss_bytes=0), error="Failed.", result=None, n_rows=None
        )

    serving.predict()  # an older run of the same rows is no newer attempt's
    with pytest.raises(StaleAttempt):
        overtaken(serving, "extract", newer)


def test_an_attempt_that_nobody_overtakes_publishes(serving: Mill) -> None:
    done = predict_partition(predict_chain(), serving.model, SCORED, serving.workspace)
    assert (done.overtaken, done.rows.published) == (False, True)


def test_a_backfill_counts_what_an_equal_attempt_published_as_present(
    serving: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tidemill.operations.backfill.predict_partition",
        lambda *given: Prediction(rows=PredictionRef.from_dict(serving.predict()["publish"]), overtaken=True),
    )
    result = backfill(serving.spec, SCORED, SCORED, serving.workspace, policy=Policy(kind="live_then"))
    assert (result.scored, result.present, result.failed) == ((), (SCORED,), ())


@pytest.mark.timeout(300)
def test_commands_at_once_all_end_with_status_0(serving: Mill) -> None:
    command = [sys.executable, "-m", "tidemill", "predict", serving.model, "--partition", SCORED]
    running = [
        subprocess.Popen(command, env=serving.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(N_COMMANDS)
    ]
    said = [(process.communicate(timeout=240), process.returncode) for process in running]
    assert [status for _, status in said] == [0] * N_COMMANDS, said
    n_rows = f"{PER_DAY} rows of release"
    assert {n_rows in out or "published meanwhile by an equal run" in out for (out, _), _ in said} == {True}
    assert any(n_rows in out for (out, _), _ in said)
    assert serving.statuses().count("published") == 1
    assert len(serving.view()) == PER_DAY
