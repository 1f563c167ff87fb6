"""Tables as companies have them, for tests of the drafts: odd names and types, dates, panels, few rows, many columns."""

import io
import json
import uuid
from collections.abc import Callable

import numpy as np
import pandas as pd
import psycopg2

__all__ = ["TABLES", "create_orders"]


def _copy(url: str, create: str, table: str, frame: pd.DataFrame) -> None:
    rows = io.StringIO()
    frame.to_csv(rows, index=False, header=False)
    rows.seek(0)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(create)
        cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT csv)", rows)


def create_orders(url: str, n: int = 6_000) -> None:
    """Create ``"Odd Sales"."Customer Order"``: 32 columns of many types, odd names, a time without zone."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(n, 15))
    noise[rng.random(noise.shape) < 0.15] = np.nan
    tier, amount = rng.choice(["gold", "silver", "bronze"], n), rng.lognormal(3, 1, n)
    gift, at = rng.random(n) < 0.2, pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * 200, unit="D")
    z = -2.0 + 0.8 * (tier == "bronze") + 0.4 * np.log(amount) + 1.2 * np.nan_to_num(noise[:, 0]) + 0.5 * gift
    returned = rng.random(n) < 1 / (1 + np.exp(-z))
    payloads = [json.dumps({"channel": str(rng.choice(["web", "app"])), "n": int(rng.integers(9))}) for _ in range(n)]
    frame = pd.DataFrame(
        {
            "Order ID": [str(uuid.UUID(int=number * 7919 + 2**100)) for number in range(n)],
            "Created At": at,
            "Ship Date": (at + pd.Timedelta(days=2)).date,
            "Customer ID": rng.integers(0, 5000, n),
            "Total Amount": np.where(np.arange(n) % 97, np.round(amount, 2), np.nan),
            "Price": np.round(amount, 2),
            "Is Gift": gift,
            "Tier": tier,
            "payload": payloads,
            "tags": [rng.choice(["{a,b}", "{}", "{c}"]) for _ in range(n)],
            "blob": "\\x00ff",
            "Comment": rng.choice(['broken "box", bad', "late\nvery late", "späße ☃", None], n),
            "duration": rng.choice(["3 days", "2 hours"], n),
            "ip": [f"10.0.{rng.integers(200)}.{rng.integers(200)}" for _ in range(n)],
            "COUNTRY %s": rng.choice(["DE", "FR", "IT"], n),
            "Returned?": returned,
            "copy of label": np.where(returned, "R", "K"),
            **{f"Attr:start {number}": noise[:, number] for number in range(15)},
        }
    )
    create = """
        DROP SCHEMA IF EXISTS "Odd Sales" CASCADE; CREATE SCHEMA "Odd Sales";
        CREATE TYPE "Odd Sales".tier AS ENUM ('gold', 'silver', 'bronze');
        CREATE TABLE "Odd Sales"."Customer Order" ("Order ID" uuid PRIMARY KEY, "Created At" timestamp, "Ship Date" date,
            "Customer ID" bigint, "Total Amount" numeric(12, 2), "Price" money, "Is Gift" boolean,
            "Tier" "Odd Sales".tier, payload jsonb, tags text[], blob bytea, "Comment" text, duration interval, ip inet,
            "COUNTRY %s" char(2), "Returned?" boolean, "copy of label" text, {});
        GRANT USAGE ON SCHEMA "Odd Sales" TO tidemill_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA "Odd Sales" TO tidemill_reader"""
    attributes = ", ".join(f'"Attr:start {number}" double precision' for number in range(15))
    _copy(url, create.replace("{}", attributes), '"Odd Sales"."Customer Order"', frame)


def _marketing(rng: np.random.Generator) -> pd.DataFrame:
    n = 8_000
    jobs, duration = rng.choice(["admin.", "blue-collar", "student", "retired"], n), rng.exponential(250, n).astype(int)
    age = rng.integers(18, 90, n)
    z = -2 + 0.9 * (jobs == "student") + 0.8 * (jobs == "retired") + 0.004 * (duration - 250)
    return pd.DataFrame(
        {
            "age": age, "job": jobs, "marital": rng.choice(["married", "single"], n), "balance": rng.integers(-500, 9000, n),
            "date": np.sort(rng.choice(pd.date_range("2010-01-01", "2010-12-31").date, n)), "duration": duration,
            "campaign": rng.integers(1, 9, n), "y": np.where(rng.random(n) < 1 / (1 + np.exp(-z)), "yes", "no"),
        }
    )  # fmt: skip


def _bikes(rng: np.random.Generator) -> pd.DataFrame:
    at = pd.date_range("2011-01-01", periods=24 * 240, freq="h")
    temperature = 0.5 + 0.2 * np.sin(at.day_of_year / 58) + rng.normal(0, 0.1, len(at))
    casual = rng.poisson(np.clip(20 + 30 * temperature, 1, None))
    registered = rng.poisson(60 + 50 * np.sin((at.hour - 6) / 24 * 2 * np.pi) + 40 * temperature)
    return pd.DataFrame(
        {
            "instant": range(1, len(at) + 1), "dteday": at.date, "hr": at.hour, "holiday": 0, "weekday": at.day_of_week,
            "temp": temperature, "casual": casual, "registered": registered, "cnt": casual + registered,
        }
    )  # fmt: skip


def _taxi(rng: np.random.Generator) -> pd.DataFrame:
    n = 9_000
    pickup = pd.Timestamp("2019-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * 60, unit="D").round("s")
    distance = rng.gamma(2, 2, n)
    minutes = 1.5 * distance + rng.gamma(3, 4, n)
    fare = np.round(2.5 + 2.1 * distance + 0.6 * minutes + rng.normal(0, 2, n), 2)
    return pd.DataFrame(
        {
            "VendorID": rng.integers(1, 3, n), "tpep_pickup_datetime": pickup,
            "tpep_dropoff_datetime": pickup + pd.to_timedelta(minutes, unit="m").round("s"),
            "passenger_count": rng.integers(1, 6, n), "trip_distance": distance.round(2),
            "PULocationID": rng.integers(1, 200, n),
            "store_and_fwd_flag": rng.choice(["Y", "N"], n), "fare_amount": fare, "total_amount": fare + 0.5,
        }
    )  # fmt: skip


def _small(rng: np.random.Generator) -> pd.DataFrame:
    n = 500
    scores, region = rng.normal(size=(n, 4)), rng.choice(["north", "south"], n)
    churned = rng.random(n) < 1 / (1 + np.exp(-1.3 * scores.sum(axis=1) - 0.5 * (region == "north")))
    day = np.sort(rng.choice(pd.date_range("2023-01-01", "2023-06-30").date, n))
    return pd.DataFrame(
        {
            "customer_id": range(n),
            "day": [f"{one:%d.%m.%Y}" for one in day],
            **{f"score_{at}": scores[:, at] for at in range(4)},
            "region": region,
            "churned": churned.astype(int),
        }
    )


def _wide(rng: np.random.Generator) -> pd.DataFrame:
    n = 1_500
    X = rng.normal(size=(n, 80)).round(3)
    kind = np.array(["a", "b", "c"])[np.argmax(X[:, :3] * 1.5 + rng.normal(size=(n, 3)), axis=1)]
    at = (pd.Timestamp("2024-03-01") + pd.to_timedelta(np.sort(rng.random(n)) * 90, unit="D")).tz_localize("UTC")
    return pd.DataFrame(
        {
            "id": range(n),
            "enrolled": at.min() - pd.Timedelta("400D"),
            "noted": at,
            "kind": kind,
            **{f"F{number}": X[:, number] for number in range(80)},
        }
    )


def _panel(rng: np.random.Generator) -> pd.DataFrame:
    days, n = pd.date_range("2024-01-01", periods=90), 60
    day, customer = np.repeat(days.date, n), np.tile(np.arange(n), len(days))
    visits, tenure = rng.poisson(3, len(day)), rng.integers(1, 60, len(day))
    churned = rng.random(len(day)) < 1 / (1 + np.exp(0.6 * (visits - 2.5)))
    return pd.DataFrame({"customer_id": customer, "day": day, "visits": visits, "tenure": tenure, "churned": churned})


def _daily(rng: np.random.Generator) -> pd.DataFrame:
    day = pd.date_range("2021-01-01", periods=1_000)
    x, promotion = rng.normal(size=len(day)), rng.random(len(day)) < 0.3
    sales = 100 + 10 * x + 8 * promotion + rng.normal(0, 5, len(day))
    return pd.DataFrame(
        {
            "day": day.strftime("%m/%d/%Y"),
            "temperature": x,
            "promotion": promotion,
            "sales": [f"{10 * one:,.1f}" for one in sales],
        }
    )


TABLES: dict[str, tuple[Callable[[np.random.Generator], pd.DataFrame], list[str]]] = {
    "marketing": (_marketing, ["--label", "y"]),
    "bikes": (_bikes, ["--label", "cnt"]),
    "taxi": (_taxi, ["--label", "fare_amount"]),
    "small": (_small, ["--label", "churned"]),
    "wide": (_wide, ["--label", "kind"]),
    "panel": (_panel, ["--label", "churned"]),
    "daily": (_daily, ["--label", "sales"]),
}
