"""Which errors Airflow retries: the two branches of Tidemill's error tree."""

from datetime import timedelta

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from tidemill.errors import FatalError, TransientError

__all__ = ["DEFAULT_ARGS", "RETRY_POLICY"]

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=FatalError, action=RetryAction.FAIL, reason="the same input fails again"),
        RetryRule(exception=TransientError, action=RetryAction.RETRY, reason="it may work later"),
    ]
)

DEFAULT_ARGS = {
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(days=1),  # for tasks without a limit of their own: waiting for a training
}
"""For every DAG: other errors (a killed process, a lost worker) are retried too."""
