"""Orders of an invented shop, whose table fills during the day: generated rows in the schema ``demo_shop``.

Ten stores in Berlin's time zone, from January to June 2024. Whether an order is sent back depends on many small causes.
How many orders a store gets depends on the store, the weekday and a slow trend. No feature is defined here.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from tidemill_examples.generated import load_tables

__all__ = ["FIRST", "LAST", "generate_orders", "load_orders"]

FIRST, LAST = datetime(2024, 1, 1), datetime(2024, 6, 30)  # noqa: DTZ001 - days of Berlin's calendar
_ZONE = ZoneInfo("Europe/Berlin")
_STORES = ("Altona", "Barmbek", "Dom", "Ehrenfeld", "Giesing", "Harburg", "Laim", "Mitte", "Sendling", "Wedding")
_CATEGORIES = ("books", "clothes", "garden", "shoes", "toys")
_WEEK = np.array([0.9, 0.85, 0.9, 1.0, 1.2, 1.4, 0.75])  # Monday to Sunday: orders of a day, relative to the mean
_BY_CATEGORY = np.array([-0.9, 0.8, -0.5, 1.0, -0.4])  # how much the category moves an order towards a return
_INSTANT = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    {
        "order_id": pa.string(),
        "store": pa.string(),
        "ordered_at": _INSTANT,
        "loaded_at": _INSTANT,
        "category": pa.string(),
        "n_items": pa.int64(),
        "amount": pa.float64(),
        "discount": pa.float64(),
        "delivery_days": pa.int64(),
        "new_customer": pa.bool_(),
        "returned": pa.bool_(),
        "outcome_known_at": _INSTANT,
    }
)


def generate_orders(random_state: int = 20240101) -> pa.Table:
    """Generate the orders, in the order of their ids.

    Parameters
    ----------
    random_state : int, default 20240101
        Seed; the same seed gives the same rows.
    """
    rng, days = np.random.default_rng(random_state), (LAST - FIRST).days + 1
    return pa.concat_tables(
        _orders_of(rng, FIRST + timedelta(days=day), store, _expected(day, number))
        for day in range(days)
        for number, store in enumerate(_STORES)
    )


def load_orders(owner_url: str) -> int:
    """Load the orders into ``demo_shop.orders``, unless the same rows are already there; return the number of rows written.

    Parameters
    ----------
    owner_url : str
        Connection URL of the role that owns the schema, or may create it.
    """
    orders = {"demo_shop.orders": generate_orders()}
    return load_tables(owner_url, "orders.sql", orders, "An order, returned or not; invented.")


def _expected(day: int, number: int) -> float:
    """Return the mean number of orders of a store on a day: its size, the weekday, and a slow trend."""
    trend = 1 + 0.25 * np.sin(day / 40 + number)
    return float(6 * 1.4**number * _WEEK[(FIRST + timedelta(days=day)).weekday()] * trend)


def _orders_of(rng: np.random.Generator, day: datetime, store: str, expected: float) -> pa.Table:
    """Return a store's orders of one day, in the order of time."""
    n = rng.poisson(expected)
    minutes = np.sort(rng.integers(0, 24 * 60, n))
    ordered = [(day + timedelta(minutes=int(minute))).replace(tzinfo=_ZONE).astimezone(UTC) for minute in minutes]
    category, discount = rng.integers(0, len(_CATEGORIES), n), rng.choice([0.0, 0.1, 0.2, 0.3, 0.5], n)
    n_items, delivery, new = 1 + rng.poisson(1.2, n), 1 + rng.poisson(2, n), rng.random(n) < 0.3
    amount = np.round(np.exp(rng.normal(3.2, 0.6, n)) * n_items * (1 - discount), 2)
    causes = 2.0 * discount + 0.3 * (delivery - 3) + 0.35 * (n_items - 2) + 0.7 * new + rng.normal(0, 0.8, n)
    returned = causes + _BY_CATEGORY[category] > 1.0
    values = (
        [f"{day:%Y%m%d}-{store.lower()}-{number:03}" for number in range(n)],
        [store] * n,
        ordered,
        [at + timedelta(minutes=int(late)) for at, late in zip(ordered, rng.integers(1, 16, n), strict=True)],
        [_CATEGORIES[item] for item in category],
        n_items,
        amount,
        discount,
        delivery,
        new,
        returned,
        _known_at(rng, ordered, returned),
    )
    return pa.table(
        {field.name: pa.array(column, field.type) for field, column in zip(_SCHEMA, values, strict=True)}, _SCHEMA
    )


def _known_at(rng: np.random.Generator, ordered: list[datetime], returned: np.ndarray) -> list[datetime]:
    """Return when each outcome was known: the return, or a week after the order."""
    hours = np.where(returned, rng.uniform(48, 165, len(ordered)), 168.0)
    return [at + timedelta(hours=float(later)) for at, later in zip(ordered, hours, strict=True)]
