"""The bad-input matrix: every row of bad input goes through train and predict, each with its verdict.

A verdict is ``published`` or ``trained``, or the error with words of its message. ``make cases`` prints the table. Rows
that the source cannot hold, or that are not rows of the source, are listed at the test that proves them, marked with
``case``; those of files (B42) are in `tests/unit/onboarding/test_files.py`. B43 does not occur: Tidemill exports no CSV.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tidemill.errors import FatalError, SettingsError
from tidemill.runtime.chains import drive, train_chain
from tidemill.warehouse.predictions.trace import trace

from .data import CAUSES, EMPTY, FEATURES_SQL, LABELS_SQL, SCORED, SPEC, TRAINED, Mill

NAMED = f"features: {{numeric: [express, {', '.join(CAUSES)}, carrier_late_share], categorical: [carrier]}}\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the matrix."""

    item: str
    """Its number."""
    what: str
    """The input."""
    sql: str = ""
    """What happens to the source; ``{rows}`` are the scored day's or all, ``{one}`` is one of them."""
    select: tuple[str, str] = ("", "")
    """What is replaced in the features query, and by what."""
    spec: tuple[str, str] = ("", "")
    """What is replaced in the spec, and by what."""
    labels: tuple[str, str] = ("", "")
    """What is replaced in the labels query, and by what."""
    predict: str = "published"
    """Verdict of the predict chain."""
    train: str = "trained"
    """Verdict of the train chain, with the features named in the spec."""

    def arrange(self, mill: Mill, rows: str, one: str, spec: str) -> None:
        """Disturb the source and the files of a model."""
        if self.sql:
            mill.sql(self.sql.replace("{rows}", rows).replace("{one}", one))
        query = FEATURES_SQL.replace(*self.select) if self.select[0] else FEATURES_SQL
        labels = LABELS_SQL.replace(*self.labels) if self.labels[0] else LABELS_SQL
        mill.write(
            spec=spec.replace(*self.spec) if self.spec[0] else spec, features=query.replace("{one}", one), labels=labels
        )


def wind(expression: str) -> tuple[str, str]:
    """Return the replacement of one number of the features query by an expression."""
    return "p.wind_ms,", f"{expression} AS wind_ms,"


def carrier(expression: str) -> tuple[str, str]:
    """Return the replacement of the category of the features query."""
    return "p.carrier, p.express", f"{expression} AS carrier, p.express"


def set_aside_by(expectation: str) -> tuple[str, str]:
    """Return the addition of an expectation that sets rows aside to the spec."""
    entry = f"contract: [{{{expectation}severity: quarantine}}}}]\npredict: {{quarantine: {{share: 0.1}}}}\n"
    return "accept: ", f"{entry}accept: "


CASES = (
    Case(item="B01", what="NULL in a number", sql="UPDATE {t} SET wind_ms = NULL WHERE {one}"),
    Case(item="B02", what="a number without any value", sql="UPDATE {t} SET wind_ms = NULL WHERE {rows}",
         predict="ContractBroken: 'wind_ms' have no value in any of the 60 rows",
         train="NotTrainable: 'wind_ms' of"),
    Case(item="B02", what="a category without any value", sql="UPDATE {t} SET carrier = NULL WHERE {rows}",
         predict="ContractBroken: 'carrier' have no value", train="NotTrainable: 'carrier' of"),
    Case(item="B02", what="a boolean without any value", sql="UPDATE {t} SET express = NULL WHERE {rows}",
         predict="ContractBroken: 'express' have no value", train="NotTrainable: 'express' of"),
    Case(item="B03", what="only NaN", sql="UPDATE {t} SET wind_ms = 'NaN' WHERE {rows}",
         predict="ContractBroken: 'wind_ms' have no value", train="NotTrainable: 'wind_ms' of"),
    Case(item="B03", what="a number without any value in the newest days",
         sql="UPDATE {t} SET wind_ms = NULL WHERE shipped_at >= '2024-03-17'",
         predict="ContractBroken: 'wind_ms' have no value", train="NotTrainable: have no value in any row of the test set"),
    Case(item="B04", what="NULL in a boolean", sql="UPDATE {t} SET express = NULL WHERE {one}"),
    Case(item="B05", what="a whole number with NULL", select=wind("CASE WHEN p.{one} THEN NULL ELSE p.wind_ms::int END")),
    Case(item="B05", what="a number of another width", select=wind("p.wind_ms::real")),
    Case(item="B06", what="an infinite number", sql="UPDATE {t} SET wind_ms = 'Infinity' WHERE {one}",
         predict="ContractBroken: 'wind_ms' (1 of 60 rows)", train="ContractBroken: 'wind_ms'"),
    Case(item="B07", what="1e308", sql="UPDATE {t} SET wind_ms = 1e308 WHERE {one}",
         predict="ContractBroken: 'wind_ms' (1 of 60 rows)", train="ContractBroken: 'wind_ms'"),
    Case(item="B07", what="a bigint beyond 2**53", select=wind("CASE WHEN p.{one} THEN 9007199254740993 ELSE 1 END"),
         predict="ContractBroken: beyond 2**53: 'wind_ms' (1 of 60 rows)", train="ContractBroken: beyond 2**53: 'wind_ms'"),
    Case(item="B08", what="numeric with more digits than a double",
         sql="ALTER TABLE {t} ALTER COLUMN wind_ms TYPE numeric(30, 22) USING wind_ms::numeric + 1e-22",
         predict="published with 1 warning", train="trained with 1 warning"),
    Case(item="B09", what="numbers as text", sql="ALTER TABLE {t} ALTER COLUMN wind_ms TYPE text USING wind_ms::text",
         predict="SchemaChanged: 'wind_ms' was a number in training, and is text now",
         train="SchemaChanged: 'wind_ms' is of type text, and has to be a number"),
    Case(item="B10", what="'' in a number", select=wind("CASE WHEN p.{one} THEN '' ELSE p.wind_ms::text END"),
         predict="SchemaChanged: 'wind_ms' was a number", train="SchemaChanged: 'wind_ms' is of type text"),
    Case(item="B11", what="a number becomes boolean", select=wind("p.wind_ms > 0"),
         predict="SchemaChanged: 'wind_ms' was a number in training, and is a boolean now"),
    Case(item="B11", what="a boolean becomes a number", select=("p.express,", "7 * p.express::int AS express,"),
         predict="SchemaChanged: 'express' was a boolean in training, and is a number now"),
    Case(item="B12", what="a timestamp in a number", select=wind("p.delivered_at"),
         predict="SchemaChanged: 'wind_ms' was a number in training, and is of type timestamp",
         train="SchemaChanged: 'wind_ms' is of type timestamptz, and has to be a number"),
    Case(item="B12", what="a date in a category", select=carrier("p.delivered_at::date"),
         predict="SchemaChanged: 'carrier' is of type date, and has to be text",
         train="SchemaChanged: 'carrier' is of type date, and has to be text"),
    Case(item="B13", what="a new category", sql="UPDATE {t} SET carrier = 'Z' WHERE {one}"),
    Case(item="B14", what="a category in another spelling", sql="UPDATE {t} SET carrier = 'a ' WHERE {one}"),
    Case(item="B15", what="NULL in a category", sql="UPDATE {t} SET carrier = NULL WHERE {one}"),
    Case(item="B16", what="a text becomes a whole number", select=carrier("ascii(p.carrier)"),
         predict="SchemaChanged: 'carrier' was text in training, and is a whole number now"),
    Case(item="B16", what="a text becomes boolean", select=carrier("p.carrier = 'A'"),
         predict="SchemaChanged: 'carrier' was text in training, and is a boolean now"),
    Case(item="B16", what="a text becomes a fraction", select=carrier("ascii(p.carrier)::float8"),
         predict="SchemaChanged: 'carrier' is of type double precision, and has to be text",
         train="SchemaChanged: 'carrier' is of type double precision, and has to be text"),
    Case(item="B17", what="emoji, right-to-left and quotes",
         sql="UPDATE {t} SET carrier = E'\\u05e9\"\\U0001F6A2'',\\n' WHERE {one}"),
    Case(item="B18", what="NUL in a text, which Postgres refuses", select=carrier("chr(n_stops::int * 0)"),
         predict="SpecError: features.sql", train="SpecError: features.sql"),
    Case(item="B20", what="a text of a megabyte", sql="UPDATE {t} SET carrier = repeat('x', 1000000) WHERE {one}"),
    Case(item="B21", what="an identifier as a category", select=carrier("p.parcel_id || 'x'")),
    Case(item="B22", what="a constant number", sql="UPDATE {t} SET wind_ms = 1 WHERE {rows}"),
    Case(item="B23", what="a dropped column", sql="ALTER TABLE {t} DROP COLUMN wind_ms",
         predict="SchemaChanged: wind_ms does not exist", train="SchemaChanged: wind_ms does not exist"),
    Case(item="B23", what="a renamed column", sql="ALTER TABLE {t} RENAME COLUMN wind_ms TO wind_mps",
         predict="SchemaChanged: p.wind_mps", train="SchemaChanged: p.wind_mps"),
    Case(item="B24", what="an additional column", select=("p.wind_ms,", "p.wind_ms, p.wind_ms + p.rain_mm AS storm,")),
    Case(item="B24", what="a column without a name", select=("p.wind_ms,", "p.wind_ms, p.wind_ms + p.rain_mm,"),
         predict="SpecError: has no name", train="SpecError: has no name"),
    Case(item="B25", what="columns in another order",
         select=("p.carrier, p.express, p.weight_kg", "p.weight_kg, p.express, p.carrier")),
    Case(item="B27", what="text of another SQL type", sql="ALTER TABLE {t} ALTER COLUMN carrier TYPE char(3)"),
    Case(item="B28", what="no row", sql="DELETE FROM {t} WHERE {rows}",
         predict="EmptyPartition: returned no row", train="EmptyPartition: returned no row"),
    # B29 to B31: a repeated or missing key stops the batch. `contract` may set such rows aside instead.
    Case(item="B29", what="a row twice", sql="INSERT INTO {t} SELECT * FROM {t} WHERE {one}",
         predict="ContractBroken: parcel_id: expect_column_values_to_be_unique",
         train="ContractBroken: parcel_id: expect_column_values_to_be_unique"),
    Case(item="B30", what="a key with two rows",
         sql="INSERT INTO {t} (parcel_id, shipped_at, carrier) SELECT parcel_id, shipped_at, 'B' FROM {t} WHERE {one}",
         predict="ContractBroken: -007", train="ContractBroken: -007"),
    Case(item="B31", what="a missing key", sql="UPDATE {t} SET parcel_id = NULL WHERE {one}",
         predict="ContractBroken: parcel_id: expect_column_values_to_not_be_null",
         train="ContractBroken: parcel_id: expect_column_values_to_not_be_null"),
    Case(item="B31", what="a blank key", sql="UPDATE {t} SET parcel_id = '' WHERE {one}",
         predict="ContractBroken: parcel_id", train="ContractBroken: parcel_id"),
    Case(item="B31", what="a key of only blanks", sql="UPDATE {t} SET parcel_id = '  ' WHERE {one}",
         predict="ContractBroken: keys_can_be_kept: 1 keys have only blanks",
         train="ContractBroken: keys_can_be_kept: 1 keys have only blanks"),
    Case(item="B20", what="a key that no index takes",
         sql="UPDATE {t} SET parcel_id = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) n) WHERE {one}",
         predict="ContractBroken: 1 more than 2,600 bytes", train="ContractBroken: 1 more than 2,600 bytes"),
    # The same with severity quarantine: the row is set aside, and the others go on.
    Case(item="B01", what="NULL in a number, set aside", sql="UPDATE {t} SET wind_ms = NULL WHERE {one}",
         spec=set_aside_by("expect_column_values_to_not_be_null: {column: wind_ms, "),
         predict="published without 1 row", train="trained without 1 row"),
    Case(item="B06", what="an infinite number, set aside", sql="UPDATE {t} SET wind_ms = 'Infinity' WHERE {one}",
         spec=set_aside_by("expect_column_values_to_be_between: {column: wind_ms, min_value: -100, max_value: 100, "),
         predict="published without 1 row", train="trained without 1 row"),
    Case(item="B13", what="a new category, set aside", sql="UPDATE {t} SET carrier = 'Z' WHERE {one}",
         spec=set_aside_by("expect_column_values_to_be_in_set: {column: carrier, value_set: [A, B, C], "),
         predict="published without 1 row", train="trained without 1 row"),
    Case(item="B29", what="a row twice, both set aside", sql="INSERT INTO {t} SELECT * FROM {t} WHERE {one}",
         spec=set_aside_by("expect_column_values_to_be_unique: {column: parcel_id, "),
         predict="published without 2 rows", train="NotTrainable: contain 1 key(s) twice"),  # its label is there twice, too
    Case(item="B31", what="a missing key, set aside", sql="UPDATE {t} SET parcel_id = NULL WHERE {one}",
         spec=set_aside_by("expect_column_values_to_not_be_null: {column: parcel_id, "),
         predict="published without 1 row", train="trained without 1 row"),
    Case(item="B37", what="another unit in all rows, more than may be set aside",
         sql="UPDATE {t} SET wind_ms = 1000 + wind_ms WHERE {rows}",
         spec=set_aside_by("expect_column_values_to_be_between: {column: wind_ms, min_value: -100, max_value: 100, "),
         predict="ContractBroken: 60 of 60 rows", train="ContractBroken: predict.quarantine allows"),
    Case(item="B33", what="a missing label", sql="UPDATE {t} SET late = NULL WHERE {one}"),
    Case(item="B34", what="labels yes and no without a positive one",
         labels=(" late,", " CASE WHEN late THEN 'yes' ELSE 'no' END AS late,"), train="SpecError: label.positive"),
    Case(item="B34", what="labels 1 and 2 with a positive one", labels=(" late,", " 1 + late::int AS late,"),
         spec=("column: late", "column: late, positive: 2")),
    Case(item="B34", what="the positive label in another spelling",
         labels=(" late,", " CASE WHEN late AND express THEN 'Yes' WHEN late THEN 'yes' ELSE 'no' END AS late,"),
         spec=("column: late", "column: late, positive: 'yes'"), train="ContractBroken: another spelling of 'yes'"),
    Case(item="B35", what="a single class", sql="UPDATE {t} SET late = false", train="NotTrainable: class"),
    # B36, B37: a sentinel and another unit are named by `break:` alerts; withholding is another promise.
    Case(item="B36", what="9999 for missing", sql="UPDATE {t} SET wind_ms = 9999 WHERE {one}"),
    Case(item="B37", what="another unit", sql="UPDATE {t} SET wind_ms = 1000 * wind_ms WHERE {rows}"),
    Case(item="B39", what="a time without a zone",
         select=("p.shipped_at,", "p.shipped_at AT TIME ZONE 'America/New_York' AS shipped_at,"),
         predict="SpecError: AT TIME ZONE", train="SpecError: AT TIME ZONE"),
    Case(item="B39", what="a time before Christ",
         select=("p.wind_ms,", "p.wind_ms, timestamptz '0044-03-15 12:00Z BC' AS ides,"),
         predict="SpecError: 'ides' holds a timestamptz that is infinite, before the year 1",
         train="SpecError: 'ides' holds"),
    Case(item="B41", what="'1.234,5'", select=wind("replace(p.wind_ms::text, '.', ',')"),
         predict="SchemaChanged: 'wind_ms' was a number", train="SchemaChanged: 'wind_ms' is of type text"),
    Case(item="B44", what="a key of the spec twice", spec=("task: binary", "task: binary\ntask: binary"),
         predict="SpecError: key 'task' is duplicated", train="SpecError: key 'task' is duplicated"),
    Case(item="B45", what="an alias in the spec", spec=("task: binary", "task: &x binary\ndescription: *x"),
         predict="SpecError: .yaml", train="SpecError: .yaml"),
    Case(item="S15", what="set_config in a query", select=("p.wind_ms,", "p.wind_ms, set_config('a.b', 'c', false),"),
         predict="SpecError: features.sql:1: set_config", train="SpecError: features.sql:1: set_config"),
)  # fmt: skip


def params() -> list[object]:
    return [pytest.param(case, id=f"{case.item} {case.what}", marks=pytest.mark.case(case.item)) for case in CASES]


def verdict(run: Callable[[], str], expected: str) -> str:
    """Return what a chain ended in: what it returned, or its error with the words that are expected of it."""
    words = expected.partition(": ")[2]
    try:
        return run()
    except FatalError as error:
        return f"{type(error).__name__}: {words if words in str(error) and error.next_step else error}"


@pytest.mark.parametrize("case", params())
def test_bad_input_meets_its_verdict_in_predict(
    serving: Mill, case: Case, record_property: Callable[[str, object], None]
) -> None:
    champion = serving.promoter.champion(serving.model)
    day = SCORED.replace("-", "")
    case.arrange(serving, f"starts_with(parcel_id, '{day}')", f"parcel_id = '{day}-007'", SPEC)

    def run() -> str:
        records = serving.predict(SCORED)
        assert records["publish"]["published"]
        return f"published{_warned(records)}"

    found = verdict(run, case.predict)
    record_property("verdict", f"predict: {found}")
    assert found == case.predict
    if not found.startswith("published"):
        assert serving.statuses(SCORED) in ([], ["writing"], ["failed"], ["abandoned"])
    assert serving.promoter.champion(serving.model) == champion


@pytest.mark.parametrize("case", params())
def test_bad_input_meets_its_verdict_in_train(
    mill: Mill, case: Case, record_property: Callable[[str, object], None]
) -> None:
    case.arrange(mill, "true", "parcel_id = '20240305-007'", SPEC + NAMED)

    def run() -> str:
        records: dict[str, dict] = {}
        drive(
            "train", train_chain(mill.spec), mill.model, TRAINED, mill.workspace, until="train",
            on_step=lambda step, record: records.update({step: record} if record else {}),
        )  # fmt: skip
        return f"trained{_warned(records)}"

    found = verdict(run, case.train)
    record_property("verdict", f"train: {found}")
    assert found == case.train


def _warned(records: dict[str, dict]) -> str:
    n, lost = records["validate_data"]["n_warned"], records["extract"]["n_set_aside"]
    without = f" without {lost} row{'s' if lost > 1 else ''}" if lost else ""
    return f"{without} with {n} warning" if n else without


@pytest.mark.case("B14")
def test_category_in_another_spelling_is_named(serving: Mill) -> None:
    serving.sql("UPDATE {t} SET carrier = 'a ' WHERE starts_with(parcel_id, '20240325') AND carrier = 'A'")
    serving.predict()
    serving.monitor()
    ((message,),) = serving.sql("SELECT message FROM tidemill.alert WHERE model = '{m}' AND rule = 'unseen:carrier'")
    assert "Written differently: 'a ' for 'A'." in message


@pytest.mark.case("B28")
def test_partition_without_rows_meets_its_own_verdict(serving: Mill) -> None:
    serving.write(spec=SPEC + "predict: {on_empty: publish}\n")
    assert serving.predict(EMPTY)["publish"]["published"]


def test_every_row_of_the_matrix_has_a_number_of_its_own_kind() -> None:
    assert len({(case.item, case.what) for case in CASES}) == len(CASES)


@pytest.mark.case("B11")
def test_champion_of_another_type_is_not_compared(serving: Mill) -> None:
    serving.write(features=FEATURES_SQL.replace("p.wind_ms,", "p.wind_ms > 0 AS wind_ms,"))
    report = serving.train(shown=False)["evaluate"]
    assert report["champion_difference"] is None
    assert "'wind_ms' was a number in training, and is a boolean now" in report["champion_problem"]


@pytest.mark.case("B02")
def test_feature_that_lacks_values_for_whole_days_may_lack_them_again(mill: Mill) -> None:
    gaps = "CASE WHEN extract(day FROM p.shipped_at AT TIME ZONE 'America/New_York')::int % 5 > 0 THEN p.wind_ms END"
    mill.write(
        spec=SPEC.replace("minimum: 0.6", "minimum: 0.5"),
        features=FEATURES_SQL.replace("p.wind_ms,", f"{gaps} AS wind_ms,"),
    )
    release = mill.train(shown=False)["register"]
    if not release["promoted"]:
        mill.promote(release["release_id"], None, kind="force")
    assert mill.predict("2024-03-25")["publish"]["published"]


def test_trace_of_a_key_that_is_not_a_text_is_answered_with_a_message(serving: Mill) -> None:
    serving.predict()
    url = serving.workspace.connection("tidemill")
    for key in ("a\udcff", "a\x00"):
        with pytest.raises(SettingsError, match="no text in Postgres"):
            trace(url, serving.model, key, SCORED)
