"""The operators that are nothing but their step: each class is derived from the step's declaration."""

import inspect
from types import new_class
from typing import Any

from airflow.sdk import BaseOperator

from tidemill.runtime.declarations import STEPS, producers
from tidemill.runtime.step import Input, Step
from tidemill_airflow.operators.step import StepOperator

__all__ = ["declared_operators"]

WRITTEN = ("approve", "await_ready", "inspect", "look_back", "record_outcome", "settle")
"""Steps whose operators do more, and are written by hand."""


def declared_operators() -> dict[str, type[StepOperator]]:
    """Return the derived operators, by class name: ``TrainOperator`` of the step ``train``."""
    found = [_operator(step) for step in STEPS.values() if step.name not in WRITTEN]
    return {operator.__name__: operator for operator in found}


def _operator(step: Step[..., Any]) -> type[StepOperator]:
    inputs = {name: taken for name, taken in step.inputs.items() if not taken.chosen}

    def __init__(self: StepOperator, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name, taken.default) for name, taken in inputs.items()} | {
            "model": kwargs.pop("model")
        }
        # Not through StepOperator's: Airflow merges all defaults into the arguments again at each level.
        BaseOperator.__init__(self, **self.limited(kwargs))
        for name, value in given.items():
            setattr(self, name, value)

    # Airflow checks arguments against it, those of mapped tasks too.
    vars(__init__)["__signature__"] = _signature(inputs)
    body = {
        "__init__": __init__,
        "__doc__": f"{step.summary}\n\nParameters\n----------\n{_parameters(step, inputs)}",
        "__module__": __name__.rpartition(".")[0],
        "step": step.name,
        "template_fields": tuple(inputs),
    }
    return new_class(
        f"{step.name.title().replace('_', '')}Operator", (StepOperator,), {}, lambda names: names.update(body)
    )


def _signature(inputs: dict[str, Input]) -> inspect.Signature:
    kinds = inspect.Parameter
    named = [kinds("model", kinds.KEYWORD_ONLY)]
    named += [kinds(name, kinds.KEYWORD_ONLY, default=taken.default) for name, taken in inputs.items()]
    return inspect.Signature([kinds("self", kinds.POSITIONAL_OR_KEYWORD), *named, kinds("kwargs", kinds.VAR_KEYWORD)])


def _parameters(step: Step[..., Any], inputs: dict[str, Input]) -> str:
    lines = ["model : str"]
    for name, taken in inputs.items():
        kind = (taken.record or taken.hint).__name__
        many, default = "list of " if taken.many else "", "" if taken.required else f", default {taken.default!r}"
        lines.append(f"{name} : {many}{kind}{default}")
        if sources := producers(step, name):
            lines.append(f"    Output of {', '.join(f'``{source.name}``' for source in sources)}.")
    return "\n".join(lines)
