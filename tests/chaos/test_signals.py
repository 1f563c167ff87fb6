"""A task that is told to end: all is rolled back, nothing half written stays, and the ledger has the reason (F04)."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tidemill.machine.polling import until

from ..integration.data import SCORED, TRAINED
from .conftest import Proved, Subject, some
from .nursery import LIMIT_S
from .tables import artifacts, check_history

PROJECT = Path(__file__).parents[2]
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PREDICT = ("store-filled", "write-opened", "write-in-copy", "write-before-commit", "publish-before-commit")
TRAIN = ("store-filled", "fit-started", "bundle-written", "promote-before-commit")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", some(PREDICT, "write-in-copy", "store-filled"))
def test_prediction_that_is_told_to_end_leaves_nothing_behind(serving: Subject, proved: Proved, point: str) -> None:
    told = serving.start("predict", f"{point}:stop", model=serving.mill.model, partition=SCORED)
    told.wait_until_stopped()
    os.kill(told.pid, signal.SIGTERM)
    told.resume()
    assert told.end().ended == "SystemExit(143)"
    assert told.exit_status() == 128 + signal.SIGTERM
    assert (serving.view(), serving.half_written()) == ([], [])
    ((error,),) = serving.mill.sql("SELECT error FROM tidemill.run WHERE model = '{m}' AND status = 'failed'")
    assert error == "Ended by SIGTERM."
    assert _rows_of_unfinished_runs(serving) == 0
    assert serving.predict().ended == "done"
    check_history(serving.mill, SCORED)
    proved("F04 P1", signals=1)


def _rows_of_unfinished_runs(subject: Subject) -> int:
    runs = subject.mill.sql(
        "SELECT prediction_run_id FROM tidemill.prediction_run WHERE model = '{m}' AND status = 'writing'"
    )
    return sum(int(subject.mill.sql(f"SELECT count(*) FROM tidemill.prediction_run_{run}")[0][0]) for (run,) in runs)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", some(TRAIN, "fit-started"))
def test_training_that_is_told_to_end_leaves_nothing_behind(new_subject, proved: Proved, point: str) -> None:
    subject: Subject = new_subject()
    journal = str(subject.nursery.folder / f"{subject.mill.model}.journal")
    told = subject.start("train", f"{point}:stop", model=subject.mill.model, partition=TRAINED, journal=journal)
    told.wait_until_stopped()
    os.kill(told.pid, signal.SIGTERM)
    told.resume()
    assert told.end().ended == "SystemExit(143)"
    assert subject.half_written() == []
    assert subject.mill.promoter.champion(subject.mill.model) is None
    assert subject.mill.sql("SELECT error FROM tidemill.run WHERE model = '{m}' AND status <> 'succeeded'") == [
        ("Ended by SIGTERM.",)
    ]
    artifacts(subject.mill)
    assert subject.train().ended == "done"
    proved("F04 P1", signals=1)


@pytest.mark.timeout(180)
def test_second_signal_does_not_interrupt_the_cleaning_up(serving: Subject, proved: Proved) -> None:
    told = serving.start("predict", "store-filled:stop", model=serving.mill.model, partition=SCORED)
    told.wait_until_stopped()
    waits = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE tidemill.run%SET status%'"
    )
    with closing(psycopg2.connect(serving.mill.owner_url)) as ledger, ledger, ledger.cursor() as cursor:
        cursor.execute(
            "SELECT FROM tidemill.run WHERE model = %s AND status = 'running' FOR UPDATE", (serving.mill.model,)
        )
        os.kill(told.pid, signal.SIGTERM)
        told.resume()
        assert until(lambda: bool(serving.server.as_admin(waits)), LIMIT_S)  # it is about to say how it ended
        os.kill(told.pid, signal.SIGTERM)  # the one that nohup and shells leave alone
    assert told.end().ended == "SystemExit(143)"
    assert serving.half_written() == []
    assert serving.runs("extract") == [("failed", "Ended by SIGTERM.")]
    proved("F04", signals=2)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", some(SIGNALS, signal.SIGTERM))
def test_command_that_is_told_to_end_says_so_by_its_status(
    serving: Subject, proved: Proved, number: signal.Signals
) -> None:
    """The real command line, in a process of its own."""
    command = [sys.executable, "-c", "from tidemill.cli import main; main()", "predict", serving.mill.model]
    environment = {**os.environ, **serving.environment(), "TIDEMILL_FAULT": "write-in-copy:sleep=600"}
    with subprocess.Popen(
        [*command, "--partition", SCORED],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            copying = (
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%FROM STDIN%'"
                f" AND application_name LIKE 'tidemill% %:{process.pid}:%'"
            )
            assert until(lambda: bool(serving.server.as_admin(copying)), LIMIT_S)
            process.send_signal(number)
            _, said = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert process.returncode != 0
    assert "Traceback" not in said
    assert serving.runs("predict") == [("failed", f"Ended by {number.name}.")]
    assert serving.view() == []
    proved("F04", commands=1)
