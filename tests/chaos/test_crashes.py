"""The crash sweep: killed at every fault point and run again, a job leaves the tables of a clean run (F02, P1)."""

import re
import signal
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tidemill.faults import FAULT_POINTS

from ..integration.data import SCORED, SPEC
from .conftest import Proved, Subject
from .tables import artifacts, digest, what_counts

SOURCE = Path(__file__).parents[2] / "src" / "tidemill"
USUAL, UNUSUAL = ("2024-03-24", "2024-03-25", "2024-03-26", "2024-03-27"), "2024-03-28"
NEWER = "2024-03-25"  # as of which a second release is promoted, that a rollback undoes
UNDONE = {"first": SCORED, "last": SCORED}

QUARANTINE = """\
predict: {quarantine: {share: 0.1}}
contract: [{expect_column_values_to_be_in_set: {column: carrier, value_set: [A, B, C], severity: quarantine}}]
"""

# How often a job comes to each point; a job is killed there each time. In the bounded form: the first time and the last.
PREDICT = {
    "step-started": 6, "step-done": 6, "step-recorded": 6, "store-filled": 2, "store-renamed": 2,
    "declare-before-commit": 1, "claim-before-commit": 1, "claim-after-commit": 1, "renew-before-commit": 1,
    "renew-after-commit": 1, "write-opened": 1, "write-in-copy": 1,
    "write-before-commit": 1, "write-after-commit": 1, "publish-before-commit": 1, "publish-after-commit": 1,
}  # fmt: skip
TRAIN = {
    "fit-started": 4,
    "step-started": 11, "step-done": 11, "step-recorded": 11, "store-filled": 5, "store-renamed": 5, "bundle-written": 4,
    "bundle-renamed": 4, "card-written": 1, "register-before-commit": 1, "register-after-commit": 1,
    "promote-before-commit": 1, "promote-after-commit": 1,
}  # fmt: skip
UNDO = {
    "rollback-before-commit": 1, "rollback-after-commit": 1, "restore-before-commit": 1, "restore-after-commit": 1,
}  # fmt: skip
WITHHOLD = {
    "withhold-before-commit": "predict", "withhold-after-commit": "predict",
    "resolve-before-commit": "resolve", "resolve-after-commit": "resolve",
}  # fmt: skip
REVISE = ("revision-before-commit", "revision-after-commit")
ALERTS = {"alerts-before-commit", "message-claimed", "message-sent"}  # killed in tests/integration/test_delivery.py
SHADOW = {  # killed in tests/integration/test_shadow.py
    "shadow-before-commit", "shadow-after-commit", "settle-decided", "settle-rolled-back",
}  # fmt: skip
REMOVAL = {  # stopped there in tests/integration/test_remove_model.py
    "remove-model-tables", "remove-model-before-commit", "remove-model-ledger", "remove-model-files",
}  # fmt: skip


def kills(points: dict[str, int], short: Callable[[str, int], bool]) -> list[Any]:
    """One case a hit; those that are not in the short form are marked as slow."""
    cases = [(name, hit) for name, hits in points.items() for hit in range(1, hits + 1)]
    return [
        pytest.param(f"{name}@{hit}:kill", id=f"{name}@{hit}", marks=[] if short(name, hit) else [pytest.mark.slow])
        for name, hit in cases
    ]


# ---------------------------------------------------------------- no point is forgotten


def test_every_fault_point_is_proved_by_a_kill() -> None:
    assert {*PREDICT, *TRAIN, *UNDO, *WITHHOLD, *REVISE, *ALERTS, *SHADOW, *REMOVAL} == set(FAULT_POINTS)


def test_every_fault_point_is_in_the_code_once() -> None:
    calls: Counter[str] = Counter()
    for path in SOURCE.rglob("*.py"):
        if path.name != "faults.py":
            calls.update(re.findall(r'fault_point\("([a-z-]+)"\)', path.read_text(encoding="utf-8")))
    assert calls == dict.fromkeys(FAULT_POINTS, 1)


@pytest.mark.parametrize(("points", "job"), [(PREDICT, "predict"), (TRAIN, "train")], ids=["predict", "train"])
@pytest.mark.slow
def test_no_step_is_forgotten(serving: Subject, points: dict[str, int], job: str) -> None:
    """One more hit than listed is never reached: the sweep has killed a job at each of its steps."""
    name = f"step-recorded@{points['step-recorded'] + 1}:kill"
    assert (serving.predict(name) if job == "predict" else serving.train(name)).ended == "done"


# ---------------------------------------------------------------- the sweep


@pytest.fixture(scope="session")
def clean_prediction(new_subject: Callable[[], Subject], trained: Any) -> dict[str, Any]:
    subject = new_subject()
    subject.mill.adopt(trained[1])
    assert subject.predict().ended == "done"
    return what_counts(subject.mill)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", kills(PREDICT, lambda name, hit: hit in (1, PREDICT[name])))
def test_prediction_killed_and_run_again_equals_a_clean_one(
    serving: Subject, clean_prediction: dict[str, Any], proved: Proved, fault: str
) -> None:
    assert serving.predict(fault).signal == signal.SIGKILL
    assert serving.view() in ([], [row[1:2] + row[3:4] for row in clean_prediction["rows"]])
    assert serving.predict().ended == "done"
    expected = clean_prediction | _twice_published(fault, clean_prediction)
    assert what_counts(serving.mill) == expected
    assert digest(what_counts(serving.mill)) == digest(expected)
    proved("F01 F02 F05 P1", kills_in_predict=1, points=int("@1:" in fault))


@pytest.fixture(scope="session")
def clean_quarantine(new_serving: Callable[[], Subject]) -> dict[str, Any]:
    subject = _with_an_odd_row(new_serving())
    assert subject.predict().ended == "done"
    return what_counts(subject.mill)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "point", ["write-opened", "write-before-commit", "write-after-commit", "publish-before-commit"]
)
def test_rows_set_aside_by_a_killed_run_are_those_of_a_clean_one(
    serving: Subject, clean_quarantine: dict[str, Any], proved: Proved, point: str
) -> None:
    killed = _with_an_odd_row(serving)
    assert killed.predict(f"{point}@1:kill").signal == signal.SIGKILL
    assert killed.predict().ended == "done"
    assert what_counts(killed.mill) == clean_quarantine
    assert len(killed.view()) == 59
    attempts = "SELECT n_extracted, n_rows, n_set_aside, {count} FROM tidemill.prediction_run r WHERE model = '{m}'"
    count = "(SELECT count(*) FROM tidemill.quarantine q WHERE q.prediction_run_id = r.prediction_run_id)"
    assert set(killed.mill.sql(attempts.replace("{count}", count))) <= {(60, 59, 1, 1), (None, None, None, 0)}
    proved("P1", kills_with_rows_set_aside=1)


def _with_an_odd_row(subject: Subject) -> Subject:
    """Let one row of the day be set aside."""
    subject.mill.write(SPEC + QUARANTINE)
    subject.mill.sql("UPDATE {t} SET carrier = 'D' WHERE parcel_id = '20240325-003'")
    return subject


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", REVISE)
def test_changed_rows_scored_again_by_a_killed_run_are_recorded_and_visible_once(
    new_serving: Callable[[], Subject], proved: Proved, point: str
) -> None:
    clean, killed = new_serving(), new_serving()
    for subject in (clean, killed):
        assert subject.predict().ended == "done"
        subject.mill.sql("UPDATE {t} SET weight_kg = weight_kg + 1 WHERE parcel_id = '20240325-003'")
    before = killed.view()
    assert clean.predict().ended == "done"
    assert killed.predict(f"{point}@1:kill").signal == signal.SIGKILL
    assert killed.view() == before
    assert killed.predict().ended == "done"
    assert what_counts(killed.mill) == what_counts(clean.mill)
    visible = (
        "SELECT n_added, n_removed, n_changed FROM tidemill.published JOIN tidemill.revision USING (prediction_run_id)"
        " WHERE model = '{m}'"
    )
    assert killed.mill.sql(visible) == clean.mill.sql(visible) == [(0, 0, 1)]
    proved("P1", kills_with_changed_rows=1)


def _twice_published(fault: str, clean: dict[str, Any]) -> dict[str, Any]:
    """A run that had published already publishes again when it is run again: two events of the same rows."""
    published = fault.startswith("publish-after-commit") or fault.startswith(("step-done@6", "step-recorded@6"))
    return {"publishes": clean["publishes"] * 2} if published else {}


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "fault", kills(TRAIN, lambda name, hit: hit == (11 if name == "step-done" else 1) and name != "step-started")
)
def test_training_killed_and_run_again_equals_a_clean_one(
    new_subject: Callable[[], Subject], trained: Any, proved: Proved, fault: str
) -> None:
    subject = new_subject()
    assert subject.train(fault).signal == signal.SIGKILL
    artifacts(subject.mill)  # what has its name is whole
    assert subject.train().ended == "done"
    assert what_counts(subject.mill) == what_counts(trained[0].mill)
    proved("F02 P1", kills_in_train=1, points=int("@1:" in fault))


@pytest.fixture(scope="session")
def clean_rollback(new_serving: Callable[[], Subject], trained: Any) -> dict[str, Any]:
    subject, _ = _with_bad_release(new_serving(), trained)
    assert subject.run("undo", model=subject.mill.model, to=None, **UNDONE).ended == "done"
    return what_counts(subject.mill)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", kills(UNDO, lambda name, hit: True))
def test_rollback_killed_and_finished_equals_a_clean_one(
    serving: Subject, clean_rollback: dict[str, Any], trained: Any, proved: Proved, fault: str
) -> None:
    killed, good = _with_bad_release(serving, trained)
    assert killed.run("undo", fault, model=killed.mill.model, to=None, **UNDONE).signal == signal.SIGKILL
    finished = killed.run("undo", model=killed.mill.model, to=good, **UNDONE)
    assert finished.ended == "done"
    assert what_counts(killed.mill) == clean_rollback
    proved("F51 P9", kills_in_rollback=1, points=1)


@pytest.fixture(scope="session")
def clean_resolution(new_serving: Callable[[], Subject]) -> Callable[[bool], dict[str, Any]]:
    """Return what counts of a withheld run that was published, or discarded, without a kill."""

    @cache
    def count(publishes: bool) -> dict[str, Any]:
        subject = _about_to_be_withheld(new_serving())
        _finish(subject, "predict", "", partition=UNUSUAL)
        _finish(subject, "resolve", "", partition=UNUSUAL, publishes=publishes)
        return what_counts(subject.mill)

    return count


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", WITHHOLD)
@pytest.mark.parametrize("publishes", [True, False], ids=["publish", "discard"])
def test_a_withheld_run_killed_and_finished_equals_a_clean_one(
    serving: Subject, clean_resolution: Callable[[bool], dict[str, Any]], proved: Proved, point: str, publishes: bool
) -> None:
    killed, job = _about_to_be_withheld(serving), WITHHOLD[point]
    _finish(killed, "predict", f"{point}:kill" if job == "predict" else "", partition=UNUSUAL)
    assert killed.mill.view(UNUSUAL) == []
    _finish(killed, "resolve", f"{point}:kill" if job == "resolve" else "", partition=UNUSUAL, publishes=publishes)
    assert what_counts(killed.mill) == clean_resolution(publishes)
    assert len(killed.mill.view(UNUSUAL)) == (60 if publishes else 0)
    proved("P1 P25", kills_around_withheld_runs=1, points=1)


def _about_to_be_withheld(subject: Subject) -> Subject:
    """Publish four days, and break the source of the fifth."""
    for day in USUAL:
        assert subject.run("predict", model=subject.mill.model, partition=day).ended == "done"
    subject.mill.sql(
        "UPDATE {t} SET weight_kg = NULL WHERE shipped_at >= '2024-03-28 00:00-04' AND right(parcel_id, 1) <> '0'"
    )
    return subject


def _finish(subject: Subject, job: str, fault: str, **arguments: Any) -> None:
    """Run a job to its end, once more if a fault has killed it; what it did before its death may leave nothing to do."""
    if fault:
        assert subject.run(job, fault, model=subject.mill.model, **arguments).signal == signal.SIGKILL
    ended = subject.run(job, model=subject.mill.model, **arguments).ended
    assert ended == ("NotPublished" if fault.startswith("resolve-after") else "done")


def _with_bad_release(subject: Subject, trained: Any) -> tuple[Subject, int]:
    """Publish a day by a good release, then by a bad one that was promoted over it; return the good one."""
    mill = subject.mill
    assert subject.predict().ended == "done"
    good = mill.resolve().release_id
    bad = mill.register(trained[1], NEWER)
    mill.promote(bad, good, NEWER)
    assert subject.predict().ended == "done"
    assert set(mill.view(columns="release_id")) == {(bad,)}
    return subject, good
