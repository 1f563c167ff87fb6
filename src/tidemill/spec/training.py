"""Sections about training and acceptance."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from tidemill.spec.kinds import Cron, Duration, Name, Part

__all__ = ["BASELINES", "Accept", "Train"]

BASELINES = ("prior", "group_rate", "shallow_tree")
"""Trivial models that are trained beside the candidates, every time, and that a candidate has to beat."""


class Train(Part):
    """When and how a challenger is trained."""

    schedule: Cron | None = "0 4 * * 1"
    """Cron line in the model's zone; null for by hand and by retraining alone."""
    window: Duration = timedelta(days=90)
    """Length of all labelled data used: train, validation and test together."""
    validation: Duration = timedelta(days=14)
    """Part of the window, before the test set, to choose on."""
    test: Duration = timedelta(days=14)
    """Newest part of the window, which nothing is fitted or chosen on."""
    estimators: tuple[Name, ...] = ("xgboost", "hist_gradient_boosting")
    """Candidates, by name."""
    random_state: Annotated[int, Field(ge=0, lt=2**32)] = 20130101
    """Seed of everything random."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads of one fit: estimators are fitted side by side, and equal bits need an equal number."""

    @model_validator(mode="after")
    def _room_to_fit(self) -> Self:
        if self.validation + self.test >= self.window:
            raise ValueError("window must be longer than validation and test together")
        if not self.estimators:
            raise ValueError("name at least one estimator")
        return self


class Accept(Part):
    """What a challenger has to show before it serves."""

    metric: Name = "roc_auc"
    """Metric that decides, higher is better."""
    minimum: float = 0.5
    """Floor of the metric on the test set."""
    margin: Annotated[float, Field(ge=0)] = 0.005
    """How much worse than the champion the interval may reach."""
    slices: tuple[Name, ...] = ()
    """Categorical features by whose values the metric is reported too."""
    approval: Annotated[str, Field(pattern="^automatic$")] = "automatic"
    """``automatic``: the gate's word is enough."""
