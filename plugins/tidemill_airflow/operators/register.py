"""The task of the step ``register``."""

from typing import Any, ClassVar

from tidemill_airflow.operators.step import StepOperator
from tidemill_airflow.params import RunParams

__all__ = ["RegisterOperator"]


class RegisterOperator(StepOperator):
    """Release an accepted model, and show the training in MLflow.

    Parameters
    ----------
    snapshot : SnapshotRef
        Output of ``extract``.
    profile : ProfileRef
        Output of ``analyse``.
    split : SplitRef
        Output of ``prepare``.
    evaluation : EvaluationReport
        Output of ``evaluate``.
    decision : Decision
        Output of ``validate_model``.
    approval : Decision, default None
        Output of ``approve``; None where nobody is asked.
    """

    step: ClassVar[str] = "register"
    template_fields = ("snapshot", "profile", "split", "evaluation", "decision", "approval")

    def __init__(
        self,
        *,
        snapshot: Any,
        profile: Any,
        split: Any,
        evaluation: Any,
        decision: Any,
        approval: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot = snapshot
        self.profile = profile
        self.split = split
        self.evaluation = evaluation
        self.decision = decision
        self.approval = approval

    def chosen(self, params: RunParams) -> dict[str, Any]:
        """Pass on what the person who triggered the run chose."""
        return {"dry_run": params.dry_run, "reason": params.reason}
