"""The task of the step ``evaluate``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator

__all__ = ["EvaluateOperator"]


class EvaluateOperator(StepOperator):
    """Measure the best candidate on the untouched test set.

    Parameters
    ----------
    split : SplitRef
        Output of ``prepare``.
    bundles : list of BundleRef
        Outputs of all ``train`` tasks.
    """

    step: ClassVar[str] = "evaluate"
    template_fields = ("split", "bundles")

    def __init__(self, *, split: Any, bundles: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.split = split
        self.bundles = bundles
