"""Sections about training and acceptance."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tidemill.spec.data import Ready, Task
from tidemill.spec.folds import Folds
from tidemill.spec.kinds import Cron, Duration, MetricName, Name, Part, ThresholdRule, repeated
from tidemill.spec.search import Search

__all__ = ["BASELINES", "CANDIDATES", "Accept", "LeaveOut", "Own", "Train", "candidates"]

BASELINES = ("prior", "group_rate", "shallow_tree")
"""Trivial models that are trained with the candidates every time, and that a candidate must beat."""

CANDIDATES: Mapping[str, tuple[Task, ...]] = {
    "xgboost": tuple(Task),
    "hist_gradient_boosting": tuple(Task),
    "lightgbm": tuple(Task),
    "catboost": tuple(Task),
    "logistic_regression": (Task.BINARY, Task.MULTICLASS),
    "ridge": (Task.REGRESSION,),
    "random_forest": tuple(Task),
}
"""Names that ``train.estimators`` may list beside custom estimators, and the tasks that each supports."""


def candidates(task: str) -> tuple[str, ...]:
    """Return the names that ``train.estimators`` may list for a task.

    Examples
    --------
    >>> candidates("regression")
    ('xgboost', 'hist_gradient_boosting', 'lightgbm', 'catboost', 'ridge', 'random_forest')
    """
    return tuple(name for name, tasks in CANDIDATES.items() if task in tasks)


class Own(Part):
    """A custom estimator: any class with scikit-learn's fit, predict and clone interface."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
    """Import path of the class, for example ``sklearn.ensemble.ExtraTreesClassifier``."""
    parameters: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    """Constructor arguments; the seed and the number of threads come from ``train``."""
    encoding: Annotated[str, Field(pattern="^(codes|rates|columns)$")] = "columns"
    """Input encoding: ``codes`` for trees (missing values stay missing), ``rates`` of the label, or scaled ``columns``."""
    trust: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")], ...] = ()
    """Import paths of further classes and functions that its stored model may contain."""


class LeaveOut(Part):
    """Fits of the chosen estimator without one group of features each."""

    groups: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Features by the name of their group; if empty, numbers are grouped by correlation."""
    most: Annotated[int, Field(ge=1, le=100)] = 8
    """Maximum groups, and so additional fits, per training; the first ones are chosen."""


class Train(Part):
    """When and how a challenger is trained."""

    schedule: Cron | None = "0 4 * * 1"
    """Cron expression in the model's time zone; null for manual runs and retraining only."""
    ready: Ready | None = None
    """What a run waits for; null to start at once."""
    window: Duration = timedelta(days=90)
    """Total length of the labelled data: train, validation and test together."""
    validation: Duration = timedelta(days=14)
    """Part of the window before the test set, used for model selection."""
    test: Duration = timedelta(days=14)
    """Newest part of the window; nothing is fitted or selected on it."""
    folds: Folds = Folds()
    """Sizes of the sets if rows have no time; only for ``event_time: none``."""
    estimators: tuple[Name, ...] = ("xgboost", "hist_gradient_boosting")
    """Names of the candidates."""
    own: dict[Name, Own] = Field(default_factory=dict)
    """Custom estimators, by the name listed in ``estimators``."""
    calibration: Literal["none", "isotonic", "sigmoid"] = "none"
    """Calibration of scores to probabilities, fitted on the newer half of the validation set."""
    threshold: ThresholdRule = "f1"
    """Rule that chooses the decision threshold on the validation set."""
    class_weight: Literal["balanced"] | dict[Literal["negative", "positive"], Annotated[float, Field(gt=0)]] | None = (
        None
    )
    """Weight of each class in the fit of candidates: ``balanced``, or a number by class; calibrated afterwards."""
    monotonic: dict[Name, Literal["increasing", "decreasing"]] = Field(default_factory=dict)
    """Features that may move the score in one direction only; enforced in the fit where supported, and always checked."""
    known_ahead: tuple[Name, ...] = ()
    """Columns known before the cutoff that may predict the label well; the leak probe skips them."""
    search: Search = Search()
    """Hyperparameter search."""
    refit: bool = False
    """Whether a candidate that the gate accepts is fitted again on all labelled rows before it serves."""
    leave_out: LeaveOut | None = None
    """Fits without one group of features each, to compare what a group gains with what it costs; null for none."""
    engine: Literal["local", "external_memory", "dask"] = "local"
    """Where XGBoost keeps the rows while training: in memory, on disk as bins, or on the disks of Dask workers."""
    random_state: Annotated[int, Field(ge=0, lt=2**32)] = 20130101
    """Seed of all random operations."""
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads per fit; estimators are fitted in parallel, and identical bits require the same number."""

    @model_validator(mode="after")
    def _room_to_fit(self) -> Self:
        if self.validation + self.test >= self.window:
            raise ValueError("window must be longer than validation and test together")
        if not self.estimators:
            raise ValueError("list at least one estimator")
        return self

    @model_validator(mode="after")
    def _candidates_differ(self) -> Self:
        if twice := repeated(self.estimators):
            raise ValueError(f"estimators lists {', '.join(twice)} twice")
        baselines = [name for name in self.estimators if name in BASELINES]
        if baselines:
            raise ValueError(f"estimators lists {', '.join(baselines)}, which is a baseline and always trained")
        return self

    @model_validator(mode="after")
    def _own_is_listed(self) -> Self:
        idle = sorted(self.own.keys() - set(self.estimators))
        if idle:
            raise ValueError(f"own describes {', '.join(idle)}, which estimators does not list")
        return self

    @model_validator(mode="after")
    def _engine_knows_the_estimators(self) -> Self:
        others = [name for name in self.estimators if name != "xgboost" or name in self.own]
        if self.engine != "local" and others:
            raise ValueError(
                f"engine {self.engine} trains only 'xgboost', and estimators lists {', '.join(map(repr, others))}; "
                "write 'estimators: [xgboost]', or use engine local, which needs all rows in memory"
            )
        return self

    @model_validator(mode="after")
    def _refit_can_repeat_the_fit(self) -> Self:
        if self.refit and self.engine != "local":
            raise ValueError(f"refit needs all rows in memory, and engine is {self.engine}; leave one of them out")
        if self.refit and "catboost" in self.estimators and "catboost" not in self.own:
            raise ValueError(
                "refit cannot repeat catboost, whose trees depend on the rounds allowed and not only on those kept; "
                "leave one of them out"
            )
        return self

    @property
    def trusted(self) -> frozenset[str]:
        """Import paths that a stored model of this spec may contain in addition to Tidemill's own list."""
        return frozenset(path for own in self.own.values() for path in (own.type, *own.trust))


Gap = Literal["selection_rate", "true_positive_rate", "false_positive_rate", "calibration", "error"]


class Accept(Part):
    """Conditions that a challenger must meet before it serves."""

    metric: MetricName = "roc_auc"
    """Metric that decides; if left out, ``roc_auc``, ``log_loss`` or ``mean_absolute_error``, depending on the task."""
    minimum: float | None = None
    """Minimum of the metric on the test set (maximum for an error or a loss); null requires only beating the baselines."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """How far below the champion the interval may extend; null for 5 % of the candidate's lead over ``prior``."""
    slices: tuple[Name, ...] = ()
    """Categorical features; a candidate shown to be worse than the champion for one of their values is rejected."""
    slice_margin: Annotated[float, Field(ge=0)] | None = None
    """Margin for slices; null for ``margin``."""
    gaps: dict[Gap, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Maximum gap of each figure between a group of an ``audit`` column and the other rows; shown but not judged without."""
    calibration_error: Annotated[float, Field(gt=0, le=1)] | None = None
    """Maximum expected calibration error on the test set; null for no limit."""
    churn: Annotated[float, Field(ge=0)] | None = None
    """Maximum share of decisions that may differ from the champion's; null for no limit."""
    seconds_per_million: Annotated[float, Field(gt=0)] | None = 300.0
    """Maximum processor seconds for scoring a million rows; null for no limit."""
    memory_mb: Annotated[int, Field(gt=0)] | None = 4096
    """Maximum memory, in MiB, of a process that loads and scores, libraries included; null for no limit."""
    approval: Literal["automatic", "manual"] = "automatic"
    """``automatic``: the gate decides; ``manual``: a person must also approve what the gate accepts."""
    approval_timeout: Duration = timedelta(days=2)
    """Time for the approval in Airflow; no answer counts as a rejection."""
    looks: Literal["each", "together"] = "each"
    """``each``: every comparison with the champion may be wrong in 2.5 % of cases; ``together``: all with one champion may."""
    anchor: Annotated[int, Field(ge=2, le=100)] | None = None
    """How many promotions ago the former champion was that a candidate must not be worse than by the margin, either; null for
    no such comparison."""
    shadow: Duration | None = None
    """How long an accepted or undecided challenger scores in the shadow of the champion before it may replace it; null to
    promote at once what is accepted."""
    watch: Duration | None = None
    """How long a replaced champion scores in the shadow of its successor, and returns if that is shown to be worse by more
    than the margin; null for not at all."""
    republish: bool = False
    """Whether the rows of a successor that ``watch`` undoes are taken back, too."""
    four_eyes: bool = False
    """Whether the person who requested a training is barred from approving or promoting its release."""

    @model_validator(mode="after")
    def _republish_needs_watch(self) -> Self:
        if self.republish and self.watch is None:
            raise ValueError(
                "republish takes back what watch undoes; set watch, such as '14 days', or remove republish"
            )
        return self

    @property
    def in_shadow(self) -> bool:
        """Whether releases score in the shadow of the champion."""
        return self.shadow is not None or self.watch is not None
