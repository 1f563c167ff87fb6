"""What the policy on features denies is found in the plan, whatever the query calls it."""

from collections.abc import Callable

import pytest

from tidemill.checking import check_models
from tidemill.errors import SpecError
from tidemill.warehouse.columns_read import columns_read
from tidemill.warehouse.model_queries import bind
from tidemill.warehouse.reading import describe, frozen_view

from .data import FEATURES_SQL, SPEC, Mill

AS = "p.weight_kg AS load_factor, p.distance_km"
"""A column under another name."""
WITH_C = "WITH c AS MATERIALIZED (SELECT parcel_id AS id, weight_kg AS kilos FROM shop.{model})\nSELECT p.parcel_id"
HIDDEN = {
    "another name": FEATURES_SQL.replace("p.weight_kg, p.distance_km", AS),
    "an expression": FEATURES_SQL.replace("p.weight_kg,", "round(p.weight_kg::numeric, 1) * 2 AS x,"),
    "a common table expression": FEATURES_SQL.replace("p.weight_kg,", "c.kilos AS x,")
    .replace("FROM shop.{model} p\n", "FROM shop.{model} p JOIN c ON c.id = p.parcel_id\n")
    .replace("SELECT p.parcel_id", WITH_C),
    "a view": FEATURES_SQL.replace("p.weight_kg,", "v.kilos AS x,").replace(
        "FROM shop.{model} p\n", "FROM shop.{model} p JOIN shop.{model}_view v ON v.id = p.parcel_id\n"
    ),
    "a subquery": FEATURES_SQL.replace(
        "p.weight_kg,",
        "(SELECT max(o.weight_kg) FROM shop.{model} o WHERE o.carrier = p.carrier) AS x,",
    ),
    "a condition": FEATURES_SQL.replace("p.weight_kg,", "").rstrip() + " AND p.weight_kg > -100\n",
    "a window": FEATURES_SQL.replace("p.weight_kg,", "rank() OVER (PARTITION BY p.carrier ORDER BY p.weight_kg) AS x,"),
    "a whole row": FEATURES_SQL.replace("p.weight_kg,", "(to_jsonb(p) ->> 'weight_kg')::float AS x,"),
    "a lateral join": FEATURES_SQL.replace("p.weight_kg,", "l.w AS x,").replace(
        "FROM shop.{model} p\n", "FROM shop.{model} p, LATERAL (SELECT p.weight_kg + 1 AS w OFFSET 0) l\n"
    ),
    "a partition": FEATURES_SQL.replace("p.weight_kg,", "s.weight_kg AS x,").replace(
        "FROM shop.{model} p\n", "FROM shop.{model} p JOIN shop.{model}_parts s USING (parcel_id)\n"
    ),
}  # fmt: skip
ALLOWED = {
    "without it": FEATURES_SQL.replace("p.weight_kg,", ""),
    "in a text": FEATURES_SQL.replace("p.weight_kg,", "length('p.weight_kg, ' || p.carrier) AS x,"),
    "beside a join that could hand it over": FEATURES_SQL.replace("p.weight_kg,", "").replace(
        "FROM shop.{model} p\n", "FROM shop.{model} p JOIN (SELECT parcel_id AS id FROM shop.{model}) o ON o.id = p.parcel_id\n"
    ),
}  # fmt: skip


def policy(spec: str, words: str) -> str:
    return spec + f"features: {{policy: {{{words}}}}}\n"


@pytest.fixture(scope="module")
def denying(new_mill: Callable[[], Mill]) -> Mill:
    mill = new_mill()
    mill.sql(f"CREATE VIEW shop.{mill.model}_view AS SELECT parcel_id AS id, weight_kg AS kilos FROM {{t}}")
    mill.sql(f"CREATE TABLE shop.{mill.model}_parts (LIKE {{t}}) PARTITION BY LIST (carrier)")
    for carrier in "ABC":
        mill.sql(
            f"CREATE TABLE shop.{mill.model}_{carrier.lower()} PARTITION OF shop.{mill.model}_parts FOR VALUES IN ('{carrier}')"
        )
    mill.sql(f"INSERT INTO shop.{mill.model}_parts SELECT * FROM {{t}}")
    mill.sql("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO tidemill_reader")
    return mill


def problems(mill: Mill, features: str, words: str) -> list[str]:
    mill.write(spec=policy(SPEC, words), features=features)
    return check_models(mill.workspace, [mill.model], source=True)


@pytest.mark.parametrize("how", HIDDEN)
def test_a_denied_column_is_named_however_the_query_reads_it(denying: Mill, how: str) -> None:
    found = problems(denying, HIDDEN[how], "denied_columns: [weight_kg]")
    assert len(found) == 1
    assert "features.policy denies" in found[0]
    assert ("weight_kg" in found[0]) or (".* " in found[0])


@pytest.mark.parametrize("how", ALLOWED)
def test_a_query_that_does_not_read_it_passes(denying: Mill, how: str) -> None:
    assert problems(denying, ALLOWED[how], "denied_columns: [weight_kg]") == []


def test_the_error_states_the_name_in_the_query(denying: Mill) -> None:
    words = f"denied_columns: [shop.{denying.model}.weight_kg]"
    (found,) = problems(denying, HIDDEN["another name"], words)
    assert found == (
        f"{denying.model}: {denying.model}/features.sql reads shop.{denying.model}.weight_kg (as 'load_factor'), which "
        "features.policy denies."
    )


def test_a_denied_table_is_named_behind_a_view_and_as_the_whole_of_its_partitions(denying: Mill) -> None:
    (found,) = problems(denying, HIDDEN["a partition"], f"denied_tables: [shop.{denying.model}_parts]")
    assert f"reads shop.{denying.model}_parts, which" in found
    mentions = problems(denying, HIDDEN["a view"], f"denied_tables: [shop.{denying.model}]")
    assert any(f"reads shop.{denying.model}, which" in one for one in mentions)


def test_a_policy_that_denies_nothing_is_reported(denying: Mill) -> None:
    words = f"denied_tables: [shop.nothing, shop.{denying.model}_view], denied_columns: [shop.gone.age]"
    found = problems(denying, FEATURES_SQL, words)
    assert len(found) == 3
    assert all("does not exist" in one or "is a view" in one for one in found)


def test_the_same_column_of_another_table_is_allowed(denying: Mill) -> None:
    words = f"denied_columns: [shop.{denying.model}_parts.weight_kg]"
    assert problems(denying, FEATURES_SQL, words) == []


def test_a_denied_column_that_no_feature_needs_is_allowed(denying: Mill) -> None:
    spec = (
        SPEC
        + "features: {numeric: [distance_km, n_stops], categorical: [carrier], policy: {denied_columns: [weight_kg]}}\n"
    )
    denying.write(spec=spec)
    assert check_models(denying.workspace, [denying.model], source=True) == []


def test_training_stops_at_what_the_policy_denies(denying: Mill) -> None:
    denying.write(spec=policy(SPEC, "denied_columns: [weight_kg]"), features=HIDDEN["another name"])
    with pytest.raises(SpecError, match="load_factor"):
        denying.extract("train", "2024-03-24")


def test_the_plan_shows_just_what_a_query_reads(denying: Mill) -> None:
    denying.write()
    query = bind(denying.workspace.query(f"{denying.model}/features.sql"), "features.sql")
    noon = denying.spec.partition("2024-03-24").interval
    parameters = {"start": noon.start, "end": noon.end, "cutoff": noon.end}
    with frozen_view(denying.workspace.connection("warehouse"), 30) as cursor:
        names = [column.name for column in describe(cursor, query, parameters, "UTC")]
        read = columns_read(cursor, query, parameters, names)
    table = f"shop.{denying.model}"
    used = [name for name in names if name != "carrier_late_share"]
    assert read.tables == {table}
    assert set(read.columns) == {f"{table}.{name}" for name in (*used, "delivered_at", "late")}
    assert read.columns[f"{table}.wind_ms"] == ("wind_ms",)
