"""The files of a draft, as a person would write them: a spec and two queries, with every guess as a comment."""

import json
import math
import textwrap
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

from tidemill.intervals import duration_words
from tidemill.onboarding.calendar import Calendar
from tidemill.onboarding.draft import Draft, Timing
from tidemill.onboarding.event_time import Clock, Lag
from tidemill.onboarding.names import quoted
from tidemill.spec import N_FOLDS

__all__ = ["render"]

_WIDTH = 110
_MAX_LEVELS = 20  # values up to which a set is written into the contract
_LINEAR = {"regression": "ridge"}
_MANY_ROWS = 200_000  # of a window, from which one estimator is enough for a first model
_TEST_ROWS = 150  # of a small table's test set; the gate needs 100
_SCHEDULES = {"day": "* * *", "week": "* * 1", "month": "4 * *"}


def render(draft: Draft) -> dict[str, str]:
    """Return the text of each file: ``models/<model>.yaml``, ``sql/<model>/features.sql`` and ``sql/<model>/labels.sql``."""
    return {
        f"models/{draft.model}.yaml": _spec(draft),
        f"sql/{draft.model}/features.sql": _features(draft),
        f"sql/{draft.model}/labels.sql": _labels(draft),
    }


def _spec(draft: Draft) -> str:
    target, timing = draft.target, draft.timing
    positive = "" if target.positive is None else f"positive: {json.dumps(target.positive, ensure_ascii=False)}, "
    source = _comment(str(draft.profile.table))
    days = f", {timing.calendar.n_days} days" if timing else ", without a time"
    matures = f"matures_after: {duration_words(timing.calendar.matures_after)}" if timing else "matures_after: 1 day"
    lines = [
        "# yaml-language-server: $schema=../../docs/spec.schema.json",
        f"# Drafted by 'tidemill init' from {source}: {draft.profile.n_rows:,} rows{days}.",
        f"# Every comment below is a guess. Correct what is wrong, then run 'tidemill check {draft.model}'.",
        f"model: {draft.model}",
        f"description: {json.dumps(f'Predicts {target.name} for each row of {draft.profile.table}.', ensure_ascii=False)}",
        f"task: {target.task} # {_comment(target.why)}",
        f"entity_key: {draft.key_name} # {_key_comment(draft)}",
        *_time_lines(draft),
        f"source: {{features: {draft.model}/features.sql, labels: {draft.model}/labels.sql}}",
        f"label: {{column: {target.name}, {positive}{matures}}} # {_maturity_comment(timing)}",
        "features:",
        *_feature_lines(draft),
        *_contract(draft),
        *_train(draft),
        *_schedules(draft),
    ]
    return "\n".join(lines) + "\n"


def _key_comment(draft: Draft) -> str:
    several = f"{', '.join(draft.key.columns)} as a JSON array: " if len(draft.key.columns) > 1 else ""
    return _comment(several + draft.key.why)


def _time_lines(draft: Draft) -> list[str]:
    timing, zone = draft.timing, f"timezone: {draft.timezone}"
    if timing is None:
        return [f"event_time: none # {_comment(draft.why_no_time)}; a hash of the key divides the rows", zone]
    calendar = timing.calendar
    return [
        f"event_time: {timing.name} # {_time_comment(timing.clock)}",
        zone,
        f"partitions: {{every: {calendar.every}, cutoff: {duration_words(calendar.cutoff)}, first: {calendar.first}}}"
        f" # {_cutoff_comment(timing)}",
    ]


def _time_comment(clock: Clock) -> str:
    kind = {
        "date": f"a day of {clock.zone}",
        "timestamp without time zone": f"its clock has no zone; read as {clock.zone}",
    }.get(clock.column.type, "an instant")
    return _comment(f"{clock.column.name}: {kind}")


def _cutoff_comment(timing: Timing) -> str:
    every = timing.calendar.every
    volume = f"about {timing.calendar.rows_per_day:,} rows per day; a {every} is scored once it is over"
    if timing.arrival:
        column = timing.arrival.clock.column.name
        return _comment(f"{volume} and 99 % of its rows are there, by {column}")
    return f"{volume}, because no column says when a row arrives"


def _maturity_comment(timing: Timing | None) -> str:
    if timing and timing.label_time:
        return _comment(f"99 % of the labels are known by then, by {timing.label_time.clock.column.name}")
    return "no column says when a label becomes known; write the true time here and in labels.sql"


def _feature_lines(draft: Draft) -> Iterator[str]:
    features = draft.selected.features
    numeric = [*(item.name for item in features if item.is_number), *draft.calendar_features]
    categorical = [item.name for item in features if not item.is_number]
    for kind, names in (("numeric", numeric), ("categorical", categorical)):
        if names:
            yield from _list(f"  {kind}: ", names)


def _list(head: str, names: list[str]) -> list[str]:
    text = f"{head}[{', '.join(names)}]"
    return textwrap.wrap(text, _WIDTH, subsequent_indent=" " * (len(head) + 1), break_long_words=False)


def _contract(draft: Draft) -> Iterator[str]:
    entries = [
        line for item in draft.selected.features for line in _expectations(draft.selected.values[item.name], item.name)
    ]
    if entries:
        yield "contract: # what the past looked like, with slack; 'fail' instead of 'warn' stops a run"
        yield from (f"  - {line}" for line in entries)


def _expectations(values: pd.Series, name: str) -> Iterator[str]:
    known = values.dropna()
    if len(known) == len(values):
        yield f"expect_column_values_to_not_be_null: {{column: {name}, mostly: 0.95, severity: warn}}"
    if set(known.unique()) <= {0.0, 1.0}:
        return  # a boolean, or a number like one
    if known.dtype == "float64":
        low, high = float(known.min()), float(known.max())
        slack = high - low
        least = 0 if low >= 0 else _rounded(low - slack)
        yield (
            f"expect_column_values_to_be_between: {{column: {name}, min_value: {least:g}, "
            f"max_value: {_rounded(high + slack):g}, severity: warn}}"
        )
    elif known.nunique() <= _MAX_LEVELS:
        levels = json.dumps(sorted(set(known.astype(str))), ensure_ascii=False)
        yield (
            f"expect_column_values_to_be_in_set: {{column: {name}, value_set: {levels}, mostly: 0.95, severity: warn}}"
        )


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _train(draft: Draft) -> Iterator[str]:
    timing = draft.timing
    linear = _LINEAR.get(draft.target.task, "logistic_regression")
    n_rows = timing.calendar.rows_per_day * timing.calendar.window if timing else draft.profile.n_rows
    many = n_rows > _MANY_ROWS
    estimators = ["xgboost"] if many else ["xgboost", "hist_gradient_boosting", linear]
    yield "train:"
    yield from _window_lines(timing.calendar) if timing else _fold_lines(n_rows)
    yield f"  estimators: [{', '.join(estimators)}]"
    yield from _ahead_line(draft)


def _ahead_line(draft: Draft) -> Iterator[str]:
    strong = ", ".join(draft.selected.strong)
    said = ["the calendar is"] * bool(draft.calendar_features)
    said += [f"{strong}: take it out if it is written after the outcome"] * bool(strong)
    if said:
        yield f"  known_ahead: [{', '.join([*draft.calendar_features, *draft.selected.strong])}] # {'; '.join(said)}"


def _window_lines(calendar: Calendar) -> Iterator[str]:
    days = _SCHEDULES[calendar.every] if calendar.every != "day" else "* * 1"
    yield f'  schedule: "30 {(calendar.hour - 1) % 24} {days}"'
    yield f"  window: {calendar.window} days # what the table holds"
    yield f"  validation: {calendar.validation} days"
    yield f"  test: {calendar.test} days"


def _fold_lines(n_rows: int) -> Iterator[str]:
    test = min(max(math.ceil(_TEST_ROWS / n_rows * N_FOLDS), 20), 40)
    yield f"  folds: {{validation: 20, test: {test}}} # of 100; do not change them once a release serves"


def _schedules(draft: Draft) -> Iterator[str]:
    if draft.timing is None:
        yield 'predict: {schedule: "0 5 * * *"} # all rows that the query returns'
        return
    calendar = draft.timing.calendar
    hour, days = calendar.hour, _SCHEDULES[calendar.every]
    offset = (
        -1 if calendar.every != "day" or calendar.cutoff <= timedelta(days=1, hours=18) else -1 - (calendar.cutoff.days)
    )
    yield f'predict: {{schedule: "0 {hour} {days}", offset: {offset}}} # the {calendar.every} before'
    yield f'monitor: {{schedule: "0 {(hour + 3) % 24} {days}"}}'
    yield f'retrain: {{schedule: "0 {(hour + 4) % 24} {days}"}}'


def _features(draft: Draft) -> str:
    zone, timing = draft.timezone, draft.timing
    items = [(draft.key.expression, draft.key_name)]
    items += [(timing.clock.instant, timing.name)] if timing else []
    items += [(item.expression, item.name) for item in draft.selected.features]
    items += _calendar_items(timing) if timing else []
    table = _comment(str(draft.profile.table))
    head = (
        f"-- One row of {table} per prediction, as known at :cutoff; times in {zone}."
        if timing
        else f"-- One row of {table} per prediction, as the table is when it is read."
    )
    return "\n".join([head, *_select(draft, items, _asked_rows(timing)), *_left_out(draft)]) + "\n"


def _calendar_items(timing: Timing) -> list[tuple[str, str]]:
    parts = {
        "event_hour": f"CAST(EXTRACT(hour FROM {timing.clock.local}) AS integer)",
        "event_weekday": f"CAST(EXTRACT(isodow FROM {timing.clock.local}) AS integer)",
    }
    return [(parts[name], name) for name in timing.features]


def _asked_rows(timing: Timing | None) -> list[str]:
    if timing is None:
        return []
    instant = timing.clock.instant
    known = timing.arrival.clock.instant if timing.arrival else instant
    return [f"{instant} >= :start", f"{instant} < :end", f"{known} <= :cutoff"]


def _labels(draft: Draft) -> str:
    target, timing = draft.target, draft.timing
    label = (target.source.expression, target.name)
    has_label = f"{target.source.expression} IS NOT NULL"
    if timing is None:
        head = f"-- Labels of all rows; {_maturity_comment(timing)}."
        return "\n".join([head, *_select(draft, [(draft.key.expression, draft.key_name), label], [has_label])]) + "\n"
    instant, observed = timing.clock.instant, _observed(timing)
    at = [(instant, timing.name)] if draft.key.within_partition else []
    items = [(draft.key.expression, draft.key_name), *at, label, (observed, "observed_at")]
    where = [has_label, f"{instant} >= :start", f"{instant} < :end", f"{observed} <= :cutoff"]
    head = f"-- Labels, with the time at which each became known: {_maturity_comment(timing)}."
    return "\n".join([head, *_select(draft, items, where)]) + "\n"


def _observed(timing: Timing) -> str:
    later = f"{timing.clock.instant} + interval '{duration_words(timing.calendar.matures_after)}'"
    if timing.label_time is None:
        return later
    known = _end_of(timing.label_time)
    return known if timing.label_time.share == 1 else f"coalesce({known}, {later})"


def _end_of(lag: Lag) -> str:
    """Return SQL of when something with a date is known: at the end of that day."""
    if lag.clock.column.type != "date":
        return lag.clock.instant
    return f"(CAST({quoted(lag.clock.column.name)} AS timestamp) + interval '1 day') AT TIME ZONE '{lag.clock.zone}'"


def _select(draft: Draft, items: list[tuple[str, str]], where: list[str]) -> Iterator[str]:
    yield "SELECT"
    last = len(items) - 1
    for number, (expression, name) in enumerate(items):
        renamed = "" if expression == name else f" AS {quoted(name)}"
        yield f"    {expression}{renamed}{',' if number < last else ''}"
    yield f"FROM {draft.profile.table}"
    yield from (f"    AND {condition}" if n else f"WHERE {condition}" for n, condition in enumerate(where))


def _left_out(draft: Draft) -> Iterator[str]:
    if draft.selected.left_out:
        yield ""
        yield "-- Left out:"
        yield from (f"--   {_comment(quoted(name))}: {_comment(why)}" for name, why in draft.selected.left_out.items())


def _comment(text: str) -> str:
    """Return a text that stays within its comment."""
    return " ".join(text.split())
