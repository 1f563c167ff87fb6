"""What a step is: one declaration of its function, chains, time limit, memory, inputs and record.

Everything else that lists steps is derived from it: chains, limits, Airflow's operators, the tables of the docs. It
imports little, since Airflow loads it whenever it parses a DAG file.
"""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar

from tidemill.records import Record

__all__ = ["NO_ROWS", "Batches", "Input", "LaterSteps", "Memory", "NoRows", "Rows", "Step", "step"]

P = ParamSpec("P")
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRows:
    """The step holds no more rows than fit in any process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The step holds its rows in memory; with an engine that reads from disk, a sample of them."""

    times: float
    """Copies of the rows at the peak, in any form, as measured (docs/performance.md)."""
    extra_bytes: int
    """Bytes per row of labels, keys and predictions, which stay in memory with every engine."""
    without_test: bool = False
    """Whether the rows of the test set are left out."""
    whole_test: bool = False
    """Whether the test set is in memory with every engine."""
    times_with_refit: float = 0.0
    """Copies at the peak with ``train.refit``, where that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """The step holds some batches of rows per thread."""

    times: float
    """Copies of the batches at the peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterSteps:
    """The step itself holds no rows, but knows how many the later steps of a chain will hold."""

    chain: str
    """The chain whose later steps are checked."""


Memory = NoRows | Rows | Batches | LaterSteps
"""How much memory a step needs, by its rows."""
NO_ROWS = NoRows()


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a step, beyond its job."""

    hint: Any
    """Declared type."""
    default: Any
    """Default value; ``inspect.Parameter.empty`` if the input is required."""
    chosen: bool
    """Whether the person who starts the run chooses it; other inputs come from earlier steps or from the chain."""

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def many(self) -> bool:
        """Whether it takes the records of several steps."""
        return typing.get_origin(self.hint) is tuple

    @property
    def record(self) -> type[Record] | None:
        """The type of its record or records; None for a plain value."""
        kinds = (self.hint, *typing.get_args(self.hint))
        return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Record)), None)


@dataclass(frozen=True, kw_only=True)
class Step(Generic[P, R]):
    """The declaration of a step. Used as a decorator, it lets mypy check the step's function."""

    module: str
    """Module that holds the function, below ``tidemill``."""
    chains: tuple[str, ...]
    """Chains that the step belongs to."""
    limit: timedelta
    """Time after which the step counts as stuck: many times what the example takes."""
    memory: Memory
    """Model of its memory."""
    airflow_only: bool
    """Whether only Airflow runs it, and chains without Airflow leave it out."""
    signature: Callable[P, R]
    """The declared signature, with the docstring."""

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the step's function; mypy checks that its signature is the declared one."""
        return function

    @property
    def name(self) -> str:
        """Name of the step and of its function."""
        return self.signature.__name__

    @property
    def summary(self) -> str:
        """The docstring: what the step does."""
        return inspect.getdoc(self.signature) or ""

    @cached_property
    def inputs(self) -> dict[str, Input]:
        """The inputs, by name; those after ``*`` are chosen by the person who starts the run."""
        found: dict[str, Input] = {}
        for given in list(inspect.signature(self.signature).parameters.values())[1:]:
            if given.kind is inspect.Parameter.VAR_KEYWORD:
                found |= _fields(*typing.get_args(self._hints[given.name]))
            else:
                chosen = given.kind is inspect.Parameter.KEYWORD_ONLY
                found[given.name] = Input(hint=self._hints[given.name], default=given.default, chosen=chosen)
        return found

    @property
    def record(self) -> type[Record]:
        """Type of the record that the step returns."""
        found: type[Record] = self._hints["return"]
        return found

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.signature, localns={"Job": object})  # importing the job takes psycopg2


def _fields(values: Any) -> dict[str, Input]:
    """Return the keys of a ``TypedDict`` as inputs; optional ones are None by default."""
    return {
        name: Input(
            hint=hint, default=None if name in values.__optional_keys__ else inspect.Parameter.empty, chosen=False
        )
        for name, hint in typing.get_type_hints(values).items()
    }


def step(
    module: str, *, chains: tuple[str, ...], limit: timedelta, memory: Memory, airflow_only: bool = False
) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Declare a step by the signature below; the arguments are those of `Step`."""

    def declare(signature: Callable[P, R]) -> Step[P, R]:
        return Step(
            module=module, chains=chains, limit=limit, memory=memory, airflow_only=airflow_only, signature=signature
        )

    return declare
