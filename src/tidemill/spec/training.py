"""Sections about training and acceptance."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tidemill.spec.kinds import Cron, Duration, Name, Part, ThresholdRule
from tidemill.spec.search import Search

__all__ = ["BASELINES", "Accept", "Own", "Train"]

BASELINES = ("prior", "group_rate", "shallow_tree")
"""Trivial models that are trained beside the candidates, every time, and that a candidate has to beat."""


class Own(Part):
    """An estimator of the user's own: any class that fits, predicts and clones as scikit-learn's do."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
    """Import path of the class, e.g. ``sklearn.ensemble.ExtraTreesClassifier``."""
    parameters: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    """Arguments of the class. Seed and threads come from ``train``."""
    encoding: Annotated[str, Field(pattern="^(codes|rates|columns)$")] = "columns"
    """What it is given: ``codes`` for trees (missing stays missing), ``rates`` of the label, or ``columns``, scaled."""
    trust: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")], ...] = ()
    """Import paths of further classes and functions that a stored model of it may hold."""


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
    own: dict[Name, Own] = Field(default_factory=dict)
    """Estimators of your own, by the name that ``estimators`` lists."""
    calibration: Literal["none", "isotonic", "sigmoid"] = "none"
    """Stage after the model that makes scores probabilities, fitted on the newer half of the validation set."""
    threshold: ThresholdRule = "f1"
    """How the score from which a row counts as positive is chosen on the validation set."""
    monotonic: dict[Name, Literal["increasing", "decreasing"]] = Field(default_factory=dict)
    """Features that may move the score one way only; estimators that can are held to it, and all are checked."""
    known_ahead: tuple[Name, ...] = ()
    """Columns that may tell the label well, as they are known before the cutoff beyond doubt; no probe looks at them."""
    search: Search = Search()
    """How their settings are looked for."""
    engine: Literal["local", "external_memory", "dask"] = "local"
    """Where the rows are while XGBoost learns: in memory, on disk as bins, or on the disks of a Dask cluster's workers."""
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

    @model_validator(mode="after")
    def _candidates_differ(self) -> Self:
        twice = sorted({name for name in self.estimators if self.estimators.count(name) > 1})
        if twice:
            raise ValueError(f"estimators lists {', '.join(twice)} twice")
        baselines = [name for name in self.estimators if name in BASELINES]
        if baselines:
            raise ValueError(f"estimators lists {', '.join(baselines)}, which is a baseline and trained in any case")
        return self

    @model_validator(mode="after")
    def _own_is_listed(self) -> Self:
        idle = [name for name in self.own if name not in self.estimators]
        if idle:
            raise ValueError(f"own describes {', '.join(idle)}, which estimators does not list")
        return self

    @model_validator(mode="after")
    def _engine_knows_the_estimators(self) -> Self:
        others = [name for name in self.estimators if name != "xgboost" or name in self.own]
        if self.engine != "local" and others:
            raise ValueError(
                f"engine {self.engine} trains 'xgboost' alone, and estimators lists {', '.join(map(repr, others))}; "
                "write 'estimators: [xgboost]', or use engine local, which needs all rows in memory"
            )
        return self

    @property
    def trusted(self) -> frozenset[str]:
        """Import paths that a stored model of this spec may hold beyond Tidemill's own list."""
        return frozenset(path for own in self.own.values() for path in (own.type, *own.trust))


class Accept(Part):
    """What a challenger has to show before it serves."""

    metric: Name = "roc_auc"
    """Metric that decides; left out, ``roc_auc``, ``log_loss`` or ``mean_absolute_error`` by the task."""
    minimum: float | None = None
    """Floor of the metric on the test set, or ceiling of an error or a loss; null leaves it to the baselines."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """How much worse than the champion the interval may reach; null for 5 % of the candidate's lead over ``prior``."""
    slices: tuple[Name, ...] = ()
    """Categorical features in whose values nobody may be shown to be worse off than with the champion."""
    slice_margin: Annotated[float, Field(ge=0)] | None = None
    """How much worse a slice may be; null for ``margin``."""
    calibration_error: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest expected calibration error on the test set; null for not weighed."""
    churn: Annotated[float, Field(ge=0)] | None = None
    """Largest share of decisions that may differ from the champion's; null for not weighed."""
    seconds_per_million: Annotated[float, Field(gt=0)] | None = 300.0
    """Most processor seconds that scoring a million rows may take; null for not weighed."""
    memory_mb: Annotated[int, Field(gt=0)] | None = 4096
    """Most memory, in MiB, that a process that loads and scores may hold, libraries included; null for not weighed."""
    approval: Literal["automatic", "manual"] = "automatic"
    """``automatic``: the gate's word is enough; ``manual``: a person has to say yes to what the gate accepts."""
    approval_timeout: Duration = timedelta(days=2)
    """Time that a person has to answer in Airflow; no answer counts as a refusal."""
    four_eyes: bool = False
    """Whoever asked for the training may not approve or promote its release."""
