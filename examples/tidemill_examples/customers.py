"""Customers of an invented mobile network, each with a row on every day: generated rows in the schema ``demo_network``.

5,000 customers from January to June 2024. On the first of a month, at 06:00, the month before is closed: only then is it
known who has left, so every day of a month gets its label at the same time. Who leaves is replaced by somebody new. A mood
that nobody sees moves several of the columns a little, and the customer towards the door.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from tidemill_examples.generated import load_tables

__all__ = ["FIRST", "LAST", "N_CUSTOMERS", "CustomerTables", "generate_customers", "load_customers"]

FIRST, LAST = date(2024, 1, 1), date(2024, 6, 30)
N_CUSTOMERS = 5000
"""Customers on each day."""
_ZONE = ZoneInfo("Europe/Berlin")
_CLOSED_AT = time(6, tzinfo=_ZONE)  # of the first day after a month
_TARIFFS = ("flex", "home", "max")
_FEES = np.array([9.0, 19.0, 39.0])
_DAYS = pa.schema(
    {
        "customer_id": pa.string(),
        "day": pa.date32(),
        "tariff": pa.string(),
        "fee": pa.float64(),
        "months_as_customer": pa.int64(),
        "gb_7d": pa.float64(),
        "calls_7d": pa.int64(),
        "support_calls_30d": pa.int64(),
        "late_payments_90d": pa.int64(),
        "days_since_login": pa.int64(),
    }
)
_MONTHS = pa.schema(
    {"customer_id": pa.string(), "month": pa.date32(), "churned": pa.bool_(), "closed_at": pa.timestamp("us", "UTC")}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerTables:
    """The two tables of the network."""

    days: pa.Table
    """A row for each customer and day."""
    months: pa.Table
    """A row for each customer and month: whether the customer left at its end."""


@dataclass(slots=True, kw_only=True)
class _Customers:
    """The customers of a month; those who leave are replaced."""

    number: np.ndarray
    tariff: np.ndarray
    habit: np.ndarray
    """Usual data volume, as a logarithm."""
    mood: np.ndarray
    """Standard normal; high is bad."""
    months: np.ndarray

    @classmethod
    def joining(cls, rng: np.random.Generator, first_number: int, n: int) -> "_Customers":
        return cls(
            number=first_number + np.arange(n),
            tariff=rng.integers(0, len(_TARIFFS), n),
            habit=rng.normal(1.2, 0.6, n),
            mood=rng.normal(0, 1, n),
            months=rng.integers(0, 60, n) * (first_number == 1),
        )

    def replace(self, left: np.ndarray, new: "_Customers") -> None:
        """Let new customers take the places of those who have left."""
        for name in ("number", "tariff", "habit", "mood", "months"):
            column = getattr(self, name).copy()  # the tables share the memory of the columns
            column[left] = getattr(new, name)
            setattr(self, name, column)

    @property
    def ids(self) -> np.ndarray:
        return np.array([f"C{number:06}" for number in self.number], dtype=object)


def generate_customers(random_state: int = 20240101) -> CustomerTables:
    """Generate the customers' days and months, in the order of time.

    Parameters
    ----------
    random_state : int, default 20240101
        Seed; the same seed gives the same rows.
    """
    rng = np.random.default_rng(random_state)
    customers, next_number = _Customers.joining(rng, 1, N_CUSTOMERS), N_CUSTOMERS + 1
    days, months, first = [], [], FIRST
    while first <= LAST:
        following = (first + timedelta(days=31)).replace(day=1)
        late = rng.poisson(0.3 * np.exp(0.3 * customers.mood))
        days += [_day_of(rng, customers, late, first + timedelta(days=n)) for n in range((following - first).days)]
        odds = -3.1 + 1.3 * customers.mood + 0.4 * late - 0.015 * customers.months + rng.normal(0, 0.5, N_CUSTOMERS)
        left = rng.random(N_CUSTOMERS) < 1 / (1 + np.exp(-odds))
        months.append(_month_of(customers, first, following, left))
        customers.mood = 0.7 * customers.mood + rng.normal(0, 0.7, N_CUSTOMERS)
        customers.months = customers.months + 1
        customers.replace(left, _Customers.joining(rng, next_number, int(left.sum())))
        first, next_number = following, next_number + int(left.sum())
    return CustomerTables(days=pa.concat_tables(days), months=pa.concat_tables(months))


def load_customers(owner_url: str) -> int:
    """Load the tables into ``demo_network``, unless the same rows are already there; return the number of rows written.

    Parameters
    ----------
    owner_url : str
        Connection URL of the role that owns the schema, or may create it.
    """
    tables = generate_customers()
    rows = {"demo_network.customer_day": tables.days, "demo_network.customer_month": tables.months}
    return load_tables(owner_url, "customers.sql", rows, "A customer on a day; invented.")


def _day_of(rng: np.random.Generator, customers: _Customers, late: np.ndarray, day: date) -> pa.Table:
    n, mood = len(customers.number), customers.mood
    values = (
        customers.ids,
        [day] * n,
        np.array(_TARIFFS, dtype=object)[customers.tariff],
        _FEES[customers.tariff],
        customers.months,
        np.round(np.exp(customers.habit - 0.35 * mood + rng.normal(0, 0.3, n)), 2),
        rng.poisson(6, n),
        rng.poisson(np.exp(-0.7 + 0.5 * mood)),
        late,
        rng.poisson(np.exp(1.1 + 0.3 * mood)),
    )
    return _table(_DAYS, values)


def _month_of(customers: _Customers, first: date, following: date, left: np.ndarray) -> pa.Table:
    n = len(left)
    closed_at = datetime.combine(following, _CLOSED_AT).astimezone(UTC)
    return _table(_MONTHS, (customers.ids, [first] * n, left, [closed_at] * n))


def _table(schema: pa.Schema, values: tuple[object, ...]) -> pa.Table:
    columns = {field.name: pa.array(column, field.type) for field, column in zip(schema, values, strict=True)}
    return pa.table(columns, schema)
