"""Section about hyperparameter search: number of trials, folds and search space."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from tidemill.spec.kinds import Duration, Name, Part

__all__ = ["Dimension", "Search", "Window"]

Parameter = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,47}$")]
"""Name of a parameter, as spelled by the estimator's own library."""


class Window(StrEnum):
    """Which partitions a fold is fitted on."""

    EXPANDING = "expanding"
    SLIDING = "sliding"


class Dimension(Part):
    """Values that a parameter may take: a range, or choices."""

    low: int | float | None = None
    """Lowest value; if both ends are whole numbers, only whole numbers are tried."""
    high: int | float | None = None
    """Highest value, inclusive."""
    log: bool = False
    """Whether values are sampled on a logarithmic scale."""
    choices: tuple[bool | int | float | str, ...] = ()
    """Values to choose from, instead of a range."""

    @model_validator(mode="before")
    @classmethod
    def _says_which(cls, value: object) -> object:
        if isinstance(value, list):
            raise ValueError(f"write {{low: …, high: …}} for a range, or {{choices: {value}}}")
        return value

    @model_validator(mode="after")
    def _range_or_choices(self) -> Self:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give either low and high, or choices")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if not self.low < self.high:  # written this way, NaN fails too
            raise ValueError(f"low must be below high, found {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must start above 0, found {self.low:g}")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Search(Part):
    """How hyperparameters of an estimator are searched before the final fit."""

    trials: Annotated[int, Field(ge=0, le=1000)] = 0
    """Settings tried per estimator in addition to its defaults; 0 for no search."""
    timeout: Duration = timedelta(minutes=15)
    """Time after which an estimator's search stops, keeps the best setting so far and is reported as cut short."""
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    """Number of folds of train and validation set by time; each is measured on later rows than it is fitted on."""
    window: Window = Window.EXPANDING
    """``expanding``: a fold is fitted on everything before it; ``sliding``: on as many partitions as the first fold."""
    space: dict[Name, dict[Parameter, Dimension]] = Field(default_factory=dict)
    """Parameters to search per estimator; they replace its default search space."""

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise ValueError("must be longer than 0 minutes")
        return value

    @field_validator("space")
    @classmethod
    def _no_empty_space(cls, value: dict[str, dict[str, Dimension]]) -> dict[str, dict[str, Dimension]]:
        for estimator, dimensions in value.items():
            if not dimensions:
                raise ValueError(f"{estimator} lists no parameter; leave it out to search the default space")
        return value
