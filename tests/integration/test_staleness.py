"""Releases of several ages on one matured partition: what monitoring records, and where it is used."""

from dataclasses import replace

import pandas as pd
import psycopg2
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from tidemill.modeling.schema import FeatureSchema
from tidemill.steps.monitor.staleness import is_comparable
from tidemill.storage.bundles import load_bundle

from .data import SCORED, SPEC, TRAINED, Mill

OLD, MONITORED = "2024-03-18", "2024-03-27"  # SCORED is 7 days after the first


@pytest.fixture(scope="module")
def aged(new_mill) -> Mill:
    mill = new_mill()
    mill.write(SPEC + "retrain: {cost: 1, worth: 100, min_labels: 10}\n")
    mill.train(OLD, shown=False)
    mill.train(TRAINED, shown=False)
    for partition in (SCORED, MONITORED):
        mill.predict(partition)
    mill.monitor(MONITORED, shown=False)
    return mill


def figures(mill: Mill) -> dict[str, float]:
    found = mill.sql("SELECT name, slice, value FROM tidemill.metric WHERE model = '{m}' AND part = 'staleness'")
    assert {label for _, label, _ in found} == {"age=7"}
    return {name: value for name, _, value in found}


def auc(mill: Mill, release: tuple[str, str], rows: pd.DataFrame, late: dict[str, bool]) -> float:
    uri, digest = release
    bundle = load_bundle(mill.workspace.storage / uri, digest)
    return float(roc_auc_score([late[key] for key in rows["parcel_id"]], bundle.score(rows)))


def test_the_loss_is_the_difference_of_both_releases_on_the_published_rows(aged: Mill) -> None:
    releases = dict(
        (partition, (uri, digest))
        for partition, uri, digest in aged.sql(
            "SELECT partition, bundle_uri, bundle_digest FROM tidemill.release WHERE model = '{m}'"
        )
    )
    ((uri,),) = aged.sql(
        "SELECT uri FROM tidemill.snapshot WHERE model = '{m}' AND purpose = 'score' AND partition = %s", SCORED
    )
    rows = pq.read_table(aged.workspace.storage / uri / "features.parquet").to_pandas()
    with psycopg2.connect(aged.owner_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT parcel_id, late FROM shop.{aged.model}")
        late = dict(cursor.fetchall())
    connection.close()
    expected = auc(aged, releases[TRAINED], rows, late) - auc(aged, releases[OLD], rows, late)
    found = figures(aged)
    assert found["staleness_loss"] == pytest.approx(expected, abs=1e-12)
    assert found["staleness_younger_by"] == pytest.approx(6.0)


def test_the_decision_counts_new_labels_and_names_the_price(aged: Mill) -> None:
    decision = aged.retrain(MONITORED)["decide"]
    assert any("The loss per day of age is unknown" in reason for reason in decision["reasons"])  # of one partition
    assert decision["verdict"] != "accept"


def test_a_removed_release_leaves_its_age_out(aged: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    ((uri,),) = aged.sql("SELECT bundle_uri FROM tidemill.release WHERE model = '{m}' AND partition = %s", OLD)
    folder = aged.workspace.storage / uri
    aside = folder.with_name("aside")
    folder.rename(aside)
    try:
        record = aged.step("monitor", "performance", MONITORED, collected=aged.step("monitor", "collect", MONITORED))
        ((n_rows,),) = aged.sql(
            "SELECT count(*) FROM tidemill.metric WHERE model = '{m}' AND part = 'staleness' AND run_id = "
            "(SELECT max(run_id) FROM tidemill.run WHERE model = '{m}' AND step = 'performance')"
        )
    finally:
        aside.rename(folder)
    assert record["n_metrics"] > 0
    assert n_rows == 0


def test_a_release_that_reads_a_feature_differently_is_left_out(aged: Mill) -> None:
    ((uri, digest),) = aged.sql(
        "SELECT bundle_uri, bundle_digest FROM tidemill.release WHERE model = '{m}' AND partition = %s", OLD
    )
    bundle = load_bundle(aged.workspace.storage / uri, digest)
    first, *others = bundle.schema.numeric
    other = FeatureSchema(numeric=tuple(others), categorical=(*bundle.schema.categorical, first))
    assert is_comparable(bundle, bundle)
    assert not is_comparable(replace(bundle, schema=other), bundle)
    assert not is_comparable(replace(bundle, task="regression"), bundle)
