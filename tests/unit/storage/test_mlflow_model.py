"""A bundle as an MLflow model: loaded and scored by processes in which Tidemill cannot be imported."""

import importlib.metadata
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tidemill.errors import SchemaChanged
from tidemill.modeling.estimators import fit
from tidemill.modeling.schema import FeatureSchema
from tidemill.storage.bundles import load_bundle
from tidemill.storage.bundles.mlflow_model import (
    requirements,
    signature_of,
    write_mlflow_model,
    write_scoring_code,
)
from tidemill.storage.bundles.pyfunc_loader import _load_pyfunc
from tidemill.storage.bundles.save import keep_bundle

HIDDEN = ("tidemill", "tidemill_airflow", "airflow", "psycopg2", "great_expectations", "altair", "optuna", "shap", "numba",
          "croniter", "dask")  # fmt: skip
HIDE = f"""
    import importlib.metadata, sys
    sys.modules.update(dict.fromkeys({HIDDEN}))
    found = importlib.metadata.Distribution.from_name.__func__
    def hidden(cls, name):
        if name.partition("-")[0] in {HIDDEN}:
            raise importlib.metadata.PackageNotFoundError(name)
        return found(cls, name)
    importlib.metadata.Distribution.from_name = classmethod(hidden)
"""
SCHEMA = FeatureSchema(numeric=("hour", "gust"), categorical=("origin", "unit", "zip"))
ROWS = 60


def make_rows(n_samples: int = 400, random_state: int = 0) -> pd.DataFrame:
    """Whole numbers, numbers with gaps, texts, ids and zero-padded texts."""
    rng = np.random.default_rng(random_state)
    return pd.DataFrame(
        {
            "hour": rng.integers(5, 23, n_samples),
            "gust": np.where(rng.random(n_samples) < 0.5, np.nan, rng.gamma(3.0, 8.0, n_samples)),
            "origin": rng.choice(np.array(["EWR", "JFK", None], dtype=object), n_samples),
            "unit": rng.choice(np.array(["7", "12", "900"], dtype=object), n_samples),
            "zip": rng.choice(np.array(["00501", "10001"], dtype=object), n_samples),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a bundle, its MLflow model, and a place where Tidemill is hidden."""
    made = tmp_path_factory.mktemp("mlflow-model")
    X = make_rows()
    y = np.random.default_rng(1).random(len(X)) < X["hour"].to_numpy() / 30
    bundle = fit("xgboost", "binary", SCHEMA, X, y, X.tail(200), y[-200:], random_state=7, n_threads=1)
    kept, digest = keep_bundle(bundle, made / "bundles", X.head(40))
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    write_mlflow_model(load_bundle(kept, digest), kept, made / "model", {})
    (made / "hidden").mkdir()
    (made / "hidden" / "sitecustomize.py").write_text(textwrap.dedent(HIDE))
    return made


@pytest.fixture(scope="module")
def bundle(folder):
    (kept,) = (folder / "bundles").iterdir()
    return load_bundle(kept, kept.name)


def elsewhere(folder: Path, *command: str) -> str:
    """Run Python where Tidemill and what scoring does not need cannot be imported; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")} | {
        "PYTHONPATH": str(folder / "hidden"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_loads_without_tidemill_and_scores_the_same_bits(folder, bundle):
    """Frames as people have them: integers, floats, nullable types, categories, all as objects."""
    X = make_rows(ROWS, 2)
    X.to_parquet(folder / "rows.parquet")
    script = """
        import mlflow.pyfunc, pandas
        model = mlflow.pyfunc.load_model("model")
        X = pandas.read_parquet("rows.parquet")
        frames = [X, X.astype({"hour": "int32", "unit": "int64"}), X.astype({"hour": "float64"}), X.convert_dtypes(),
                  X.astype(object), X.astype({"origin": "category"}), X[X.columns[::-1]].assign(more=1)]
        for frame in frames:
            print(model.predict(frame)["score"].to_numpy().tobytes().hex())
        assert "pickle" not in model.metadata.to_yaml()
        assert not [name for name in __import__("sys").modules if name == "tidemill.storage"]
    """
    found = elsewhere(folder, "-c", textwrap.dedent(script)).split()
    assert found == [bundle.score(X).tobytes().hex()] * 7


def predicted(folder: Path, content_type: str, file: str) -> list[float]:
    command = ["-m", "mlflow", "models", "predict", "--model-uri", "model", "--env-manager", "local"]
    elsewhere(folder, *command, "--content-type", content_type, "--input-path", file, "--output-path", f"{file}.out")
    return [row["score"] for row in json.loads((folder / f"{file}.out").read_text())["predictions"]]


@pytest.mark.slow
def test_mlflow_models_predict_scores_json(folder, bundle):
    X = make_rows(ROWS, 3)
    rows = [[None if pd.isna(value) else value for value in row] for row in X.astype(object).to_numpy().tolist()]
    content = {"dataframe_split": {"columns": list(X.columns), "data": rows}}
    (folder / "rows.json").write_text(json.dumps(content))
    assert predicted(folder, "json", "rows.json") == bundle.score(X).tolist()


@pytest.mark.slow
def test_mlflow_models_predict_scores_csv(folder, bundle):
    X = make_rows(ROWS, 4).assign(zip="A1")
    X.to_csv(folder / "rows.csv", index=False)
    assert predicted(folder, "csv", "rows.csv") == bundle.score(X).tolist()


def test_exactly_what_the_loader_imports_is_packed(tmp_path):
    package = write_scoring_code(tmp_path)
    script = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import {package}.storage.bundles.pyfunc_loader, {package}.modeling.preprocessing
        print(*(name.partition(".")[2] for name in sys.modules if name.partition(".")[0] == {package!r}))
        print(*{{name.partition(".")[0] for name in sys.modules}} & set({HIDDEN}))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    imported, needless = done.stdout.split("\n")[:2]
    written = {path.relative_to(tmp_path / package).with_suffix("") for path in (tmp_path / package).rglob("*.py")}
    assert set(imported.split()) == {".".join(path.parts).removesuffix("__init__").strip(".") for path in written} - {
        ""
    }
    assert needless == ""
    rooms = {"__init__", "_version", "errors", "metrics", "modeling", "record", "storage", "versions"}
    assert {path.parts[0] for path in written} == rooms
    assert len(written) <= 32


def test_the_package_is_named_by_its_content_and_names_no_installed_one(tmp_path):
    package = write_scoring_code(tmp_path / "one")
    assert write_scoring_code(tmp_path / "two") == package
    sources = [path.read_text() for path in (tmp_path / "one").rglob("*.py")]
    assert not [
        line
        for text in sources
        for line in text.splitlines()
        if line.lstrip().startswith(("from tidemill.", "import tidemill."))
    ]


def test_requirements_name_public_packages_with_the_versions_used(bundle):
    named = dict(line.split("==") for line in requirements(bundle))
    assert not [name for name in named if name.startswith("tidemill")]
    assert named == {name: importlib.metadata.version(name) for name in named}
    assert named.keys() >= {"scikit-learn", "skops", "xgboost", "pydantic", "threadpoolctl"}


def test_every_feature_is_required_and_there_is_an_example(folder, bundle):
    signature = signature_of(bundle)
    assert [(column.name, column.required) for column in signature.inputs] == [(name, True) for name in SCHEMA.names]
    assert signature.outputs.input_names() == ["score"]
    example = json.loads((folder / "model" / "input_example.json").read_text())
    assert (example["columns"], len(example["data"])) == (list(SCHEMA.names), 5)


def test_texts_that_a_reader_of_csv_made_numbers_are_refused_by_name(folder):
    (kept,) = (folder / "bundles").iterdir()
    model = _load_pyfunc(str(kept))
    with pytest.raises(SchemaChanged, match=r"Feature\(s\) 'zip' hold texts in the model, and numbers"):
        model.predict(make_rows(ROWS, 5).assign(zip=501))
    with pytest.raises(SchemaChanged, match=r"Feature\(s\) 'unit' hold texts"):
        model.predict(make_rows(ROWS, 5).assign(unit=True))
    model.predict(make_rows(ROWS, 5).assign(zip=np.nan))  # without a value there is nothing to spell


def test_booleans_for_numbers_and_numbers_for_booleans_are_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"hour": np.arange(200.0), "late": np.arange(200) % 3 == 0})
    schema = FeatureSchema(numeric=("hour", "late"), kinds={"hour": "number", "late": "boolean"})
    y = rows["hour"].to_numpy() > 100
    bundle = fit("shallow_tree", "binary", schema, rows, y, rows, y, random_state=0, n_threads=1)
    model = _load_pyfunc(str(keep_bundle(bundle, tmp_path, rows)[0]))
    assert len(model.predict(rows.assign(late=rows["late"].astype(int)))) == 200
    for odd in (rows.assign(hour=rows["hour"] > 5), rows.assign(late=7 * rows["late"])):
        with pytest.raises(SchemaChanged, match="hold booleans for the model's numbers, or numbers for its booleans"):
            model.predict(odd)
