"""What check says about a cutoff that is allowed and rarely meant."""

import pytest
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.hints import cutoff_hints

from .data import FEATURES_SQL, SPEC, Mill

WHOLE = """
SELECT p.parcel_id, p.shipped_at, p.carrier, p.weight_kg FROM shop.{model} p
WHERE p.shipped_at >= :start AND p.shipped_at < :end AND p.delivered_at <= :cutoff
"""


def hints(mill: Mill, features: str = FEATURES_SQL, spec: str = SPEC) -> list[str]:
    mill.write(features=features, spec=spec)
    return cutoff_hints(mill.workspace, [mill.model], source=True)


def test_a_query_that_never_mentions_the_cutoff_is_hinted_at(mill: Mill) -> None:
    (hint,) = hints(mill, "SELECT 1 AS parcel_id -- :cutoff\nWHERE ':cutoff' > '' AND :start < :end")
    assert hint.startswith(
        f"{mill.model}: {mill.model}/features.sql never mentions :cutoff, so its rows are what the tables"
    )


def test_a_table_that_no_condition_bounds_is_hinted_at(mill: Mill) -> None:
    (hint,) = hints(mill)  # the histories of its carriers are bounded, the parcels are not
    assert f"features.sql reads shop.{mill.model} without a bound by :cutoff" in hint


@pytest.mark.parametrize(
    "query",
    [
        WHOLE.replace("p.delivered_at <= :cutoff", "p.delivered_at <= :cutoff - interval '1 day'"),
        "WITH known AS MATERIALIZED (SELECT * FROM shop.{model} WHERE delivered_at <= :cutoff)\n"
        "SELECT parcel_id, shipped_at FROM known WHERE shipped_at >= :start AND shipped_at < :end",
        "SELECT carrier, max(shipped_at) FILTER (WHERE delivered_at < :cutoff) FROM shop.{model} GROUP BY carrier",
        'SELECT "Odd one".* FROM shop.{model} AS "Odd one" WHERE "Odd one".delivered_at < :cutoff',
        "SELECT * FROM (VALUES (1)) AS one WHERE :cutoff > :start",
        "SELECT relname FROM pg_catalog.pg_class WHERE :cutoff > :start",  # has no time that could bound it
    ],
)
def test_a_bound_anywhere_in_the_plan_is_one(mill: Mill, query: str) -> None:
    spec = SPEC.replace("cutoff: 5 hours", "cutoff: 1 day")
    assert hints(mill, query, spec.replace("matures_after: 1 day", "matures_after: 2 days")) == []


def test_one_of_two_readings_without_a_bound_is_enough(mill: Mill) -> None:
    both = WHOLE.replace("FROM shop.{model} p", "FROM shop.{model} p JOIN shop.{model} q USING (parcel_id)")
    (hint,) = hints(mill, both, SPEC.replace("cutoff: 5 hours", "cutoff: 0 hours"))
    assert "without a bound by :cutoff" in hint


def test_rows_that_come_after_the_cutoff_are_counted(mill: Mill) -> None:
    arriving = WHOLE.replace("p.delivered_at", "p.shipped_at")
    spec = SPEC.replace("last: 2024-03-31", "last: 2024-03-30")
    (hint,) = hints(mill, arriving, spec)  # one parcel each 20 minutes, from ten past midnight on: 60 on each day
    assert (
        "45 of 60 rows of partition 2024-03-30 came after its cutoff, 5 hours after its start, and were never scored"
        in hint
    )
    assert (
        hints(mill, arriving, spec.replace("cutoff: 5 hours", "cutoff: 1 day").replace("after: 1 day", "after: 2 days"))
        == []
    )


def test_a_cutoff_by_which_the_labels_have_matured_is_hinted_at(mill: Mill) -> None:
    late = SPEC.replace("cutoff: 5 hours", "cutoff: 2 days")
    (hint,) = hints(mill, WHOLE, late)
    assert "partitions.cutoff (2 days) lies where the labels have matured, 1 day after the partition's end" in hint
    assert hints(mill, WHOLE, late.replace("cutoff: 2 days", "cutoff: 1 day 23 hours")) == []


def test_hints_need_no_source(mill: Mill) -> None:
    mill.write(features="SELECT 1")
    assert len(cutoff_hints(mill.workspace, [], source=False)) >= 1


def test_check_prints_hints_and_succeeds(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in mill.environment.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["check", mill.model])
    assert done.exit_code == 0, done.output
    assert f"Hint: {mill.model}: {mill.model}/features.sql reads shop.{mill.model} without a bound" in done.output
    assert "Specs, contracts and queries are in order." in done.output


def test_a_uuid_that_becomes_a_category_by_its_type_is_hinted_at(mill: Mill) -> None:
    query = WHOLE.replace("p.parcel_id,", "p.parcel_id, md5(p.parcel_id)::uuid AS route,", 1)
    assert any("'route', a uuid" in hint for hint in hints(mill, query))
    listed = f"{SPEC}features: {{numeric: [wind_ms], categorical: [route]}}\n"
    assert not any("uuid" in hint for hint in hints(mill, query, listed))
