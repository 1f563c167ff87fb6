"""The roles of a table's times: the event's, the row's arrival, and the label's. Pure functions."""

import re
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from tidemill.errors import SettingsError
from tidemill.onboarding.columns import TableColumn, plain_name
from tidemill.onboarding.names import quoted
from tidemill.onboarding.profile import Profile
from tidemill.spec import NO_TIME

__all__ = ["Clock", "Lag", "guess_arrival", "guess_label_time", "guess_times", "in_utc"]

_WORDS = {
    "event": r"creat|order|plac|event|occur|pickup|start|open|begin|request|visit|book|purchase|transact|observ|measur"
    r"|report|record|incident|accident|sold|sale|admit|admission|depart|sent|issued|applied|applic|call|contact|session"
    r"|^(at|ts|date|day|time|timestamp|datetime|dteday|ds|hour|month|week)$",
    "late": r"updat|modif|ship|deliver|dropoff|return|resolv|birth|\bdob|due|expir|paid|pay_|label|outcome|known|load"
    r"|ingest|sync|insert|arriv|clos|(?<!s)end|finish|complet|signup|since|register|cancel",
}
_ARRIVAL = r"load|ingest|insert|arriv|receiv|etl|synced"
_LABEL_TIME = r"outcome|label|resolv|return|clos|known|settl|churn|cancel|convert"
_NO_EVENT = r"birth|(^|_)dob(_|$)"
_EARLIER_SHARE = 0.98  # share of rows in which the time is not before the event


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A column with a time, and the zone of its clock."""

    column: TableColumn
    zone: str

    @property
    def local(self) -> str:
        """SQL of the wall clock's time in the zone."""
        name = quoted(self.column.name)
        if self.column.type == "timestamp with time zone":
            return f"{name} AT TIME ZONE '{self.zone}'"
        return f"CAST({name} AS timestamp)" if self.column.type == "date" else name

    @property
    def instant(self) -> str:
        """SQL of the time as ``timestamptz``."""
        if self.column.type == "timestamp with time zone":
            return quoted(self.column.name)
        return f"{self.local} AT TIME ZONE '{self.zone}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """A later time, and how long after the event it usually is."""

    clock: Clock
    usual: timedelta
    """Exceeded by one row in a hundred."""
    share: float
    """Share of rows that have it."""


def in_utc(sample: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of times as instants; a time without zone counts as UTC, and one that does not fit is missing."""
    return pd.to_datetime(sample[name], utc=True, errors="coerce")


def guess_times(profile: Profile, asked: str | None) -> list[TableColumn]:
    """Return the columns that may have the event's time, the most plausible first; none if none is asked for.

    Raises
    ------
    SettingsError
        If the column asked for is no time.
    """
    if asked == NO_TIME:
        return []
    if asked is not None:
        column = profile.column(asked)
        if not column.is_time:
            raise SettingsError(
                f"{asked!r} has the type {column.type}, not a date or a time.", "Choose another --time."
            )
        return [column]
    filled = [
        name
        for name in profile.times
        if profile.sample[name].notna().mean() > 1 - 0.01 and not re.search(_NO_EVENT, plain_name(name))
    ]
    ranked = sorted(filled, key=lambda name: (-_score(name), _mean(profile, name)))
    return [profile.column(name) for name in ranked]


def _score(name: str) -> int:
    plain = plain_name(name)
    return 2 * bool(re.search(_WORDS["event"], plain)) - 3 * bool(re.search(_WORDS["late"], plain))


def _mean(profile: Profile, name: str) -> float:
    return float((in_utc(profile.sample, name) - pd.Timestamp(0, tz="UTC")).dt.total_seconds().mean())


def guess_arrival(profile: Profile, event: Clock) -> Lag | None:
    """Return the time at which a row arrived in the table, if a column says so."""
    return next((lag for lag in _later(profile, event, _ARRIVAL) if lag.share > 0.99), None)


def guess_label_time(profile: Profile, event: Clock, asked: str | None, arrival: Lag | None) -> Lag | None:
    """Return the time at which the label became known, if a column says so."""
    if asked is not None:
        column = profile.column(asked)
        found = _lag(profile, event, column)
        if not column.is_time or found is None:
            raise SettingsError(f"{asked!r} is not a time at or after the event.", "Choose another --label-time.")
        return found
    taken = arrival.clock.column.name if arrival else ""
    return next(
        (lag for lag in _later(profile, event, _LABEL_TIME) if lag.clock.column.name != taken and lag.share > 0.5), None
    )


def _later(profile: Profile, event: Clock, words: str) -> list[Lag]:
    named = [column for column in profile.columns if column.is_time and re.search(words, plain_name(column.name))]
    return [lag for column in named if column != event.column and (lag := _lag(profile, event, column)) is not None]


def _lag(profile: Profile, event: Clock, column: TableColumn) -> Lag | None:
    if not column.is_time:
        return None
    later = (in_utc(profile.sample, column.name) - in_utc(profile.sample, event.column.name)).dropna()
    if later.empty or (later >= pd.Timedelta(0)).mean() < _EARLIER_SHARE:
        return None
    usual = timedelta(seconds=float(later.dt.total_seconds().quantile(0.99)))
    share = len(later) / len(profile.sample)
    return Lag(clock=Clock(column=column, zone=event.zone), usual=usual, share=share)
