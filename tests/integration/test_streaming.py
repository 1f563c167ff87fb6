"""Scoring streams: the published bits are the same whatever the batches, with threads and without, and those of MLflow."""

import struct
from pathlib import Path
from typing import Any

import mlflow
import pytest

from tidemill.records import BundleRef, SnapshotRef
from tidemill.steps.predict import predict
from tidemill.storage.store import Store
from tidemill.storage.tables import read_table

from .data import TRAINED, Mill

ESTIMATORS = ("xgboost", "hist_gradient_boosting", "logistic_regression")


@pytest.fixture(scope="module", params=ESTIMATORS)
def serving(request: pytest.FixtureRequest, new_mill: Any, trained_mill: Any) -> tuple[Mill, BundleRef]:
    """A model whose champion is of one kind."""
    mill, (_, trained) = new_mill(), trained_mill
    bundle = mill.step("train", "train", TRAINED, split=trained["prepare"], estimator=request.param)
    mill.adopt({**trained, "evaluate": {**trained["evaluate"], "bundle": bundle}})
    return mill, BundleRef.from_dict(bundle)


def bits(mill: Mill) -> dict[str, bytes]:
    return {key: struct.pack("<d", score) for key, score in mill.view()}


def published(mill: Mill, batch_rows: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(predict, "BATCH_ROWS", batch_rows)
    monkeypatch.setattr(predict, "usable_cores", lambda: threads)
    mill.predict()
    return bits(mill)


@pytest.mark.parametrize(("batch_rows", "threads"), [(1, 1), (7, 2), (7, 0), (20, 4)])
def test_batches_and_threads_change_no_bit(
    serving: tuple[Mill, BundleRef], batch_rows: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mill, _ = serving
    whole = published(mill, 10_000, 0, monkeypatch)
    assert published(mill, batch_rows, threads, monkeypatch) == whole


def test_compiled_trees_change_no_bit(serving: tuple[Mill, BundleRef], monkeypatch: pytest.MonkeyPatch) -> None:
    mill, _ = serving
    asked = published(mill, 20, 2, monkeypatch)
    monkeypatch.setattr(predict, "COMPILED_FROM_ROWS", 1)
    assert published(mill, 20, 2, monkeypatch) == asked


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
def test_mlflow_gives_the_published_bits(serving: tuple[Mill, BundleRef], tmp_path: Path) -> None:
    mill, bundle = serving
    snapshot = SnapshotRef.from_dict(mill.predict()["extract"])
    store = Store(mill.workspace.storage)
    mlflow.pyfunc.save_model(
        tmp_path / "model",
        loader_module="tidemill.storage.bundles.pyfunc_loader",
        data_path=str(store.path(bundle.uri)),
        pip_requirements=[],
    )
    rows = read_table(store.folder(snapshot.uri, snapshot.digest) / "features.parquet").to_pandas()
    scores = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(rows)["score"]
    assert {key: struct.pack("<d", score) for key, score in zip(rows["parcel_id"], scores, strict=True)} == bits(mill)
