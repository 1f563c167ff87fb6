"""Custom estimators: any class with scikit-learn's interface, under a name chosen in the spec.

The spec is reviewed code, so its classes may be imported. The fitted model must keep the guarantees of every bundle:
fitting twice produces the same bits, and a row's score does not depend on the other rows of the batch.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from tidemill.errors import NotTrainable, SpecError
from tidemill.modeling.answers import answer
from tidemill.modeling.estimators.recipes import Fitted, Parameter, Training
from tidemill.modeling.tasks import task_type
from tidemill.spec import Own

__all__ = ["BLOCK_ROWS", "fit_own", "instance_of", "refuse_unsteady"]

BLOCK_ROWS = 256
"""Rows per prediction call of a custom estimator: matrix products of one shape sum in one order."""

_REFUSED_BOOSTERS = ("dart", "gblinear")  # of XGBoost: their files are not inspected before they are loaded
_N_CHECKED = 600  # train rows that are scored again in other batches: more than two blocks


def fit_own(name: str, own: Own, training: Training) -> Fitted:
    """Fit a custom estimator.

    Raises
    ------
    SpecError
        If the class cannot be imported, is not an estimator for the task, or rejects its arguments.
    NotTrainable
        If it rejects the data.
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
    weights = {} if training.sample_weight is None else {"sample_weight": training.sample_weight}
    if weights and not has_fit_parameter(model, "sample_weight"):
        raise SpecError(
            f"{name!r} ({own.type}) takes no sample_weight in fit, which 'weight' and 'train.class_weight' need.",
            "Choose another class under 'train.own', or leave both keys out.",
        )
    try:
        model.fit(X, training.y, **weights)
    except (ValueError, TypeError) as error:
        raise NotTrainable(
            f"{name!r} ({own.type}) rejects the train set: {str(error).rstrip('.')}.",
            "Choose another encoding or other parameters under 'train.own', or another class.",
        ) from error
    if model.get_params().get("n_jobs") not in (None, 1):
        model.set_params(n_jobs=1)  # threads may add up in the order in which they finish
    return transformer, model


def refuse_unsteady(name: str, own: Own, training: Training, fitted: Fitted) -> None:
    """Fit again, and score the same rows in other batches.

    Raises
    ------
    NotTrainable
        If the second fit produces other bits, or a row's score depends on the other rows.
    """
    rows = training.X.head(_N_CHECKED)

    def score(pair: Fitted, chosen: Any) -> Any:
        matrix = pair[0].transform(rows.iloc[chosen])
        return answer(pair[1], matrix, task=training.task, n_threads=training.n_threads, block_rows=BLOCK_ROWS)

    everything = np.arange(len(rows))
    first = score(fitted, everything)
    if score(fit_own(name, own, training), everything).tobytes() != first.tobytes():
        raise NotTrainable(
            f"{name!r} ({own.type}) produces different scores when it is fitted again on the same rows with the same seed.",
            "Set the parameter that makes it reproducible, or choose another class: a release must be reproducible.",
        )
    for chosen in (everything[::-1], everything[::3], everything[len(rows) // 2 :]):
        if score(fitted, chosen).tobytes() != np.ascontiguousarray(first[chosen]).tobytes():
            raise NotTrainable(
                f"{name!r} ({own.type}) scores a row differently when other rows are in the batch.",
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
    """Return the unfitted instance of a custom estimator.

    Raises
    ------
    SpecError
        If the class cannot be imported, is not an estimator for the task, or does not accept a parameter.
    """
    kind = _class(name, own)
    accepted = _accepted(kind)
    ours: dict[str, Any] = {"random_state": random_state}
    if n_threads > 1 or not own.type.startswith("sklearn."):  # whose default is 1, and which warns of more
        ours["n_jobs"] = n_threads
    given = {**{key: value for key, value in ours.items() if key in accepted}, **own.parameters, **(parameters or {})}
    unknown = [key for key in given if key not in accepted]
    if unknown:
        valid = ", ".join(accepted) or "none"
        raise SpecError(f"{own.type} has no parameter {', '.join(map(repr, unknown))}.", f"Valid parameters: {valid}.")
    if own.type.startswith("xgboost.") and given.get("booster") in _REFUSED_BOOSTERS:
        raise SpecError(
            f"train.own.{name}: booster {given['booster']!r} is refused; Tidemill supports only XGBoost's trees (gbtree).",
            "Leave 'booster' out, or list 'xgboost' or 'ridge' under 'train.estimators'.",
        )
    model = kind(**given)
    wanted = ("fit", "get_params", task_type(task).pick("predict_proba", "predict"))
    missing = [method for method in wanted if not hasattr(model, method)]
    if missing:
        raise SpecError(
            f"{own.type} has no {', '.join(missing)}, so {name!r} cannot serve task {task!r}.",
            "Choose another class under 'train.own', or parameters that enable the method.",
        )
    return model


def _accepted(kind: Any) -> list[str]:
    """Return the arguments of a class; for ``**kwargs``, also those that ``get_params`` lists."""
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
        raise SpecError(f"train.own.{name}: {own.type} is not a class.", "Specify the class of an estimator.")
    return kind
