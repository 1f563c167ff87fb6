"""The tests of a model. Those of its author's own expectations come from ``test`` in its spec."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from tidemill.metrics.evaluation import point_value
from tidemill.modeling.alignment import align
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.estimators import fit
from tidemill.modeling.gate.behaviour import check_behaviour
from tidemill.modeling.gate.declared_behaviour import case_flaw, direction_flaw, invariance_flaw
from tidemill.modeling.schema import FeatureSchema
from tidemill.records import Likeness
from tidemill.simulation import Past
from tidemill.simulation.trial import newest_partition
from tidemill.spec import Case, ModelSpec
from tidemill.storage.bundles import load_bundle
from tidemill.storage.bundles.save import save_bundle
from tidemill.testing.hidden import without_later_rows
from tidemill.testing.plugin import WORKSPACE
from tidemill.testing.scratch import Scratch, Trained, open_scratch
from tidemill.workspace import Workspace

__all__ = [
    "N_SMALL",
    "Expectation",
    "loss",
    "pytest_generate_tests",
    "rows",
    "scratch",
    "small_fit",
    "spec",
    "test_behaviour",
    "test_expectation",
    "test_features_ignore_rows_after_the_cutoff",
    "test_fit_survives_a_column_without_information",
    "test_loss_falls_on_200_rows",
    "test_order_of_columns_does_not_matter",
    "test_release_is_built_again",
    "test_rollback_returns_the_rows_of_the_earlier_champion",
    "test_saved_model_scores_the_same",
    "trained",
]

N_SMALL = 200
"""Rows of the small fits."""


Expectation = Callable[[Trained], str | None]
"""Returns what is wrong with a model, or None."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test per expectation in the spec."""
    if "expectation" in metafunc.fixturenames:
        declared = dict(_expectations(_past(metafunc.config).spec))
        metafunc.parametrize("expectation", declared.values(), ids=list(declared))


def _expectations(spec: ModelSpec) -> Iterator[tuple[str, Expectation]]:
    """Yield what the author expects, by name."""
    for feature, direction in spec.test.directions.items():
        yield f"{direction}: {feature}", partial(_direction, feature, direction)
    for feature, most in spec.test.invariant.items():
        yield f"invariant: {feature}", partial(_invariance, feature, most)
    for name, case in spec.test.cases.items():
        yield name, partial(_case, case)


def _direction(feature: str, direction: str, trained: Trained) -> str | None:
    return direction_flaw(trained.bundle, trained.test.X, feature, direction)


def _invariance(feature: str, most: float, trained: Trained) -> str | None:
    return invariance_flaw(trained.bundle, trained.test.X, feature, most)


def _case(case: Case, trained: Trained) -> str | None:
    return case_flaw(trained.bundle, trained.train.X, case.row, case.minimum, case.maximum)


def _past(config: pytest.Config) -> Past:
    """Return the model under test, and the partition as of which it is trained."""
    workspace = config.stash.get(WORKSPACE, None) or Workspace.from_environment(reads_only=True)
    spec = workspace.spec(config.getoption("tidemill_model"))
    asked = config.getoption("tidemill_partition")
    key = spec.asked(asked).key if asked else newest_partition(spec, datetime.now(UTC)).key
    return Past(spec=spec, first=key, last=key, workspace=workspace)


@pytest.fixture(scope="module")
def scratch(request: pytest.FixtureRequest) -> Iterator[Scratch]:
    """Open a sandbox with a sample of the source."""
    with open_scratch(_past(request.config), request.config.getoption("tidemill_rows")) as scratch:
        yield scratch


@pytest.fixture(scope="module")
def trained(scratch: Scratch) -> Trained:
    """Train the first release of the sandbox."""
    return scratch.train(scratch.past.spec.train.random_state)


@pytest.fixture(scope="module")
def spec(scratch: Scratch) -> ModelSpec:
    return scratch.past.spec


# ---------------------------------------------------------------- fits


@pytest.fixture(scope="module")
def rows(trained: Trained) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    """Pick rows of the train set, as many of each class: 200 rows with a rare class would teach boosted trees nothing."""
    y = trained.train.y
    groups = (
        [np.flatnonzero(y == label) for label in np.unique(y)]
        if trained.bundle.task_type.has_classes
        else [np.arange(len(y))]
    )
    picks = [np.linspace(0, len(group) - 1, N_SMALL // len(groups)).astype(int) for group in groups]
    chosen = np.sort(np.concatenate([group[pick] for group, pick in zip(groups, picks, strict=True)]))
    return align(trained.train.X.iloc[chosen].reset_index(drop=True), trained.train.schema), trained.train.y[chosen]


def small_fit(spec: ModelSpec, schema: FeatureSchema, estimator: str, *rows: Any) -> Bundle:
    """Fit an estimator on a few rows, which also stop it."""
    train = spec.train
    return fit(
        estimator,
        spec.task.value,
        schema,
        *rows,
        *rows,
        random_state=train.random_state,
        n_threads=train.threads,
        own=train.own,
    )


def loss(bundle: Bundle, X: pd.DataFrame, y: npt.NDArray[Any]) -> float:
    name = "log_loss" if bundle.task_type.has_classes else "root_mean_squared_error"
    return point_value(name, y, bundle.score(X), bundle.threshold, task=bundle.task, classes=bundle.class_names)


def test_loss_falls_on_200_rows(spec: ModelSpec, trained: Trained, rows: tuple[pd.DataFrame, npt.NDArray[Any]]) -> None:
    names = "prior", trained.bundle.estimator
    constant, fitted = (loss(small_fit(spec, trained.train.schema, name, *rows), *rows) for name in names)
    assert fitted < constant


@pytest.mark.parametrize("content", ["constant", "null"])
def test_fit_survives_a_column_without_information(
    spec: ModelSpec, trained: Trained, rows: tuple[pd.DataFrame, npt.NDArray[Any]], content: str
) -> None:
    (X, y), schema = rows, trained.train.schema
    for feature in schema.names:
        column = pd.Series(np.nan, index=X.index, dtype=X[feature].dtype)
        known = X[feature].dropna()
        if content == "constant" and len(known):
            column = column.fillna(known.iloc[0])
        bundle = small_fit(spec, schema, trained.bundle.estimator, X.assign(**{feature: column}), y)
        assert np.isfinite(bundle.score(X)).all(), f"{feature} is {content}, and a score is not finite"


# ---------------------------------------------------------------- the model


def test_saved_model_scores_the_same(spec: ModelSpec, trained: Trained, tmp_path: Path) -> None:
    digest = save_bundle(trained.bundle, tmp_path / "bundle", trained.test.X.head(50), spec.train.trusted)
    loaded = load_bundle(tmp_path / "bundle", digest, spec.train.trusted)
    np.testing.assert_array_equal(loaded.score(trained.test.X), trained.bundle.score(trained.test.X))


def test_order_of_columns_does_not_matter(trained: Trained) -> None:
    X = trained.test.X
    np.testing.assert_array_equal(trained.bundle.score(X[X.columns[::-1]]), trained.bundle.score(X))


def test_behaviour(spec: ModelSpec, trained: Trained) -> None:
    test = trained.test
    checks = check_behaviour(trained.bundle, test.X, stored=test.stored, monotonic=spec.train.monotonic)
    assert [f"{check.name}: {check.observed}" for check in checks if not check.passed] == []
    assert checks


def test_expectation(trained: Trained, expectation: Expectation) -> None:
    assert expectation(trained) is None


# ---------------------------------------------------------------- the pipeline


def test_features_ignore_rows_after_the_cutoff(scratch: Scratch, spec: ModelSpec) -> None:
    if not spec.has_time:
        pytest.skip("rows have no time")
    found = without_later_rows(scratch.past, scratch.sandbox)
    if found.why_not:
        pytest.skip(found.why_not)
    assert found.changed == (), f"partition {found.partition}: {found.n_hidden:,} rows hidden"


def test_release_is_built_again(scratch: Scratch, trained: Trained) -> None:
    done = scratch.reproduce(trained.release_id)
    assert [f"{step.step}: {step.found}" for step in done.steps if step.verdict is Likeness.DIFFERENT] == []


def test_rollback_returns_the_rows_of_the_earlier_champion(scratch: Scratch, trained: Trained) -> None:
    drill = scratch.drill_rollback()
    assert drill.champion == trained.release_id
    assert drill.before.keys() == drill.replaced.keys()
    assert drill.before
    assert drill.after == drill.before
