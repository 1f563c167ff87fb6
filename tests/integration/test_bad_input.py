"""Bad input: each ends in one clear message with place and next step, publishes nothing and leaves the champion."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tidemill.checking import check_models
from tidemill.errors import (
    ContractBroken,
    EmptyPartition,
    FatalError,
    LeakageFound,
    NotPublished,
    NotTrainable,
    PartitionError,
    SchemaChanged,
    SpecError,
)

from .data import EMPTY, FEATURES_SQL, LABELS_SQL, SCORED, SPEC, TRAINED, Mill


@pytest.fixture
def published(serving: Mill) -> Iterator[Mill]:
    """A small model with a published day; whatever a test does, the day and the champion stay as they were."""
    serving.predict(SCORED)
    rows, champion = serving.view(), serving.promoter.champion(serving.model)
    yield serving
    assert serving.view() == rows
    assert serving.promoter.champion(serving.model) == champion


def failing(mill: Mill, error: type[FatalError], *words: str, chain: str = "predict", partition: str = SCORED) -> str:
    """Run a chain that has to fail, and return the message, which names every word."""
    with pytest.raises(error) as caught:
        getattr(mill, chain)(partition)
    message = str(caught.value)
    assert caught.value.next_step
    assert not [word for word in words if word not in message], message
    return message


# --- the source


def test_dropped_column_is_named_with_the_line_of_the_query(published: Mill) -> None:
    published.sql("ALTER TABLE {t} DROP COLUMN wind_ms")
    failing(published, SchemaChanged, "features.sql:1", "wind_ms does not exist", "Restore")


def test_renamed_column_is_answered_with_the_likely_new_name(published: Mill) -> None:
    published.sql("ALTER TABLE {t} RENAME COLUMN wind_ms TO wind_mps")
    failing(published, SchemaChanged, "p.wind_mps")


def test_column_of_another_type_is_named(published: Mill) -> None:
    published.sql("ALTER TABLE {t} ALTER COLUMN wind_ms TYPE text USING wind_ms::text")
    failing(published, SchemaChanged, "wind_ms", "features query")


def test_dropped_table_is_named(published: Mill) -> None:
    published.sql("DROP TABLE {t}")
    failing(published, SchemaChanged, f"shop.{published.model}", "does not exist")


def test_column_left_out_of_the_query_is_named(published: Mill) -> None:
    published.write(features=FEATURES_SQL.replace("p.wind_ms,", ""))
    failing(published, SchemaChanged, "wind_ms")


def test_partition_without_rows_is_named(published: Mill) -> None:
    failing(published, EmptyPartition, EMPTY, "returned no row", "loaded", partition=EMPTY)


def test_training_without_any_row_is_refused(mill: Mill) -> None:
    mill.sql("TRUNCATE {t}")
    failing(mill, EmptyPartition, TRAINED, chain="train", partition=TRAINED)


def test_training_as_of_the_first_day_is_refused(mill: Mill) -> None:
    failing(mill, EmptyPartition, "before partition '2024-03-01'", chain="train", partition="2024-03-01")


def test_training_too_early_is_refused(mill: Mill) -> None:
    failing(mill, NotTrainable, "have matured by 2024-03-08", chain="train", partition="2024-03-08")


@pytest.mark.parametrize("key", ["2024-02-29", "2024-04-01", "2013-07-04"])
def test_partition_outside_the_data_is_named_with_their_limits(published: Mill, key: str) -> None:
    failing(published, PartitionError, key, "2024-03-01", "2024-03-31", partition=key)


@pytest.mark.parametrize("key", ["2024-3-25", "2024-02-30", "", "25.03.2024", "2024-03-25T00", "2024-03-25\n", "../x"])
def test_malformed_key_is_answered_with_a_good_one(published: Mill, key: str) -> None:
    failing(published, PartitionError, "is not a day in America/New_York", "Write it like", partition=key)


# --- the rows


def test_a_duplicate_entity_key_is_refused(published: Mill) -> None:
    published.sql("INSERT INTO {t} SELECT * FROM {t} WHERE parcel_id = '20240325-007'")
    failing(published, ContractBroken, "parcel_id: expect_column_values_to_be_unique", "2 of 61")


def test_a_duplicate_entity_key_is_shown(published: Mill) -> None:
    published.sql("INSERT INTO {t} SELECT * FROM {t} WHERE parcel_id = '20240325-007'")
    failing(published, ContractBroken, "20240325-007")


def test_missing_entity_key_is_refused(published: Mill) -> None:
    published.sql("UPDATE {t} SET parcel_id = NULL WHERE parcel_id = '20240325-007'")
    failing(published, ContractBroken, "parcel_id: expect_column_values_to_not_be_null", "1 of 60")


def test_blank_entity_key_is_refused(published: Mill) -> None:
    published.sql("UPDATE {t} SET parcel_id = '' WHERE parcel_id = '20240325-007'")
    failing(published, ContractBroken, "parcel_id")


def test_row_of_another_day_is_refused(published: Mill) -> None:
    published.write(
        features=FEATURES_SQL.replace("CAST(:end AS timestamptz)", "CAST(:end AS timestamptz) + interval '1 hour'")
    )
    failing(published, ContractBroken, "shipped_at: expect_column_values_to_be_between")


def test_every_broken_expectation_is_named_at_once(published: Mill) -> None:
    contract = (
        "contract:\n  - expect_column_values_to_be_in_set: {column: carrier, value_set: [A, B]}\n"
        "  - expect_column_values_to_be_between: {column: n_stops, min_value: 0}\n"
    )
    published.write(spec=SPEC + contract)
    failing(published, ContractBroken, "breaks 2 of 7 expectations", "carrier", "n_stops")


def test_expectation_about_the_table_s_columns_sees_all_of_them(mill: Mill) -> None:
    count = "contract: [{expect_table_column_count_to_equal: {value: 13}}]\n"
    mill.write(spec=SPEC + count)
    for chain, purpose, partition in (("predict", "score", SCORED), ("train", "train", TRAINED)):
        snapshot = mill.extract(purpose, partition)
        assert mill.step(chain, "validate_data", partition, snapshot=snapshot.to_dict())["n_failed"] == 0


def test_expectation_of_severity_warn_is_recorded_and_stops_nothing(serving: Mill) -> None:
    contract = (
        "contract:\n  - expect_column_values_to_be_in_set: {column: carrier, value_set: [A, B], severity: warn}\n"
    )
    serving.write(spec=SPEC + contract)
    assert serving.predict()["validate_data"]["n_warned"] == 1


def test_broken_contract_is_in_the_ledger(published: Mill) -> None:
    published.sql("UPDATE {t} SET parcel_id = NULL WHERE parcel_id = '20240325-007'")
    failing(published, ContractBroken)
    found = published.sql(
        "SELECT column_name, n_unexpected FROM tidemill.check_result JOIN tidemill.run USING (run_id)"
        " WHERE model = '{m}' AND NOT success"
    )
    assert found == [("parcel_id", 1)]


def test_missing_number_is_allowed(serving: Mill) -> None:
    serving.sql("UPDATE {t} SET wind_ms = NULL WHERE n_parcels IS NULL")
    assert serving.predict()["publish"]["published"]


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "1e300"])
def test_number_beyond_all_bounds_is_refused_with_its_column(published: Mill, value: str) -> None:
    published.sql("UPDATE {t} SET wind_ms = %s WHERE parcel_id = '20240325-007'", value)
    failing(published, ContractBroken, "wind_ms", "1 of 60")


def test_nan_counts_as_missing(serving: Mill) -> None:
    serving.sql("UPDATE {t} SET wind_ms = 'NaN' WHERE parcel_id = '20240325-007'")
    serving.predict()
    as_nan = serving.view()
    serving.sql("UPDATE {t} SET wind_ms = NULL WHERE parcel_id = '20240325-007'")
    serving.predict()
    assert serving.view() == as_nan


def test_infinite_number_in_the_training_window_is_refused_with_its_column(mill: Mill) -> None:
    mill.sql("UPDATE {t} SET wind_ms = 'Infinity' WHERE parcel_id = '20240305-007'")
    failing(mill, ContractBroken, "wind_ms", chain="train", partition=TRAINED)


def test_text_from_everywhere_passes_from_end_to_end(serving: Mill) -> None:
    odd = "ש\"🚢',\n\\N%s"
    serving.sql("UPDATE {t} SET parcel_id = %s, carrier = %s WHERE parcel_id = '20240325-007'", odd, odd)
    serving.predict()
    assert odd in dict(serving.view())


# --- clocks without a zone

ZONED = "shipped_local AT TIME ZONE 'America/New_York'"


@pytest.mark.parametrize(
    ("select", "where", "timezone", "said"),
    [
        ("p.shipped_local::timestamptz", "p.shipped_at", "America/New_York", "reads 'shipped_local'"),
        ("CAST(p.shipped_local + interval '1 hour' AS timestamptz)", "p.shipped_at", "UTC", "reads 'shipped_local'"),
        ("COALESCE(p.shipped_local, now())", "p.shipped_at", "UTC", "reads 'shipped_local'"),
        ("p.shipped_on::timestamptz", "p.shipped_at", "Europe/Berlin", "reads 'shipped_on'"),
        ("to_timestamp(extract(epoch FROM p.shipped_local))", "p.shipped_at", "UTC", "reads 'shipped_local'"),
        (
            "timestamptz 'epoch' + (p.shipped_local - timestamp 'epoch')",
            "p.shipped_at",
            "America/New_York",
            "reads 'shipped_local'",
        ),
        (
            "p.shipped_at",
            "p.shipped_local >= CAST(CAST(:start AS timestamptz) AS timestamp) AND p.shipped_at",
            "America/New_York",
            "reads 'shipped_local'",
        ),
        (f"to_timestamp(extract(epoch FROM p.{ZONED}))", "p.shipped_at", "America/New_York", None),
        (f"(p.{ZONED})", "p.shipped_local", "America/New_York", "reads 'shipped_local'"),
        ("p.shipped_on::timestamptz", "p.shipped_at", "UTC", None),
        (f"(p.{ZONED})", f"(p.{ZONED})", "America/New_York", None),
        (f"COALESCE((p.{ZONED}), 'infinity'::timestamptz)", "p.shipped_at", "America/New_York", None),
        ("p.shipped_at", "p.shipped_at", "America/New_York", None),
    ],
)
def test_check_finds_a_wall_clock_that_is_taken_for_utc(
    mill: Mill, select: str, where: str, timezone: str, said: str | None
) -> None:
    mill.sql("ALTER TABLE {t} ADD COLUMN shipped_local timestamp, ADD COLUMN shipped_on date")
    mill.write(
        spec=SPEC.replace("timezone: America/New_York", f"timezone: {timezone}"),
        features=FEATURES_SQL.replace("p.shipped_at,", f"{select} AS shipped_at,", 1).replace(
            "WHERE p.shipped_at >=", f"WHERE {where} >=", 1
        ),
    )
    problems = [item for item in check_models(mill.workspace, [mill.model], source=True) if "as UTC" in item]
    if said is None:
        assert problems == []
    else:
        assert said in problems[0]
        assert f"AT TIME ZONE '{timezone}'" in problems[0]


def test_wall_clock_as_event_time_is_refused_with_its_zone(mill: Mill) -> None:
    mill.sql("ALTER TABLE {t} ADD COLUMN shipped_local timestamp")
    mill.write(features=FEATURES_SQL.replace("p.shipped_at,", "p.shipped_local AS shipped_at,", 1))
    message = failing(mill, SpecError, "shipped_at AT TIME ZONE '", "AS shipped_at", chain="train", partition=TRAINED)
    assert "CAST the column" not in message


# --- the labels


def test_key_of_another_type_than_that_of_the_features_is_refused_before_anything_runs(serving: Mill) -> None:
    serving.write(labels=LABELS_SQL.replace("parcel_id", "replace(parcel_id, '-', '')::bigint AS parcel_id", 1))
    said = "'parcel_id' is of type text in", "of type bigint in", "CAST"
    failing(serving, SchemaChanged, *said, chain="train", partition=TRAINED)
    serving.predict(SCORED)
    failing(serving, SchemaChanged, *said, chain="monitor")
    (problem,) = check_models(serving.workspace, [serving.model], source=True)
    assert all(words in problem for words in said), problem


def test_blank_padded_keys_labels_and_categories_are_those_that_sql_compares(mill: Mill) -> None:
    mill.write(
        spec=SPEC.replace("column: late", "column: late, positive: 'yes'"),
        features=FEATURES_SQL.replace("parcel_id,", "parcel_id::char(20),", 1),
        labels=LABELS_SQL.replace("parcel_id,", "parcel_id::varchar,", 1).replace(
            " late,", " CASE WHEN late THEN 'yes' ELSE 'no' END::char(9) AS late,", 1
        ),
    )
    split = mill.step("train", "prepare", TRAINED, snapshot=mill.extract("train", TRAINED).to_dict())
    assert split["n_unlabelled"] == 0
    mill.train(shown=False)
    mill.predict(SCORED)
    assert all(key == key.strip() for key, _ in mill.view())
    ((n_joined,),) = mill.sql(
        "SELECT count(*) FROM predictions.{m} v JOIN {t} p ON p.parcel_id::char(20) = v.parcel_id"
    )
    assert n_joined == len(mill.view())


def test_gate_rejects_keys_that_the_labels_write_in_another_way(mill: Mill) -> None:
    padded = "CASE carrier WHEN 'A' THEN '0' ELSE '' END || parcel_id AS parcel_id,"
    mill.write(labels=LABELS_SQL.replace("parcel_id,", padded, 1))
    decision = mill.train(shown=False)["validate_model"]
    assert decision["verdict"] == "reject"
    assert "33.3 % of the rows of matured partitions have no label" in decision["reasons"][0]
    assert (
        "the keys of 33.3 % of the rows differ from a label's only in blanks, case, leading zeros"
        in decision["reasons"][0]
    )
    assert mill.promoter.champion(mill.model) is None


def test_gate_accepts_labels_of_many_other_entities(mill: Mill) -> None:
    others = LABELS_SQL.replace("parcel_id,", "n || '-' || parcel_id,").replace(
        "FROM shop.{model}", "FROM shop.{model}, generate_series(1, 3) n"
    )
    mill.write(labels=f"{LABELS_SQL}  AND NOT (carrier = 'A' AND express)\nUNION ALL {others}")
    decision = mill.train(shown=False)["validate_model"]
    assert decision["verdict"] == "accept"
    (said,) = [reason for reason in decision["reasons"] if "match no row" in reason]
    assert said.startswith("16.7 % of the rows of matured partitions have no label, and 78.")


def test_single_class_is_not_trainable(mill: Mill) -> None:
    mill.sql("UPDATE {t} SET late = false")
    failing(mill, NotTrainable, "class", chain="train", partition=TRAINED)


def test_no_label_at_all_is_not_trainable(mill: Mill) -> None:
    mill.sql("UPDATE {t} SET late = NULL")
    failing(mill, NotTrainable, chain="train", partition=TRAINED)


def test_no_row_of_labels_is_not_trainable(mill: Mill) -> None:
    mill.write(labels=LABELS_SQL + "  AND false")
    failing(mill, NotTrainable, chain="train", partition=TRAINED)


def test_missing_label_counts_as_unlabelled(mill: Mill) -> None:
    mill.sql("UPDATE {t} SET late = NULL WHERE parcel_id BETWEEN '20240305-000' AND '20240305-009'")
    split = mill.step("train", "prepare", TRAINED, snapshot=mill.extract("train", TRAINED).to_dict())
    assert split["n_unlabelled"] == 10


def test_nan_label_counts_as_unlabelled(mill: Mill) -> None:
    mill.write(
        spec=SPEC.replace("column: late", "column: late, positive: 1"),
        labels=LABELS_SQL.replace(
            " late,", " CASE WHEN parcel_id LIKE '20240305-00_' THEN 'NaN' ELSE late::int::float8 END AS late,"
        ),
    )
    split = mill.step("train", "prepare", TRAINED, snapshot=mill.extract("train", TRAINED).to_dict())
    assert split["n_unlabelled"] == 10


def test_label_that_comes_twice_is_refused(mill: Mill) -> None:
    mill.write(labels=LABELS_SQL + "UNION ALL SELECT '20240305-007', true, timestamptz '2024-03-06'")
    failing(mill, NotTrainable, "twice, such as '2024", "labels.sql", chain="train", partition=TRAINED)


def test_label_from_after_the_cutoff_is_refused_in_training_and_in_monitoring(published: Mill) -> None:
    published.write(labels=LABELS_SQL.replace("AND delivered_at <= CAST(:cutoff AS timestamptz)", ""))
    failing(published, LeakageFound, "labels.sql", "such as that of '2024", chain="train", partition=TRAINED)
    failing(published, LeakageFound, "observed after the cutoff", chain="monitor")


def test_positive_label_of_another_type_is_refused(mill: Mill) -> None:
    mill.write(spec=SPEC.replace("column: late", "column: late, positive: 'very'"))
    failing(mill, SpecError, "late", chain="train", partition=TRAINED)


def test_positive_label_that_never_occurs_is_not_trainable(mill: Mill) -> None:
    mill.write(
        spec=SPEC.replace("column: late", "column: late, positive: 'very'"),
        labels=LABELS_SQL.replace(" late,", " CASE WHEN late THEN 'yes' ELSE 'no' END AS late,"),
    )
    failing(mill, NotTrainable, chain="train", partition=TRAINED)


def test_labels_query_without_observed_at_is_named(mill: Mill) -> None:
    mill.write(labels=LABELS_SQL.replace(" AS observed_at", ""))
    failing(mill, SchemaChanged, "labels.sql", "observed_at", chain="train", partition=TRAINED)


# --- leaks


def leaking(mill: Mill, expression: str) -> str:
    """Plant a column and return the warning that names it."""
    mill.write(features=FEATURES_SQL.replace("p.n_stops,", f"p.n_stops, {expression} AS leak,"))
    split = mill.step("train", "prepare", TRAINED, snapshot=mill.extract("train", TRAINED).to_dict())
    (warning,) = split["strong_columns"]
    assert warning.startswith("'leak' predicts the label by itself")
    return str(warning)


def test_copy_of_the_label_is_found(mill: Mill) -> None:
    leaking(mill, "p.late::int")


def test_copy_of_the_label_with_noise_is_found(mill: Mill) -> None:
    leaking(mill, "(p.late <> (abs(hashtext(p.parcel_id)) % 20 = 0))")


def test_copy_of_the_label_as_a_text_is_found(mill: Mill) -> None:
    leaking(mill, "CASE WHEN p.late THEN 'amber' ELSE 'green' END")


def test_delay_that_only_the_outcome_tells_is_found(mill: Mill) -> None:
    leaking(mill, "CASE WHEN p.late THEN 30 ELSE 0 END + abs(hashtext(p.parcel_id)) % 20")


def test_value_that_is_missing_where_the_label_is_positive_is_found(mill: Mill) -> None:
    leaking(mill, "CASE WHEN p.late THEN NULL ELSE p.distance_km END")


def test_leak_in_a_column_that_the_spec_does_not_name_is_found(mill: Mill) -> None:
    mill.write(spec=SPEC + "features: {numeric: [weight_kg, distance_km], categorical: [carrier]}\n")
    leaking(mill, "p.late::int")


def test_leak_promotes_nothing(mill: Mill) -> None:
    planted = "p.n_stops, p.late::int AS leak, p.delivered_at AS leak_observed_at,"
    mill.write(features=FEATURES_SQL.replace("p.n_stops,", planted))
    words = "'leak' predicts the label by itself (AUC", "'leak' was observed after the cutoff", "features.sql"
    failing(mill, LeakageFound, *words, chain="train", partition=TRAINED)
    assert mill.promoter.champion(mill.model) is None


# --- the spec and the queries


def test_broken_spec_names_every_problem_with_its_line(published: Mill) -> None:
    published.write(
        spec=SPEC.replace("accept: {minimum: 0.6", "acept: {minimum: high").replace("task: binary", "task: bin")
    )
    message = failing(published, SpecError, "unknown key 'acept'; did you mean 'accept'?", "task:")
    assert f"{published.model}.yaml:2" in message
    published.write()


def test_missing_spec_is_answered_with_those_that_exist(published: Mill) -> None:
    with pytest.raises(SpecError, match=f"Models that exist in .*: {published.model}"):
        published.workspace.spec("nothing")


def test_missing_query_is_named(published: Mill) -> None:
    (published.workspace.sql / published.model / "features.sql").unlink()
    failing(published, SpecError, "features.sql does not exist")


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ("accept: {minimum: 0.6, metric: roc_aucc}", "roc_aucc"),
        ("accept: {minimum: 0.6, slices: [courier]}", "courier"),
        ("train: {estimators: [xgbost]}", "xgbost"),
        ("retrain: {persistence: 5 of 3}", "5 of 3"),
        ("train: {schedule: 0 4 * * 1}", "train.schedule '0 4 * * 1' runs at Mon 04:00, before the cutoff"),
        (
            "predict: {schedule: 30 4 * * *}",
            "runs at Mon 04:30, before the cutoff of its partition '2024-01-01', Mon 05:00",
        ),
    ],
)
def test_check_finds_what_would_fail_after_minutes(mill: Mill, broken: str, word: str) -> None:
    key = broken.partition(":")[0]
    kept = "\n".join(line for line in SPEC.splitlines() if not line.startswith(f"{key}:"))
    mill.write(spec=f"{kept}\n{broken}\n")
    problems = check_models(mill.workspace, [mill.model], source=True)
    assert [problem for problem in problems if word in problem], problems


@pytest.mark.parametrize(
    ("spec", "labels", "said"),
    [
        ("event_time: delivered_on", "", "'delivered_on' is of type date, and has to be timestamptz"),
        ("entity_key: weight_kg", "", "'weight_kg' is of type double precision, and has to be text or a whole"),
        ("", "delivered_at::date", "'observed_at' is of type date, and has to be timestamptz"),
        ("features: {numeric: [carrier]}", "", "'carrier' is of type text, and has to be a number or boolean"),
        ("features: {categorical: [carrier, delivered_on]}", "", "'delivered_on' is of type date, and has to be text"),
        ("accept: {slices: [weight_kg]}", "", "'weight_kg' is of type double precision"),
        ("accept: {slices: [shipped_at]}", "", "'shipped_at' is of type timestamptz, and has to be text"),
        ("train: {monotonic: {carrier: increasing}, window: 22 days, validation: 4 days, test: 5 days}", "",
         "train.monotonic names 'carrier', which is not a numeric feature"),
        ("train: {known_ahead: [wieght_kg]}", "", "train.known_ahead names 'wieght_kg'"),
        ("contract: [{expect_column_values_to_not_be_null: {column: wieght_kg}}]", "", "the contract names 'wieght_kg'"),
        ("label: {column: observed}", "delivered_at AS observed, delivered_at", "label.positive"),
    ],
)  # fmt: skip
def test_check_knows_the_types_of_the_queries(mill: Mill, spec: str, labels: str, said: str) -> None:
    key = spec.partition(":")[0] or "nothing"
    kept = "\n".join(line for line in SPEC.splitlines() if not line.startswith(f"{key}:"))
    features = FEATURES_SQL.replace("p.carrier,", "p.carrier, p.delivered_at::date AS delivered_on,", 1)
    mill.write(
        spec=f"{kept}\n{spec}\n",
        features=features,
        labels=LABELS_SQL.replace("delivered_at AS", f"{labels or 'delivered_at'} AS"),
    )
    problems = check_models(mill.workspace, [mill.model], source=True)
    assert [problem for problem in problems if said in problem], problems


def test_label_of_another_type_than_its_instant_is_refused_before_a_model_is_live(mill: Mill) -> None:
    mill.write(labels=LABELS_SQL.replace("delivered_at AS", "delivered_at::date AS"))
    failing(mill, SchemaChanged, "labels.sql", "has to be timestamptz", chain="train", partition=TRAINED)


def test_a_source_that_is_away_hides_no_problem_of_the_spec(mill: Mill) -> None:
    mill.write(spec=SPEC.replace("logistic_regression", "logistc"))
    away = replace(mill.workspace, connection=lambda name: "postgresql://nobody@127.0.0.1:1/nothing")
    problems = check_models(away, [mill.model], source=True)
    assert any("logistc" in problem for problem in problems)
    assert any("not available" in problem for problem in problems)


def test_validation_set_without_a_label_is_named(mill: Mill) -> None:
    mill.sql("UPDATE {t} SET late = NULL WHERE shipped_at BETWEEN '2024-03-12' AND '2024-03-19'")
    failing(mill, NotTrainable, "the validation set, has a label", chain="train", partition=TRAINED)


def test_whole_number_with_gaps_may_be_a_category(mill: Mill) -> None:
    features = FEATURES_SQL.replace("p.carrier,", "p.carrier, CASE WHEN p.express THEN p.n_stops::int END AS stops,", 1)
    named = "features: {numeric: [weight_kg, distance_km, queue_h], categorical: [carrier, stops, express]}\n"
    mill.write(spec=SPEC.replace("minimum: 0.6", "minimum: 0.5") + named, features=features)
    release = mill.train(shown=False)["register"]
    if not release["promoted"]:
        mill.promote(release["release_id"], None, kind="force")
    assert mill.predict()["publish"]["n_rows"] == len(mill.view())
    assert mill.monitor()["drift"]["n_metrics"]


def test_check_of_a_sound_model_finds_nothing(mill: Mill) -> None:
    assert check_models(mill.workspace, [], source=True) == []


def test_check_names_the_column_that_the_source_has_lost(mill: Mill) -> None:
    mill.sql("ALTER TABLE {t} DROP COLUMN wind_ms")
    (problem,) = check_models(mill.workspace, [], source=True)
    assert "wind_ms" in problem


# --- what is recorded


def test_failed_step_is_recorded_with_its_message(published: Mill) -> None:
    failing(published, EmptyPartition, partition=EMPTY)
    found = published.last_run()
    assert (found["step"], found["status"]) == ("extract", "failed")
    assert found["error"].startswith("EmptyPartition: The features query")


def test_step_that_succeeds_while_another_error_is_handled_is_recorded_as_succeeded(mill: Mill) -> None:
    try:
        raise KeyError("somebody else's")
    except KeyError:
        mill.extract("score", SCORED)
    assert mill.last_run()["status"] == "succeeded"


def test_unpublished_partition_cannot_be_monitored(serving: Mill) -> None:
    failing(serving, NotPublished, SCORED, f"tidemill predict {serving.model}", chain="monitor")


def test_cutoff_after_the_day_is_refused(serving: Mill) -> None:
    from tidemill.runtime.run import run_step

    late = serving.spec.partition(SCORED).interval.end.replace(hour=12)
    inputs: dict[str, Any] = {"purpose": "score"}
    with pytest.raises(PartitionError, match="would know their outcome"):
        run_step("predict", "extract", serving.model, SCORED, inputs, workspace=serving.workspace, cutoff=late)
