"""A day that is over and a day to come, scored while the table fills, and again later: the examples of the shop's orders."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tidemill.checking import check_models
from tidemill.hints import cutoff_hints
from tidemill.operations.backfill import Policy, backfill
from tidemill.operations.remove_model import remove_model
from tidemill.runtime.chains import drive, train_chain
from tidemill.spec import ModelSpec
from tidemill.workspace import Workspace
from tidemill_examples.orders import load_orders

from .conftest import ROLES, DagRun
from .data import run_unshown

PROJECT = Path(__file__).parents[2]
BERLIN = ZoneInfo("Europe/Berlin")
TRAINED = "2024-05-01"
NOW = {
    "order_returns": datetime(2024, 5, 10, 0, 30, tzinfo=BERLIN),
    "store_orders": datetime(2024, 5, 9, 18, 30, tzinfo=BERLIN),
}
"""When each model's run is scheduled; it is for 9 May, which is over, and for 10 May, which is to come."""
KEYS = {"order_returns": "2024-05-09", "store_orders": "2024-05-10"}
ENTITY = {"order_returns": "order_id", "store_orders": "store_day"}


@dataclass(frozen=True)
class Shop:
    """The two models, and a table of orders that holds what had been loaded by some instant."""

    workspace: Workspace
    warehouse: Any

    def spec(self, model: str) -> ModelSpec:
        return self.workspace.spec(model)

    def fill(self, until: datetime) -> None:
        """Fill the table with what had been loaded by an instant."""
        self.warehouse.rows("DELETE FROM demo_shop.orders")
        self.warehouse.rows(f"INSERT INTO demo_shop.orders SELECT * FROM demo_shop.whole WHERE loaded_at <= '{until}'")

    def rows(self, model: str) -> list[tuple[str, str]]:
        """Return the keys and predictions that readers see, of all partitions."""
        answer = "score" if model == "order_returns" else "prediction"
        return self.warehouse.rows(f"SELECT {ENTITY[model]}, {answer}::text FROM predictions.{model} ORDER BY 1")


@pytest.fixture(scope="module")
def shop(warehouse: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Train both models as of 1 May, on the table as it was then."""
    owner = warehouse.url("tidemill_owner")
    assert load_orders(owner) > 40_000
    assert load_orders(owner) == 0
    warehouse.rows("DROP TABLE IF EXISTS demo_shop.whole; CREATE TABLE demo_shop.whole AS TABLE demo_shop.orders")
    workspace = Workspace(
        models=PROJECT / "examples" / "models",
        sql=PROJECT / "sql",
        storage=tmp_path_factory.mktemp("shop") / "storage",
        tracking_uri=None,
        connection=lambda name: warehouse.url(ROLES[name]),
    )
    found = Shop(workspace, warehouse)
    for model in NOW:
        spec = found.spec(model)
        found.fill(spec.partition(TRAINED).cutoff)
        record = drive("train", train_chain(spec), model, TRAINED, workspace, run=run_unshown)
        assert record["promoted"], record["decision"]["reasons"]
    yield found
    without_specs = replace(workspace, models=tmp_path_factory.mktemp("models"))
    for model in NOW:  # other files know the examples as models without a champion
        remove_model(without_specs, owner, model, by="tests", reason="Its tables are dropped, too.")
    warehouse.rows("DROP TABLE demo_shop.whole; DROP TABLE demo_shop.orders")


@dataclass(frozen=True)
class Named:
    """A model of the shop, as `dag_run` takes it."""

    model: str
    workspace: Workspace


def orders_of(shop: Shop, day: str) -> set[str]:
    found = shop.warehouse.rows(
        "SELECT order_id FROM demo_shop.whole"
        f" WHERE to_char(ordered_at AT TIME ZONE 'Europe/Berlin', 'YYYY-MM-DD') = '{day}'"
    )
    return {order for (order,) in found}


@pytest.mark.parametrize("model", NOW)
def test_a_scheduled_run_scores_its_day_once_and_a_later_backfill_gives_the_same_rows(
    shop: Shop, dag_run: DagRun, model: str
) -> None:
    spec, key = shop.spec(model), KEYS[model]
    assert spec.partition_at(NOW[model]).key == key
    shop.fill(NOW[model])
    ended = dag_run("predict", Named(model, shop.workspace), scheduled=key)
    assert ended["state"] == "success", ended["log"]
    rows = shop.rows(model)
    keys = [entity for entity, _ in rows]
    if model == "order_returns":
        today = orders_of(shop, "2024-05-10")
        in_table = {order for (order,) in shop.warehouse.rows("SELECT order_id FROM demo_shop.orders")}
        assert today & in_table  # some of today's are there already, and are left alone
        assert (set(keys), len(keys)) == (orders_of(shop, key), len(orders_of(shop, key)))
    else:
        assert (len(keys), {entity[:10] for entity in keys}) == (10, {key})
    shop.fill(NOW[model] + timedelta(days=40))
    again = backfill(spec, key, key, shop.workspace, policy=Policy(kind="live_then", again=True))
    assert again.scored == (key,)
    assert shop.rows(model) == rows


def test_several_days_of_a_backfill_hold_every_order_of_each_day(shop: Shop) -> None:
    shop.fill(datetime(2024, 6, 30, tzinfo=BERLIN))
    done = backfill(
        shop.spec("order_returns"), "2024-05-03", "2024-05-06", shop.workspace, policy=Policy(kind="live_then")
    )
    assert not done.failed
    published = shop.warehouse.rows("SELECT partition, order_id FROM predictions.order_returns")
    for day in ("2024-05-03", "2024-05-04", "2024-05-05", "2024-05-06"):
        found = [order for key, order in published if key == day]
        assert (set(found), len(found)) == (orders_of(shop, day), len(orders_of(shop, day)))


def test_the_examples_have_nothing_to_hint_at(shop: Shop) -> None:
    shop.fill(datetime(2024, 6, 30, tzinfo=BERLIN))
    assert check_models(shop.workspace, list(NOW), source=True) == []
    assert cutoff_hints(shop.workspace, list(NOW), source=True) == []


def test_a_cutoff_inside_the_day_that_fills_is_hinted_at(shop: Shop, tmp_path: Path) -> None:
    shop.fill(datetime(2024, 7, 10, tzinfo=BERLIN))
    text = (shop.workspace.models / "order_returns.yaml").read_text(encoding="utf-8")
    (tmp_path / "order_returns.yaml").write_text(text.replace("1 day 20 minutes", "12 hours"), encoding="utf-8")
    workspace = Workspace(
        models=tmp_path,
        sql=shop.workspace.sql,
        storage=tmp_path,
        tracking_uri=None,
        connection=shop.workspace.connection,
    )
    (hint,) = cutoff_hints(workspace, [], source=True)
    whole = orders_of(shop, "2024-06-30")
    after = shop.warehouse.rows(
        "SELECT count(*) FROM demo_shop.whole WHERE order_id LIKE '20240630-%' AND loaded_at > '2024-06-30 12:00+02'"
    )[0][0]
    late = shop.warehouse.rows(
        "SELECT count(*) FROM demo_shop.whole WHERE order_id LIKE '20240630-%' AND loaded_at > '2024-07-01 00:00+02'"
    )[0][0]
    assert f"{after - late:,} of {len(whole) - late:,} rows of partition 2024-06-30 came after its cutoff" in hint
