"""Bundles of every task on disk, those with an estimator of the user's own, and those that older code wrote."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.linear_model import Ridge

from tidemill.errors import ArtifactCorrupt, SpecError
from tidemill.modeling.compiled.forest import Forest
from tidemill.modeling.estimators import fit
from tidemill.modeling.schema import FeatureSchema
from tidemill.spec import BASELINES, Own, candidates
from tidemill.storage.bundles import bundle_digest, load_bundle, safe_skops
from tidemill.storage.bundles.mlflow_model import signature_of
from tidemill.storage.bundles.pyfunc_loader import _load_pyfunc
from tidemill.storage.bundles.save import keep_bundle, pack_bundle, save_bundle

PROTOCOL_1 = "511acc1fff0382c8bea443a9e214ca7549c3bba2266071271565a537f813a435"
EVERY = [(task, name) for task in ("multiclass", "regression") for name in (*candidates(task), *BASELINES)]
SCHEMA = FeatureSchema(numeric=("hour", "gust"), categorical=("origin",))
OWN = {
    "mine": Own(type=f"{__name__}.Mine"),
    "neighbours": Own(type="sklearn.neighbors.KNeighborsRegressor"),
    "closure": Own(type=f"{__name__}.Closure"),
    "calling": Own(type=f"{__name__}.Calling"),
    "booster": Own(type="xgboost.XGBRegressor", parameters={"n_estimators": 10}, encoding="codes"),
}
TRUSTED = frozenset({f"{__name__}.Mine"})


class Mine(Ridge):
    """Somebody's own class."""


class Closure(Ridge):
    """Keeps what no file can hold."""

    def fit(self, X, y):
        self.callback_ = lambda: None
        return super().fit(X, y)


class Calling(Ridge):
    """Keeps a call that loading would make."""

    def fit(self, X, y):
        self.callback_ = functools.partial(np.add, 1)
        return super().fit(X, y)


def make_rows(task, n_samples, random_state):
    rng = np.random.default_rng(random_state)
    X = pd.DataFrame(
        {
            "hour": rng.integers(5, 23, n_samples).astype(float),
            "gust": np.where(rng.random(n_samples) < 0.5, np.nan, rng.gamma(3.0, 8.0, n_samples)),
            "origin": rng.choice(np.array(["EWR", "JFK", None], dtype=object), n_samples),
        }
    )
    y = X["hour"].to_numpy() + rng.normal(scale=3, size=n_samples)
    return X, (y if task == "regression" else np.array(["a", "b", "c"], dtype=object)[np.digitize(y, [10, 17])])


def fit_one(task, name):
    train, validation = make_rows(task, 300, 0), make_rows(task, 100, 1)
    return fit(name, task, SCHEMA, *train, *validation, random_state=7, n_threads=1, own=OWN)


X, _ = make_rows("regression", 60, 2)
GOLDEN = X.head(20)


@pytest.fixture(scope="module")
def fitted():
    kept = {}

    def of(task, name):
        if (task, name) not in kept:
            kept[task, name] = fit_one(task, name)
        return kept[task, name]

    return of


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_a_loaded_bundle_is_the_one_that_was_saved(fitted, tmp_path, task, name):
    bundle = fitted(task, name)
    loaded = load_bundle(tmp_path / "b", save_bundle(bundle, tmp_path / "b", GOLDEN))
    fields = [field for field in bundle.__slots__ if field not in ("preprocessing", "model")]
    assert [getattr(loaded, field) for field in fields] == [getattr(bundle, field) for field in fields]
    assert loaded.score(X).tobytes() == bundle.score(X).tobytes()
    assert pack_bundle(loaded, GOLDEN) == pack_bundle(bundle, GOLDEN)


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_the_same_fit_twice_gives_the_same_files(fitted, task, name):
    assert pack_bundle(fit_one(task, name), GOLDEN) == pack_bundle(fitted(task, name), GOLDEN)


def test_a_changed_score_of_any_class_is_found(fitted, tmp_path, monkeypatch):
    digest = save_bundle(fitted("multiclass", "xgboost"), tmp_path / "b", GOLDEN)
    monkeypatch.setattr("tidemill.storage.bundles.golden._TOLERANCE", 1e-9)
    score = type(fitted("multiclass", "xgboost")).score
    change = np.zeros((20, 3))
    change[7, 2] = 1e-6
    monkeypatch.setattr("tidemill.modeling.bundle.Bundle.score", lambda self, rows: score(self, rows) + change)
    with pytest.raises(ArtifactCorrupt, match="1 of 20 rows score differently, the worst in row 7"):
        load_bundle(tmp_path / "b", digest)


@pytest.mark.parametrize("name", ["xgboost", "shallow_tree"])
def test_mlflow_gives_the_likeliest_class_and_the_probability_of_each(fitted, tmp_path, name):
    bundle = fitted("multiclass", name)
    folder, _ = keep_bundle(bundle, tmp_path, GOLDEN)
    found = _load_pyfunc(str(folder)).predict(X)
    assert found[["p_a", "p_b", "p_c"]].to_numpy().tobytes() == bundle.score(X).tobytes()
    assert found["predicted"].tolist() == bundle.predict(X).tolist()
    assert found["score"].tolist() == bundle.score(X).max(axis=1).tolist()


@pytest.mark.parametrize("name", ["xgboost", "ridge"])
def test_mlflow_gives_the_number_and_its_interval(fitted, tmp_path, name):
    bundle = fitted("regression", name)
    folder, _ = keep_bundle(bundle, tmp_path, GOLDEN)
    found = _load_pyfunc(str(folder)).predict(X)
    low, high = bundle.interval(X)
    assert found.to_dict("list") == {"score": bundle.score(X).tolist(), "low": low.tolist(), "high": high.tolist()}


@pytest.mark.parametrize(
    ("task", "columns"),
    [("multiclass", ["score", "predicted", "p_a", "p_b", "p_c"]), ("regression", ["score", "low", "high"])],
)
def test_mlflows_signature_names_the_columns(fitted, task, columns):
    assert signature_of(fitted(task, "prior")).outputs.input_names() == columns


# ---------------------------------------------------------------- estimators of the user's own


def test_a_class_of_the_spec_is_kept_and_read_if_the_spec_trusts_it(fitted, tmp_path):
    bundle = fitted("regression", "mine")
    folder, digest = keep_bundle(bundle, tmp_path, GOLDEN, TRUSTED)
    assert load_bundle(folder, digest, TRUSTED).score(X).tobytes() == bundle.score(X).tobytes()


def test_without_the_spec_it_is_not_constructed(fitted, tmp_path):
    folder, digest = keep_bundle(fitted("regression", "mine"), tmp_path, GOLDEN, TRUSTED)
    with pytest.raises(ArtifactCorrupt, match=r"wants to construct type\(s\) .*\.Mine"):
        load_bundle(folder, digest)
    with pytest.raises(ArtifactCorrupt, match=r"wants to construct type\(s\) .*\.Mine"):
        _load_pyfunc(str(folder))


def test_nothing_that_a_bundle_says_extends_the_list(fitted, tmp_path):
    folder, digest = keep_bundle(fitted("regression", "mine"), tmp_path, GOLDEN, TRUSTED)
    described = json.loads((folder / "schema.json").read_bytes())
    assert "trust" not in json.dumps(described)
    assert load_bundle(folder, digest, TRUSTED)
    assert isinstance(safe_skops.TRUSTED, frozenset)
    assert not any(path in safe_skops.TRUSTED for path in TRUSTED)


def test_what_the_stored_form_holds_beside_the_class_has_to_be_trusted_by_name(fitted):
    with pytest.raises(SpecError, match=r"holds .*KDTree, which no bundle may construct\. If you trust it, name it"):
        pack_bundle(fitted("regression", "neighbours"), GOLDEN)


def test_with_their_names_in_trust_it_is_kept(fitted, tmp_path):
    trusted = frozenset({"sklearn.metrics._dist_metrics.EuclideanDistance64", "sklearn.neighbors._kd_tree.KDTree"})
    bundle = fitted("regression", "neighbours")
    folder, digest = keep_bundle(bundle, tmp_path, GOLDEN, trusted)
    assert load_bundle(folder, digest, trusted).score(X).tobytes() == bundle.score(X).tobytes()


def test_a_model_that_no_file_can_hold_is_refused(fitted):
    with pytest.raises(SpecError, match=r"test_bundle_tasks\.Closure (cannot be stored|holds)"):
        pack_bundle(fitted("regression", "closure"), GOLDEN, frozenset({f"{__name__}.Closure"}))


def test_a_model_whose_stored_form_calls_something_is_refused(fitted):
    trusted = frozenset({f"{__name__}.Calling", "functools.partial"})
    with pytest.raises(SpecError, match=r"Calling cannot be stored without pickle or calls: a PartialNode would call"):
        pack_bundle(fitted("regression", "calling"), GOLDEN, trusted)


def test_a_model_of_plain_bytes_is_kept_if_the_spec_trusts_its_class(fitted, tmp_path):
    trusted = frozenset({"xgboost.core.Booster", "xgboost.sklearn.XGBRegressor"})
    bundle = fitted("regression", "booster")
    folder, digest = keep_bundle(bundle, tmp_path, GOLDEN, trusted)
    assert load_bundle(folder, digest, trusted).score(X).tobytes() == bundle.score(X).tobytes()
    with pytest.raises(ArtifactCorrupt, match="was not written by Tidemill: it holds"):
        load_bundle(folder, digest)


# ---------------------------------------------------------------- boosters as JSON


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_json_keeps_every_bit_of_a_booster(task):
    """Thresholds and leaves of all magnitudes, compared through XGBoost's binary form and the compiled trees."""
    rng = np.random.default_rng(3)
    data = (rng.normal(size=(4000, 6)) * 10.0 ** rng.integers(-30, 30, (1, 6))).astype(np.float32)
    y = rng.integers(0, 3 if task == "multiclass" else 2, 4000) if task != "regression" else rng.normal(size=4000) * 1e9
    objective = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}[task]
    classes = {"num_class": 3} if task == "multiclass" else {}
    booster = xgboost.train({"objective": objective, "nthread": 1, **classes}, xgboost.DMatrix(data, label=y), 20)
    loaded = xgboost.Booster({"nthread": 1})
    loaded.load_model(bytearray(booster.save_raw("json")))
    assert loaded.save_raw("ubj") == booster.save_raw("ubj")
    assert loaded.inplace_predict(data).tobytes() == booster.inplace_predict(data).tobytes()
    compiled = [Forest.of(model, task, 6) for model in (booster, loaded)]
    assert len({forest.answer(data, task).tobytes() for forest in compiled}) == 1


# ---------------------------------------------------------------- older protocols


def test_a_bundle_of_protocol_1_is_still_read(tmp_path):
    shutil.copytree(Path(__file__).parent / "protocol_1", tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", PROTOCOL_1)
    assert (bundle.task, bundle.estimator, bundle.classes) == ("binary", "shallow_tree", (False, True))
    assert (bundle.calibration, bundle.residual_quantiles, bundle.remarks) == (None, None, ())


@pytest.mark.parametrize("protocol", [1, 2])
def test_a_booster_of_an_older_protocol_is_refused_with_a_message(fitted, tmp_path, protocol):
    folder, _ = keep_bundle(fitted("regression", "xgboost"), tmp_path, GOLDEN)
    manifest = json.loads((folder / "manifest.json").read_bytes()) | {"protocol": protocol}
    manifest["files"]["model.ubj"] = manifest["files"].pop("model.json")
    (folder / "model.json").rename(folder / "model.ubj")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactCorrupt, match=rf"is a booster of protocol {protocol}; protocol 3 keeps .*train again"):
        load_bundle(folder, bundle_digest(folder))
