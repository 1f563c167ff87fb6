from datetime import timedelta

import pytest

from tidemill.errors import SettingsError
from tidemill.runtime.declarations import STEPS
from tidemill.runtime.limits import GRACE, execution_timeout, limit_of, usable_cores


def test_the_limit_of_an_unknown_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="Unknown step 'paint'"):
        limit_of("paint")


def test_there_is_a_core() -> None:
    assert usable_cores() >= 1


def test_the_environment_gives_another_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_TRAIN_TIMEOUT_S", "43200")
    assert (limit_of("train"), limit_of("predict")) == (timedelta(hours=12), STEPS["predict"].limit)


@pytest.mark.parametrize("words", ["0", "-1", "1.5", "12 hours", "1" * 10, "٣"])
def test_what_is_not_a_number_of_seconds_is_refused(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("TIDEMILL_TRAIN_TIMEOUT_S", words)
    with pytest.raises(SettingsError, match=r"TIDEMILL_TRAIN_TIMEOUT_S is .* expected whole seconds"):
        limit_of("train")


@pytest.mark.parametrize("step", STEPS)
def test_airflow_waits_until_the_step_has_had_its_time_to_end(step: str) -> None:
    assert execution_timeout(step) > limit_of(step) + GRACE
