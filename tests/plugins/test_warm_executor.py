"""The local profile's executor: what it imports before it forks must survive the fork."""

import subprocess
import sys

import pytest
from airflow.executors.local_executor import LocalExecutor

from tidemill_airflow.warm_executor import WarmLocalExecutor

FORKED = """
import os, sys, threading
from tidemill_airflow.warm_executor import warm_up

warm_up()
assert {"xgboost", "sklearn", "pyarrow", "mlflow"} <= set(sys.modules)
assert threading.active_count() == 1, threading.enumerate()
child = os.fork()
if not child:
    import numpy as np, pyarrow as pa, xgboost
    from sklearn.ensemble import HistGradientBoostingClassifier
    X, y = np.random.default_rng(0).normal(size=(2_000, 4)), np.arange(2_000) % 2
    HistGradientBoostingClassifier(max_iter=3).fit(X, y).predict(X)
    xgboost.train({"nthread": 2}, xgboost.DMatrix(X, y), 3)
    assert np.linalg.inv(X.T @ X).shape == (4, 4)
    assert pa.table({"x": X[:, 0]}).sort_by("x").num_rows == 2_000
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
LIMIT_S = 300  # a child that waits for one of its parent's locks never ends


@pytest.mark.slow
def test_a_forked_process_works_with_what_was_imported_before() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], timeout=LIMIT_S, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_nothing_but_the_start_differs_from_airflows_own() -> None:
    assert [name for name in vars(WarmLocalExecutor) if not name.startswith("__")] == ["start"]
    assert issubclass(WarmLocalExecutor, LocalExecutor)
