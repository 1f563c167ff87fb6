"""The leak probe in the chain: on real flights with leaks put in, and on rows that were written after they were served."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tidemill.errors import LeakageFound
from tidemill.modeling.leakage import find_telling
from tidemill.records import SnapshotRef
from tidemill.runtime.run import run_step
from tidemill.steps.data.features import feature_schema
from tidemill.storage.layout import FEATURES
from tidemill.storage.store import Store
from tidemill.workspace import Workspace
from tidemill_examples.flights import load_flights

from .conftest import PROJECT, ROLES, Warehouse
from .data import FEATURES_SQL, SCORED, SPEC, TRAINED, Mill

FLIGHTS, AS_OF = "flight_delays", "2013-05-06"
OUTCOME = "(SELECT {} FROM raw.flights f WHERE f.flight_id = flight.flight_id)"
PLANTED = f"""
    {OUTCOME.format("dep_delay")} AS dep_delay,
    {OUTCOME.format("arr_delay > 15")} <> (abs(hashtext(flight.flight_id)) % 20 = 0) AS label_with_noise,
"""


@pytest.fixture(scope="module")
def flights(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Extract three months of flights with columns put in, and prepare them; return workspace, snapshot and split."""
    load_flights(warehouse.url("tidemill_owner"), lambda table, done, total: None)
    root = tmp_path_factory.mktemp("flights")

    def prepare(planted: str) -> Any:
        folder = root / ("planted" if planted else "honest")
        (folder / FLIGHTS).mkdir(parents=True, exist_ok=True)
        for name in ("features.sql", "labels.sql"):
            text = (PROJECT / "sql" / FLIGHTS / name).read_text(encoding="utf-8")
            (folder / FLIGHTS / name).write_text(
                text.replace("    flight.scheduled_departure,\n", f"    flight.scheduled_departure,\n{planted}", 1)
            )
        workspace = Workspace(
            models=PROJECT / "dags" / "models",
            sql=folder,
            storage=root / "storage",
            tracking_uri=None,
            connection=lambda name: warehouse.url(ROLES[name]),
        )
        snapshot = run_step("train", "extract", FLIGHTS, AS_OF, {"purpose": "train"}, workspace=workspace)
        split = run_step("train", "prepare", FLIGHTS, AS_OF, {"snapshot": snapshot}, workspace=workspace)
        return workspace, SnapshotRef.from_dict(snapshot), split["strong_columns"]

    return prepare


@pytest.fixture(scope="module")
def honest(flights: Callable[[str], Any]) -> Any:
    return flights("")


@pytest.fixture(scope="module")
def warnings(flights: Callable[[str], Any]) -> Any:
    return flights(PLANTED)[2]


def test_no_honest_feature_of_real_flights_is_a_warning(honest: Any) -> None:
    assert honest[2] == []


@pytest.mark.parametrize("column", ["dep_delay", "label_with_noise"])
def test_columns_that_know_the_outcome_are_named_among_real_flights(warnings: Any, column: str) -> None:
    assert any(item.startswith(f"'{column}' predicts the label by itself (AUC 0.9") for item in warnings)


def test_no_other_column_of_real_flights_is_named(warnings: Any) -> None:
    assert len(warnings) == 2


def test_only_the_departure_delay_is_named_as_a_leak_of_the_arrival_delay(honest: Any, warehouse: Warehouse) -> None:
    workspace, snapshot, _ = honest
    rows = pq.read_table(Store(workspace.storage).folder(snapshot.uri, snapshot.digest) / FEATURES)
    outcomes = pd.DataFrame(
        warehouse.rows("SELECT flight_id, dep_delay::float8, arr_delay::float8 FROM raw.flights"),
        columns=["flight_id", "dep_delay", "arr_delay"],
    )
    X = rows.to_pandas().merge(outcomes, on="flight_id").dropna(subset=["arr_delay"])
    schema = feature_schema(workspace.spec(FLIGHTS), rows.schema)
    schema = replace(schema, numeric=(*schema.numeric, "dep_delay"))
    assert [leak.subject for leak in find_telling(X, X["arr_delay"], schema, "regression")] == ["dep_delay"]


# --- what was written after it was served


def preparing(mill: Mill) -> dict[str, Any]:
    return mill.step("train", "prepare", TRAINED, snapshot=mill.extract("train", TRAINED).to_dict())


SERVED = ("2024-03-20", "2024-03-21")


@pytest.fixture
def served(serving: Mill) -> Mill:
    """A small model that has served two days of the window that it is trained on next."""
    champion = serving.promoter.champion(serving.model)
    assert champion is not None
    for day in SERVED:
        serving.predict(day, release=champion.release_id, simulate=True)
    return serving


def test_rows_that_are_as_they_were_served_are_no_leak(served: Mill) -> None:
    assert preparing(served)["n_train"] > 0


def test_column_that_the_source_has_written_over_since_is_named(served: Mill) -> None:
    served.sql("UPDATE {t} SET queue_h = queue_h + 1 WHERE parcel_id LIKE '20240320-%%'")
    with pytest.raises(LeakageFound, match=r"'queue_h' differs in 50 % of 120 rows .* written later") as caught:
        preparing(served)
    assert "rain_mm" not in str(caught.value)


def test_another_query_than_the_one_that_served_is_not_compared(served: Mill) -> None:
    served.sql("UPDATE {t} SET queue_h = queue_h + 1 WHERE parcel_id LIKE '20240320-%%'")
    served.write(features=FEATURES_SQL + "\n-- another\n")
    assert preparing(served)["n_train"] > 0


def test_served_rows_that_retention_has_taken_are_not_missed(served: Mill) -> None:
    for (uri,) in served.sql("SELECT uri FROM tidemill.snapshot WHERE model = '{m}' AND purpose = 'score'"):
        for path in (Path(served.workspace.storage) / uri).iterdir():
            path.unlink()
        (Path(served.workspace.storage) / uri).rmdir()
    assert preparing(served)["n_train"] > 0


# --- what the query itself says, and what a person answers for


def test_value_observed_after_the_cutoff_by_the_query_s_own_word_is_named(mill: Mill) -> None:
    mill.write(features=FEATURES_SQL.replace("p.rain_mm,", "p.rain_mm, p.delivered_at AS rain_mm_observed_at,"))
    with pytest.raises(LeakageFound, match="'rain_mm' was observed after the cutoff in"):
        preparing(mill)


def test_value_observed_by_the_cutoff_is_no_leak(mill: Mill) -> None:
    column = "CAST(:cutoff AS timestamptz) AS rain_mm_observed_at"
    mill.write(features=FEATURES_SQL.replace("p.rain_mm,", f"p.rain_mm, {column},"))
    assert preparing(mill)["n_train"] > 0


def test_column_that_is_known_ahead_may_tell_the_label(mill: Mill) -> None:
    mill.write(
        spec=SPEC.replace("train: {", "train: {known_ahead: [told], "),
        features=FEATURES_SQL.replace("p.n_stops,", "p.n_stops, p.late::int AS told,"),
    )
    assert preparing(mill)["strong_columns"] == []


def test_column_that_tells_the_label_is_a_warning_until_a_second_sign_agrees(mill: Mill) -> None:
    mill.write(features=FEATURES_SQL.replace("p.n_stops,", "p.n_stops, p.late::int AS told,"))
    (warning,) = preparing(mill)["strong_columns"]
    assert warning.startswith(
        "'told' predicts the label by itself (AUC 1.000). If its value is known by the cutoff, list"
    )
    mill.write(
        features=FEATURES_SQL.replace(
            "p.n_stops,", "p.n_stops, p.late::int AS told, p.delivered_at AS told_observed_at,"
        )
    )
    with pytest.raises(
        LeakageFound, match=r"'told' predicts the label by itself .*; 'told' was observed after the cutoff"
    ):
        preparing(mill)


def test_rows_copied_from_train_to_test_under_new_keys_are_found(mill: Mill) -> None:
    mill.sql(
        "UPDATE {t} new SET weight_kg = old.weight_kg, distance_km = old.distance_km, n_stops = old.n_stops,"
        " queue_h = old.queue_h, wind_ms = old.wind_ms, rain_mm = old.rain_mm, driver_h = old.driver_h,"
        " n_parcels = old.n_parcels, late = old.late FROM {t} old"
        " WHERE new.parcel_id LIKE '20240321-%%' AND old.parcel_id = replace(new.parcel_id, '20240321', '20240305')"
    )
    mill.write(
        features=FEATURES_SQL[: FEATURES_SQL.index(",\n       (SELECT avg")]
        + FEATURES_SQL[FEATURES_SQL.index("\nFROM shop") :]
    )
    with pytest.raises(LeakageFound, match=r"60 of \d+ test rows are also in the train set, by all of 10 features"):
        preparing(mill)


def test_everything_that_is_found_is_reported_at_once(mill: Mill) -> None:
    planted = "p.n_stops, p.late::int AS leak, p.delivered_at AS n_stops_observed_at,"
    mill.write(features=FEATURES_SQL.replace("p.n_stops,", planted))
    with pytest.raises(
        LeakageFound, match=r"'leak' predicts the label by itself .*; 'n_stops' was observed after the cutoff"
    ):
        preparing(mill)


def test_nothing_is_trained_and_nothing_published_changes(serving: Mill) -> None:
    serving.predict(SCORED)
    rows, champion = serving.view(), serving.promoter.champion(serving.model)
    serving.write(features=FEATURES_SQL.replace("p.n_stops,", "p.n_stops, p.delivered_at AS n_stops_observed_at,"))
    with pytest.raises(LeakageFound):
        serving.train()
    assert (serving.view(), serving.promoter.champion(serving.model)) == (rows, champion)
