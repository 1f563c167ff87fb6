"""A LightGBM champion of weighted rows, chosen by a custom metric: trained, published, monitored."""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tidemill.checking import check_models
from tidemill.errors import ContractBroken
from tidemill.modeling.boosters import LightGBMModel
from tidemill.storage.bundles import load_bundle
from tidemill.storage.tables import read_table

from .data import FEATURES_SQL, LABELS_SQL, SCORED, SPEC, TRAINED, Mill

UNITS = "CASE WHEN p.carrier = 'A' THEN 4 WHEN p.carrier = 'B' THEN 1 ELSE 0 END AS n_units"
FEATURES = FEATURES_SQL.replace("p.express,", f"p.express, {UNITS},")
DECLARED = (
    SPEC.replace("[logistic_regression]", "[lightgbm]").replace(
        "minimum: 0.6", 'metric: "{model}_metrics:gain", minimum: 0'
    )
    + "weight: n_units\n"
)
METRIC = """
import numpy as np
from tidemill.metrics.own import metric


@metric(greater_is_better=True)
def gain(y_true, decision):
    return np.where(decision, np.where(y_true == 1, 2.0, -1.0), 0.0)
"""
DAYS = (SCORED, "2024-03-26", "2024-03-27")


@pytest.fixture(scope="module")
def weighted(new_mill: Callable[[], Mill]) -> tuple[Mill, dict[str, dict]]:
    mill = new_mill()
    mill.write(spec=DECLARED, features=FEATURES)
    module = mill.workspace.models.parent / f"{mill.model}_metrics.py"
    module.write_text(METRIC, encoding="utf-8")
    assert check_models(mill.workspace, [mill.model], source=True) == []
    return mill, mill.train()


def test_a_weight_is_no_feature_and_rows_of_weight_0_are_in_no_set(weighted: tuple[Mill, dict]) -> None:
    mill, records = weighted
    bundle = records["evaluate"]["bundle"]
    loaded = load_bundle(mill.workspace.storage / bundle["uri"], bundle["digest"])
    assert isinstance(loaded.model, LightGBMModel)
    assert "n_units" not in loaded.schema.names
    test = read_table(mill.workspace.storage / records["prepare"]["uri"] / "test.parquet")
    assert set(test["carrier"].to_pylist()) == {"A", "B"}


def test_the_evaluation_weighs_its_rows(weighted: tuple[Mill, dict]) -> None:
    mill, records = weighted
    bundle = records["evaluate"]["bundle"]
    loaded = load_bundle(mill.workspace.storage / bundle["uri"], bundle["digest"])
    rows = read_table(mill.workspace.storage / records["prepare"]["uri"] / "test.parquet").to_pandas()
    figures = {item["name"]: item["value"] for item in records["evaluate"]["metrics"] if item["slice"] is None}
    expected = log_loss(rows["__y"], loaded.score(rows), sample_weight=rows["n_units"])
    assert figures["log_loss"] == pytest.approx(expected)
    assert figures["log_loss"] != pytest.approx(log_loss(rows["__y"], loaded.score(rows)), rel=1e-3)


def test_a_custom_metric_decides_and_its_source_is_recorded(weighted: tuple[Mill, dict]) -> None:
    mill, records = weighted
    evaluation = records["evaluate"]
    deciding = evaluation["metrics"][0]
    assert deciding["name"] == f"{mill.model}_metrics:gain"
    assert deciding["low"] < deciding["value"] < deciding["high"]
    assert {item["name"] for item in evaluation["baselines"]} == {deciding["name"]}
    source = mill.workspace.models.parent / f"{mill.model}_metrics.py"
    assert evaluation["metric_source"] == hashlib.sha256(source.read_bytes()).hexdigest()


def test_the_champion_publishes_and_monitoring_weighs_what_it_realised(weighted: tuple[Mill, dict]) -> None:
    mill, records = weighted
    mill.promote(records["register"]["release_id"], None, kind="force")  # five days decide too little
    for day in DAYS:
        mill.predict(day)
    mill.monitor(DAYS[-1])
    measured = mill.ledger.metrics(mill.model, "performance", until=SCORED)[SCORED]
    realised = {item.name: item for item in measured if item.slice is None}
    rows = mill.sql(
        "SELECT s.score, t.late, CASE WHEN t.carrier = 'A' THEN 4 ELSE 1 END FROM predictions.{m} s "
        "JOIN {t} t USING (parcel_id) WHERE s.partition = %s AND t.carrier <> 'C'",
        SCORED,
    )
    score, late, often = (np.array(column) for column in zip(*rows, strict=True))
    assert realised["roc_auc"].value == pytest.approx(roc_auc_score(late, score, sample_weight=often))
    assert realised["log_loss"].value == pytest.approx(log_loss(late, score, sample_weight=often))
    threshold = records["evaluate"]["threshold"]
    gained = np.where(score >= threshold, np.where(late, 2.0, -1.0), 0.0)
    assert realised[f"{mill.model}_metrics:gain"].value == pytest.approx(np.average(gained, weights=often))
    (estimates,) = mill.ledger.metrics(mill.model, "estimate", until=DAYS[-1]).values()
    (base_rate,) = (item for item in estimates if item.name == "estimated_base_rate")
    assert 0 < base_rate.value < 1
    assert base_rate.n == 40  # rows of the two carriers that count


def test_a_weight_of_the_labels_query_is_known_with_the_label(new_mill: Callable[[], Mill]) -> None:
    mill = new_mill()
    labels = LABELS_SQL.replace("observed_at FROM", "observed_at, n_stops * n_stops AS n_units FROM")
    mill.write(spec=SPEC + "weight: n_units\n", labels=labels)
    assert check_models(mill.workspace, [mill.model], source=True) == []
    split = mill.step("train", "prepare", TRAINED, snapshot=mill.extract("train", TRAINED).to_dict())
    rows = read_table(mill.workspace.storage / split["uri"] / "train.parquet")
    assert np.allclose(np.square(rows["n_stops"]), rows["__weight"])


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("-1", r"have a weight 'n_units' that is negative, NaN, infinite or NULL, such as .*: -1\.0"),
        ("CAST(NULL AS int)", r"negative, NaN, infinite or NULL, such as .*: None"),
        ("CAST('NaN' AS double precision)", r"negative, NaN, infinite or NULL, such as .*: nan"),
    ],
)
def test_a_bad_weight_is_refused_with_the_key_of_a_row(weighted: tuple[Mill, dict], expression: str, said: str) -> None:
    mill, _ = weighted
    mill.write(spec=DECLARED, features=FEATURES_SQL.replace("p.express,", f"p.express, {expression} AS n_units,"))
    snapshot = mill.extract("train", TRAINED)
    with pytest.raises(ContractBroken, match=said):
        mill.step("train", "prepare", TRAINED, snapshot=snapshot.to_dict())
