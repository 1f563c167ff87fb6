"""The task of the step ``reproduce``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

__all__ = ["ReproduceOperator"]


class ReproduceOperator(StepOperator):
    """Build a release again and compare it with what it was; the one that the partition picks, unless one is named.

    The task ends well whatever the verdict is: it is in the ledger, in its XCom, and in what ``tidemill doctor`` says.
    """

    step: ClassVar[str] = "reproduce"

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Return what the form may say."""
        return {
            "release": params.release,
            "prediction_run": params.prediction_run,
            "as_declared": params.as_declared,
        }
