"""The evidence for a person who approves a model: the gate's reasons and the figures behind them.

Markdown for Airflow's form. This module must not import Altair.
"""

from tidemill.records import Decision, EvaluationReport
from tidemill.report.card import escape
from tidemill.report.html import environment

__all__ = ["approval_request"]

_MAX_SLICES = 10  # rows in the table; the evaluation page has all


def approval_request(evaluation: EvaluationReport, decision: Decision) -> str:
    """Return the evidence for a decision as Markdown.

    Parameters
    ----------
    evaluation : EvaluationReport
        The evidence.
    decision : Decision
        The gate's.
    """
    weakest = sorted(evaluation.champion_slices, key=lambda item: item.value)[:_MAX_SLICES]
    text = (
        environment()
        .get_template("approval.md")
        .render(
            evaluation=evaluation,
            decision=decision,
            whole=[item for item in evaluation.metrics if item.slice is None],
            weakest=weakest,
            md=escape,
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")
