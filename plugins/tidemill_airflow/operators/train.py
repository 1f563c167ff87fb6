"""The task of the step ``train``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

__all__ = ["TrainOperator"]


class TrainOperator(StepOperator):
    """Fit one estimator; map over ``estimator`` for several.

    Parameters
    ----------
    split : SplitRef
        Output of ``prepare``.
    estimator : str
        Name of the estimator.
    """

    step: ClassVar[str] = "train"
    template_fields = ("split", "estimator")

    def __init__(self, *, split: Any, estimator: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.split = split
        self.estimator = estimator

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Pass on what the person who triggered the run chose."""
        return {"trials": params.trials}
