import inspect

import pytest
from airflow.sdk import RetryAction

from tidemill import errors
from tidemill.errors import FatalError, TidemillError, TransientError
from tidemill_airflow.retry import DEFAULT_ARGS, RETRY_POLICY

CLASSES = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, TidemillError)]


def action(error: BaseException) -> RetryAction:
    return RETRY_POLICY.evaluate(error, try_number=1, max_tries=3).action


@pytest.mark.parametrize("error", [item for item in CLASSES if issubclass(item, FatalError)])
def test_a_fatal_error_is_not_tried_again(error: type[TidemillError]) -> None:
    assert action(error("It broke.", "Fix it.")) is RetryAction.FAIL


@pytest.mark.parametrize("error", [item for item in CLASSES if issubclass(item, TransientError)])
def test_a_transient_error_is_tried_again(error: type[TidemillError]) -> None:
    assert action(error("It is away.", "Wait.")) is RetryAction.RETRY


def test_every_error_is_on_one_branch_of_the_tree() -> None:
    both = [item for item in CLASSES if issubclass(item, FatalError) == issubclass(item, TransientError)]
    assert both == [TidemillError]


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), MemoryError(), KeyError("x")])
def test_an_unclassified_error_is_left_to_airflow(error: Exception) -> None:
    assert action(error) is RetryAction.DEFAULT


def test_the_policy_survives_the_serialisation_of_a_dag() -> None:
    again = type(RETRY_POLICY).deserialize(RETRY_POLICY.serialize())
    assert again.evaluate(errors.EmptyPartition("a", "b"), try_number=1, max_tries=3).action is RetryAction.FAIL


def test_waiting_grows_up_to_a_limit() -> None:
    first, longest = DEFAULT_ARGS["retry_delay"], DEFAULT_ARGS["max_retry_delay"]
    assert first * DEFAULT_ARGS["retry_exponential_backoff"] ** DEFAULT_ARGS["retries"] <= longest
