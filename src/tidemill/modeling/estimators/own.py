"""The user's own estimator: any class with scikit-learn's manners, under the name that the spec gives it.

The spec is reviewed code, so the class that it names may be imported. What comes out has to keep what every bundle
promises: the same fit twice gives the same bits, and a row's score does not depend on the rows around it.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from tidemill.errors import NotTrainable, SpecError
from tidemill.modeling.answers import answer
from tidemill.modeling.estimators.recipes import Fitted, Parameter, Training
from tidemill.modeling.tasks import task_type
from tidemill.spec import Own

__all__ = ["BLOCK_ROWS", "fit_own", "instance_of", "refuse_unsteady"]

BLOCK_ROWS = 256
"""Rows that an estimator of one's own is asked for at once: products of matrices of one shape sum in one order."""

_REFUSED_BOOSTERS = ("dart", "gblinear")  # of XGBoost: nobody looks at their files before they are loaded
_N_CHECKED = 600  # rows of the train set that are scored again in other company: more than two blocks


def fit_own(name: str, own: Own, training: Training) -> Fitted:
    """Fit the estimator that a spec describes.

    Raises
    ------
    SpecError
        If the class cannot be imported, is no estimator for the task, or refuses its arguments.
    NotTrainable
        If it refuses the data.
    """
    model = instance_of(
        name,
        own,
        training.task,
        random_state=training.random_state,
        n_threads=training.n_threads,
        parameters=training.parameters,
    )
    transformer, X, _ = training.encoded(own.encoding)
    try:
        model.fit(X, training.y)
    except (ValueError, TypeError) as error:
        raise NotTrainable(
            f"{name!r} ({own.type}) refuses the train set: {str(error).rstrip('.')}.",
            "Choose another encoding or other parameters under 'train.own', or another class.",
        ) from error
    if model.get_params().get("n_jobs") not in (None, 1):
        model.set_params(n_jobs=1)  # threads may add up in the order in which they finish
    return transformer, model


def refuse_unsteady(name: str, own: Own, training: Training, fitted: Fitted) -> None:
    """Fit again and score in other company.

    Raises
    ------
    NotTrainable
        If the second fit scores other bits, or a row's score depends on the rows around it.
    """
    rows = training.X.head(_N_CHECKED)

    def score(pair: Fitted, chosen: Any) -> Any:
        matrix = pair[0].transform(rows.iloc[chosen])
        return answer(pair[1], matrix, task=training.task, n_threads=training.n_threads, block_rows=BLOCK_ROWS)

    everything = np.arange(len(rows))
    first = score(fitted, everything)
    if score(fit_own(name, own, training), everything).tobytes() != first.tobytes():
        raise NotTrainable(
            f"{name!r} ({own.type}) gives other scores when it is fitted again on the same rows with the same seed.",
            "Find the parameter that makes it repeatable, or choose another class: a release must be reproducible.",
        )
    for chosen in (everything[::-1], everything[::3], everything[len(rows) // 2 :]):
        if score(fitted, chosen).tobytes() != np.ascontiguousarray(first[chosen]).tobytes():
            raise NotTrainable(
                f"{name!r} ({own.type}) scores a row differently when other rows stand around it.",
                "Choose another class or other parameters: the same row must get the same score in every batch.",
            )


def instance_of(
    name: str,
    own: Own,
    task: str,
    *,
    random_state: int = 0,
    n_threads: int = 1,
    parameters: Mapping[str, Parameter] | None = None,
) -> Any:
    """Construct the estimator that a spec describes, unfitted.

    Raises
    ------
    SpecError
        If the class cannot be imported, is no estimator for the task, or has no such parameter.
    """
    kind = _class(name, own)
    accepted = _accepted(kind)
    ours: dict[str, Any] = {"random_state": random_state}
    if n_threads > 1 or not own.type.startswith("sklearn."):  # whose default is one, and who warns of more
        ours["n_jobs"] = n_threads
    given = {**{key: value for key, value in ours.items() if key in accepted}, **own.parameters, **(parameters or {})}
    unknown = [key for key in given if key not in accepted]
    if unknown:
        valid = ", ".join(accepted) or "none"
        raise SpecError(f"{own.type} knows no parameter {', '.join(map(repr, unknown))}.", f"It takes {valid}.")
    if own.type.startswith("xgboost.") and given.get("booster") in _REFUSED_BOOSTERS:
        raise SpecError(
            f"train.own.{name}: booster {given['booster']!r} is refused; Tidemill keeps XGBoost's trees (gbtree) alone.",
            "Leave 'booster' out, or list 'xgboost' or 'ridge' under 'train.estimators'.",
        )
    model = kind(**given)
    wanted = ("fit", "get_params", task_type(task).pick("predict_proba", "predict"))
    missing = [method for method in wanted if not hasattr(model, method)]
    if missing:
        raise SpecError(
            f"{own.type} has no {', '.join(missing)}, so {name!r} cannot serve task {task!r}.",
            "Choose another class under 'train.own', or parameters that give it the method.",
        )
    return model


def _accepted(kind: Any) -> list[str]:
    """Return the arguments of a class; behind ``**kwargs`` stand those that an object of it says it has."""
    known = inspect.signature(kind).parameters.values()
    names = [item.name for item in known if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    if any(item.kind is item.VAR_KEYWORD for item in known) and hasattr(kind, "get_params"):
        names += [key for key in kind().get_params() if key not in names]
    return names


def _class(name: str, own: Own) -> Any:
    module, _, attribute = own.type.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"train.own.{name}: {own.type} cannot be imported: {error}.",
            "Correct the path, or install the package wherever Tidemill trains and scores.",
        ) from error
    if not inspect.isclass(kind):
        raise SpecError(f"train.own.{name}: {own.type} is no class.", "Name a class of estimators.")
    return kind
