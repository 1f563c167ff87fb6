from pathlib import Path

import pytest

from tidemill.records import Trial
from tidemill.storage.trials import TrialLog

TRIALS = tuple(
    Trial(number=number, parameters={"rate": 0.1 + 0.2, "depth": 3}, scores=(1 / 3, 2 / 3), pruned=False, seconds=0.1)
    for number in range(4)
)


@pytest.fixture
def log(tmp_path: Path) -> TrialLog:
    found = TrialLog.of(tmp_path / "searches", {"seed": 1})
    for trial in TRIALS:
        found.keep(trial)
    return found


def test_trials_come_back_exactly(log: TrialLog) -> None:
    assert log.read() == TRIALS


def test_a_search_that_never_ran_has_no_trial(tmp_path: Path) -> None:
    assert TrialLog.of(tmp_path, {}).read() == ()


def test_another_seed_is_another_search(log: TrialLog) -> None:
    assert TrialLog.of(log.folder.parent, {"seed": 2}).read() == ()


def test_the_order_of_what_it_depends_on_does_not_count(tmp_path: Path) -> None:
    assert TrialLog.of(tmp_path, {"a": 1, "b": 2}) == TrialLog.of(tmp_path, {"b": 2, "a": 1})


def test_a_damaged_trial_ends_what_is_known(log: TrialLog) -> None:
    (log.folder / "trial-0002.json").write_bytes(b'{"number": 2, "par')
    assert log.read() == TRIALS[:2]


def test_a_trial_with_an_unknown_key_ends_what_is_known(log: TrialLog) -> None:
    (log.folder / "trial-0001.json").write_bytes(b'{"number": 1, "colour": "red"}')
    assert log.read() == TRIALS[:1]


def test_a_missing_trial_ends_what_is_known(log: TrialLog) -> None:
    (log.folder / "trial-0001.json").unlink()
    assert log.read() == TRIALS[:1]


def test_half_a_file_of_a_killed_writer_is_not_read(log: TrialLog) -> None:
    (log.folder / "tmp1234").write_bytes(b'{"number": 4')
    assert log.read() == TRIALS


def test_keeping_a_trial_again_changes_nothing(log: TrialLog) -> None:
    log.keep(TRIALS[1])
    assert log.read() == TRIALS


def test_a_removed_log_is_gone_and_removing_it_again_is_harmless(log: TrialLog) -> None:
    log.remove()
    log.remove()
    assert list(log.folder.parent.iterdir()) == []
