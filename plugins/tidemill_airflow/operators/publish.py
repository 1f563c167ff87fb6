"""The task of the step ``publish``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

__all__ = ["PublishOperator"]


class PublishOperator(StepOperator):
    """Make the written rows the visible ones.

    Parameters
    ----------
    prediction : PredictionRef
        Output of ``predict``.
    """

    step: ClassVar[str] = "publish"
    template_fields = ("prediction",)

    def __init__(self, *, prediction: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prediction = prediction

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Pass on what the person who triggered the run chose."""
        return {"dry_run": params.dry_run}
