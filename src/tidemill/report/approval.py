"""The evidence for a person who decides on a model or on withheld rows: the reasons and the figures behind them.

Markdown for Airflow's form. This module must not import Altair.
"""

from tidemill.records import Decision, EvaluationReport, PredictionRef
from tidemill.report.card import escape
from tidemill.report.html import environment

__all__ = ["approval_request", "publication_request"]

_MAX_SLICES = 10  # rows in the table; the evaluation page has all


def approval_request(evaluation: EvaluationReport, decision: Decision) -> str:
    """Return the evidence for a decision as Markdown."""
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


def publication_request(prediction: PredictionRef, decision: Decision) -> str:
    """Return the evidence for a decision on withheld rows as Markdown."""
    mean = "" if prediction.mean_score is None else f", mean score {prediction.mean_score:.4f}"
    lines = [
        f"{prediction.n_rows:,} rows of partition {escape(prediction.partition)}, by release {prediction.release_id}{mean},"
        f" are withheld (prediction run {prediction.prediction_run_id}). Readers see the earlier rows, or none.",
        "",
        *(f"- {escape(reason)}" for reason in decision.reasons),
    ]
    return "\n".join(lines).encode("utf-8", "replace").decode("utf-8")
