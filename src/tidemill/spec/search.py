"""Section about hyperparameter search: how many settings are tried, on which folds, from which space."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from tidemill.spec.kinds import Duration, Name, Part

__all__ = ["Dimension", "Search", "Window"]

Parameter = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,47}$")]
"""Name of a parameter, as the estimator's own library writes it."""


class Window(StrEnum):
    """What a fold is fitted on."""

    EXPANDING = "expanding"
    SLIDING = "sliding"


class Dimension(Part):
    """The values that one parameter may take: a range, or choices."""

    low: int | float | None = None
    """Least value; whole numbers at both ends mean that only whole numbers are tried."""
    high: int | float | None = None
    """Greatest value, included."""
    log: bool = False
    """Whether values are spread evenly over orders of magnitude."""
    choices: tuple[bool | int | float | str, ...] = ()
    """Values to choose from, in place of a range."""

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
        if not self.low < self.high:  # so written, NaN fails
            raise ValueError(f"low must be below high, found {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a range on the log scale must begin above 0, found {self.low:g}")
        return self

    @property
    def whole(self) -> bool:
        """True if only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Search(Part):
    """How good settings of an estimator are looked for, before it is fitted with the best of them."""

    trials: Annotated[int, Field(ge=0, le=1000)] = 0
    """Settings that are tried for each estimator, besides its defaults; 0 for no search."""
    timeout: Duration = timedelta(minutes=15)
    """Time after which an estimator's search takes the best so far, and says that it was cut short."""
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    """Folds of train and validation set by time, each measured after what it is fitted on."""
    window: Window = Window.EXPANDING
    """``expanding``: each fold is fitted on all that came before; ``sliding``: on as much as the first."""
    space: dict[Name, dict[Parameter, Dimension]] = Field(default_factory=dict)
    """By estimator, the parameters to search; an estimator named here gives up its own space."""

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise ValueError("it must be longer than nothing")
        return value

    @field_validator("space")
    @classmethod
    def _no_empty_space(cls, value: dict[str, dict[str, Dimension]]) -> dict[str, dict[str, Dimension]]:
        for estimator, dimensions in value.items():
            if not dimensions:
                raise ValueError(f"{estimator} names no parameter; leave it out for the usual ones")
        return value
