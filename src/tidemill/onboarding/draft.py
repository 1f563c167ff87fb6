"""The draft of a model: every guess about a table, together."""

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from tidemill.errors import SettingsError
from tidemill.onboarding.calendar import Calendar, plan_calendar
from tidemill.onboarding.columns import TableColumn, distinct_names, plain_name
from tidemill.onboarding.event_time import Clock, Lag, guess_arrival, guess_label_time, guess_times
from tidemill.onboarding.features import Selected, select_features
from tidemill.onboarding.profile import Profile, TableReader
from tidemill.onboarding.row_key import RowKey, guess_key
from tidemill.onboarding.target import Target, guess_target
from tidemill.spec import STAMP

__all__ = ["Answers", "Draft", "Timing", "draft_model", "model_name", "newest_partition"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the user has said; everything else is guessed."""

    label: str
    model: str | None = None
    key: tuple[str, ...] = ()
    time: str | None = None
    label_time: str | None = None
    task: str | None = None
    positive: str | None = None
    every: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a table's rows happen, arrive, and get their labels."""

    clock: Clock
    name: str
    """The spec's ``event_time``."""
    has_hours: bool
    """Whether events have a time of day."""
    arrival: Lag | None
    label_time: Lag | None
    calendar: Calendar

    @property
    def features(self) -> tuple[str, ...]:
        """Features that follow from the event's time."""
        return ("event_hour", "event_weekday") if self.has_hours else ("event_weekday",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A model as guessed."""

    model: str
    profile: Profile
    target: Target
    key: RowKey
    key_name: str
    timing: Timing | None
    """None if rows have no time."""
    why_no_time: str
    """Why they have none; empty if they have one."""
    selected: Selected
    timezone: str

    @property
    def calendar_features(self) -> tuple[str, ...]:
        """Features that follow from the event's time."""
        return () if self.timing is None else self.timing.features


def draft_model(reader: TableReader, profile: Profile, answers: Answers) -> Draft:
    """Guess everything about a model that the answers leave open.

    Raises
    ------
    SettingsError
        If the table cannot become a model without more information.
    """
    target = guess_target(profile, answers.label, answers.task, answers.positive)
    timing, why_no_time = _timing(reader, profile, target, answers)
    calendar = (timing.clock, timing.calendar.every) if timing else None
    key = guess_key(reader, profile, calendar, target.source.column, answers.key)
    selected = select_features(profile, target, key, timing.clock.column.name if timing else None)
    names = [item.name for item in selected.features]
    key_text = key.columns[0] if len(key.columns) == 1 else "row key"
    time_text = timing.name if timing else STAMP
    time_name, key_name, label_name = distinct_names([time_text, key_text, target.name], names)
    return Draft(
        model=answers.model or model_name(profile.table.name, target.name),
        profile=profile,
        target=replace(target, name=label_name),
        key=key,
        key_name=key_name,
        timing=replace(timing, name=time_name) if timing else None,
        why_no_time=why_no_time,
        selected=selected,
        timezone=answers.timezone,
    )


def _timing(reader: TableReader, profile: Profile, target: Target, answers: Answers) -> tuple[Timing | None, str]:
    """Return when rows happen, or None and why they have no time. A time that was asked for must do."""
    columns = guess_times(profile, answers.time)
    if not columns:
        return None, "as asked" if answers.time else "no column has the date or time of each row"
    reasons = []
    for column in columns:
        try:
            return _timing_by(reader, profile, target, answers, column), ""
        except SettingsError as error:
            if answers.time or answers.label_time:
                raise
            reasons.append(f"{column.name} divides too little: {error.problem.rstrip('.')}")
    return None, reasons[0]


def _timing_by(reader: TableReader, profile: Profile, target: Target, answers: Answers, column: TableColumn) -> Timing:
    """Return when rows happen by this column.

    Raises
    ------
    SettingsError
        If its days cannot be divided into a train, a validation and a test set.
    """
    clock = Clock(column=column, zone=answers.timezone)
    arrival = guess_arrival(profile, clock)
    label_time = guess_label_time(profile, clock, answers.label_time, arrival)
    days = reader.rows_per_day(clock.local, target.source.expression)
    return Timing(
        clock=clock,
        name=clock.column.name,
        has_hours=_has_hours(profile, clock),
        arrival=arrival,
        label_time=label_time,
        calendar=plan_calendar(days, arrival, label_time, answers.every),
    )


def newest_partition(draft: Draft, now: datetime) -> str:
    """Return the key of the newest complete partition; without a time, that of an instant."""
    if draft.timing is None:
        return f"{now.astimezone(ZoneInfo(draft.timezone)):%Y-%m-%d}"
    return draft.timing.calendar.key


def model_name(table: str, label: str) -> str:
    """Return a model's name from those of the table and the label.

    Examples
    --------
    >>> model_name("Customer Order", "returned")
    'customer_order_returned'
    """
    return plain_name(f"{plain_name(table)[:28]}_{label}")


def _has_hours(profile: Profile, clock: Clock) -> bool:
    if clock.column.type == "date":
        return False
    return any(value.hour or value.minute for value in profile.sample[clock.column.name].dropna().head(1000))
