"""Value types of a spec (names, durations, cron expressions), and the base class of its sections."""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from tidemill.intervals import DURATION, parse_duration, parse_offset

__all__ = [
    "NAME",
    "PATTERNS",
    "RELATION",
    "Clock",
    "Cron",
    "Day",
    "DeniedColumn",
    "DeniedTable",
    "Duration",
    "Line",
    "MetricName",
    "Name",
    "Offset",
    "Part",
    "SqlFile",
    "ThresholdRule",
    "repeated",
]

MAX_CRON = 120  # characters of a cron expression; some of them take seconds to expand
NAME = r"^[a-z][a-z0-9_]{0,47}$"
"""Names become SQL identifiers, folders and DAG ids; 48 characters leave room for a suffix within Postgres' limit of 63."""
LINE = r"^[^\n\r\x85\u2028\u2029]{0,200}$"
"""Airflow stores the owners of a DAG as one text of limited size, and would lose the DAGs of every model with one longer."""
METRIC = rf"{NAME}|^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
SQL_FILE = r"^[a-z0-9_]+(/[a-z0-9_]+)*\.sql$"
TABLE = r'^[^\s."]+\.[^\s."]+$'
COLUMN = r'^([^\s."]+\.[^\s."]+\.)?[^\s."]+$'
RELATION = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$"
PATTERNS = {
    TABLE: "a table with its schema and without quotes, such as raw.passengers",
    COLUMN: "a column with its schema and table, such as raw.passengers.birth_year, or of any table, such as birth_year",
    NAME: "a name of lower-case letters, digits and underscores, a letter first, 48 at most; a query can rename one with AS",
    METRIC: "the name of a metric, or the import path of a function, such as mycompany.metrics:profit",
    RELATION: "a name of lower-case letters, digits and underscores, with or without a schema, such as raw.flights",
    LINE: "one line of at most 200 characters",
    SQL_FILE: "a file below sql/, in lower-case letters, digits and underscores, such as my_model/features.sql",
}
"""Description of each pattern, for error messages."""


def _duration(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))  # a bare number has no unit


def _offset(value: object) -> timedelta:
    return value if isinstance(value, timedelta) else parse_offset(str(value))


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that are listed more than once, sorted.

    Examples
    --------
    >>> repeated(["b", "a", "b"])
    ['b']
    """
    return sorted(name for name, n in Counter(names).items() if n > 1)


@lru_cache(maxsize=1024)  # models share a few schedules, and expanding one takes as long as reading its spec
def _cron(value: str) -> str:
    if len(value) > MAX_CRON or len(value.split()) != 5 or not croniter.is_valid(value):
        raise ValueError(f"{value[:MAX_CRON]!r} is not a cron expression of five fields, such as '0 5 * * *'")
    try:
        croniter(value, datetime(2000, 1, 1, tzinfo=UTC)).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{value!r} never occurs: it names a date that does not exist, such as 30 February") from None
    return value


def _clock(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return value
    raise ValueError(f"{value!r} is not a time of day; write it with two digits each, such as 07:00")


def _day(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        with suppress(ValueError):
            return date.fromisoformat(value)
    if isinstance(value, date):
        return value
    raise ValueError(f"{value!r} is not a day; write it like 2013-07-01")


def _threshold_rule(value: str) -> str:
    if not re.fullmatch(r"f1|youden|cost \d+(\.\d+)?|(precision|recall) (0?\.\d+|1)|top [1-9]\d{0,8}", value):
        raise ValueError(
            f"{value!r} is not a rule for the threshold; write 'f1', 'youden', 'cost 5' (a missed positive costs 5 false "
            "alarms), 'precision 0.6', 'recall 0.8' or 'top 500' (at most 500 per partition)"
        )
    return value


def _metric_name(value: object) -> object:
    """Return a metric's name without blanks: ``precision at 500`` is ``precision_at_500``."""
    return re.sub(r"\s+", "_", value.strip()) if isinstance(value, str) else value


def _words(value: timedelta) -> str:
    return f"{int(value.total_seconds()) // 60} minutes"


Name = Annotated[str, Field(pattern=NAME)]
MetricName = Annotated[str, BeforeValidator(_metric_name), Field(pattern=METRIC)]
Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_words)]
Offset = Annotated[
    timedelta,
    BeforeValidator(_offset),
    PlainSerializer(_words),
    Field(json_schema_extra={"pattern": rf"^\s*-?{DURATION}\s*$"}),
]
Clock = Annotated[str, BeforeValidator(_clock)]
Cron = Annotated[str, AfterValidator(_cron)]
# Outside this range, time zone arithmetic may overflow.
Day = Annotated[date, BeforeValidator(_day), Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))]
ThresholdRule = Annotated[str, AfterValidator(_threshold_rule)]
DeniedTable = Annotated[str, Field(pattern=TABLE)]
DeniedColumn = Annotated[str, Field(pattern=COLUMN)]
Line = Annotated[str, Field(pattern=LINE)]
SqlFile = Annotated[str, Field(pattern=SQL_FILE)]


class Part(BaseModel):
    """Base of all sections: frozen; unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
