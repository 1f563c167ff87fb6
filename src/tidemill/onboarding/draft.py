"""The draft of a model: every guess about a table, together."""

from dataclasses import dataclass

from tidemill.onboarding.calendar import Calendar, plan_calendar
from tidemill.onboarding.columns import distinct_names, plain_name
from tidemill.onboarding.event_time import Clock, Lag, guess_arrival, guess_label_time, guess_time
from tidemill.onboarding.features import Selected, select_features
from tidemill.onboarding.profile import Profile, TableReader
from tidemill.onboarding.row_key import RowKey, guess_key
from tidemill.onboarding.target import Target, guess_target

__all__ = ["Answers", "Draft", "draft_model", "model_name"]


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
class Draft:
    """A model as guessed."""

    model: str
    profile: Profile
    target: Target
    key: RowKey
    key_name: str
    clock: Clock
    time_name: str
    has_hours: bool
    """Whether events have a time of day."""
    arrival: Lag | None
    label_time: Lag | None
    calendar: Calendar
    selected: Selected
    timezone: str

    @property
    def calendar_features(self) -> tuple[str, ...]:
        """Features that follow from the event's time."""
        return ("event_hour", "event_weekday") if self.has_hours else ("event_weekday",)


def draft_model(reader: TableReader, profile: Profile, answers: Answers) -> Draft:
    """Guess everything about a model that the answers leave open.

    Raises
    ------
    SettingsError
        If the table cannot become a model without more information.
    """
    target = guess_target(profile, answers.label, answers.task, answers.positive)
    clock = Clock(column=guess_time(profile, answers.time), zone=answers.timezone)
    arrival = guess_arrival(profile, clock)
    label_time = guess_label_time(profile, clock, answers.label_time, arrival)
    days = reader.rows_per_day(clock.local, target.source.expression)
    calendar = plan_calendar(days, arrival, label_time, answers.every)
    key = guess_key(reader, profile, clock, target.source.column, calendar.every, answers.key)
    selected = select_features(profile, target, key, clock.column.name)
    names = [item.name for item in selected.features]
    key_text = key.columns[0] if len(key.columns) == 1 else "row key"
    time_name, key_name, label_name = distinct_names([clock.column.name, key_text, target.name], names)
    return Draft(
        model=answers.model or model_name(profile.table.name, target.name),
        profile=profile,
        target=target if label_name == target.name else _renamed(target, label_name),
        key=key,
        key_name=key_name,
        clock=clock,
        time_name=time_name,
        has_hours=_has_hours(profile, clock),
        arrival=arrival,
        label_time=label_time,
        calendar=calendar,
        selected=selected,
        timezone=answers.timezone,
    )


def model_name(table: str, label: str) -> str:
    """Return a model's name from those of the table and the label.

    Examples
    --------
    >>> model_name("Customer Order", "returned")
    'customer_order_returned'
    """
    return plain_name(f"{plain_name(table)[:28]}_{label}")


def _renamed(target: Target, name: str) -> Target:
    return Target(source=target.source, name=name, task=target.task, positive=target.positive, why=target.why)


def _has_hours(profile: Profile, clock: Clock) -> bool:
    if clock.column.type == "date":
        return False
    return any(value.hour or value.minute for value in profile.sample[clock.column.name].dropna().head(1000))
