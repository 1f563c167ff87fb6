"""Withheld runs: rows that wait for a person, and that readers do not see."""

from collections.abc import Sequence

from tidemill.doctor.findings import Finding, listed
from tidemill.warehouse.predictions.withholding import WithheldRun

__all__ = ["check_withheld"]


def check_withheld(model: str, runs: Sequence[WithheldRun]) -> Finding:
    """Return a failure with every withheld partition of a model, its reason and its age."""
    if not runs:
        return Finding.ok("withheld", model, "No rows are withheld.")
    named = [f"{run.partition}, since {run.since:%Y-%m-%d %H:%M %Z}: {run.reasons[0]}" for run in runs]
    return Finding.fail(
        "withheld",
        model,
        f"Rows of {len(runs)} partition(s) are withheld from readers: {listed(named)}",
        f"'tidemill publish {model} {runs[0].partition} --reason …' if they are right, 'tidemill discard' if not.",
    )
