"""What a model on DuckDB is told where only Postgres can do something."""

import pytest

from tidemill.errors import SpecError
from tidemill.hints import cutoff_hints
from tidemill.simulation.past import Past
from tidemill.simulation.sandbox import Sandbox

from .lake import ORDERS, Lake


def test_an_input_without_observed_at_is_hinted_at_unless_it_is_one_file_for_all_time(lake: Lake) -> None:
    lake.query("SELECT id FROM orders")
    known = ORDERS | {"observed_at": "known_at"}
    lake.spec({"orders": ORDERS, "known": known, "shops": ORDERS | {"files": "shops.parquet"}})
    (hint,) = cutoff_hints(lake.workspace, ["sales"], source=False)
    assert hint.startswith("sales: input 'orders' has no observed_at")


def test_a_policy_needs_the_plan_of_postgres(lake: Lake) -> None:
    with pytest.raises(SpecError, match=r"features\.policy: only the plan of Postgres"):
        lake.spec({"orders": ORDERS}, features={"policy": {"denied_columns": ["birth_year"]}})


def test_a_simulation_refuses_a_model_on_duckdb(lake: Lake) -> None:
    past = Past(spec=lake.spec({"orders": ORDERS}), first="2024-03-04", last="2024-03-04", workspace=lake.workspace)
    with pytest.raises(SpecError, match=r"source\.engine of 'sales' is duckdb"):
        Sandbox(folder=lake.root, database=None).copy_source(past)
