"""The files of a draft, as a person would write them: a spec and two queries, with every guess as a comment."""

import json
import textwrap
from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

from tidemill.intervals import duration_words
from tidemill.onboarding.draft import Draft
from tidemill.onboarding.event_time import Lag
from tidemill.onboarding.names import quoted

__all__ = ["render"]

_WIDTH = 110
_MAX_LEVELS = 20  # values up to which a set is written into the contract
_LINEAR = {"regression": "ridge"}
_MANY_ROWS = 200_000  # of a window, from which one estimator is enough for a first model
_SCHEDULES = {"day": "* * *", "week": "* * 1", "month": "4 * *"}


def render(draft: Draft) -> dict[str, str]:
    """Return the text of each file: ``models/<model>.yaml``, ``sql/<model>/features.sql`` and ``sql/<model>/labels.sql``."""
    return {
        f"models/{draft.model}.yaml": _spec(draft),
        f"sql/{draft.model}/features.sql": _features(draft),
        f"sql/{draft.model}/labels.sql": _labels(draft),
    }


def _spec(draft: Draft) -> str:
    target, calendar = draft.target, draft.calendar
    positive = "" if target.positive is None else f"positive: {json.dumps(target.positive, ensure_ascii=False)}, "
    source = _comment(str(draft.profile.table))
    lines = [
        "# yaml-language-server: $schema=../../docs/spec.schema.json",
        f"# Drafted by 'tidemill init' from {source}: {draft.profile.n_rows:,} rows, {calendar.n_days} days.",
        f"# Every comment below is a guess. Correct what is wrong, then run 'tidemill check {draft.model}'.",
        f"model: {draft.model}",
        f"description: {json.dumps(f'Predicts {target.name} for each row of {draft.profile.table}.', ensure_ascii=False)}",
        f"task: {target.task} # {_comment(target.why)}",
        f"entity_key: {draft.key_name} # {_key_comment(draft)}",
        f"event_time: {draft.time_name} # {_time_comment(draft)}",
        f"timezone: {draft.timezone}",
        f"partitions: {{every: {calendar.every}, cutoff: {duration_words(calendar.cutoff)}, first: {calendar.first}}}"
        f" # {_cutoff_comment(draft)}",
        f"source: {{features: {draft.model}/features.sql, labels: {draft.model}/labels.sql}}",
        f"label: {{column: {target.name}, {positive}matures_after: {duration_words(calendar.matures_after)}}}"
        f" # {_maturity_comment(draft)}",
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


def _time_comment(draft: Draft) -> str:
    column = draft.clock.column
    kind = {
        "date": f"a day of {draft.timezone}",
        "timestamp without time zone": f"its clock has no zone; read as {draft.timezone}",
    }.get(column.type, "an instant")
    return _comment(f"{column.name}: {kind}")


def _cutoff_comment(draft: Draft) -> str:
    every = draft.calendar.every
    volume = f"about {draft.calendar.rows_per_day:,} rows per day; a {every} is scored once it is over"
    if draft.arrival:
        column = draft.arrival.clock.column.name
        return _comment(f"{volume} and 99 % of its rows are there, by {column}")
    return f"{volume}, because no column says when a row arrives"


def _maturity_comment(draft: Draft) -> str:
    if draft.label_time:
        return _comment(f"99 % of the labels are known by then, by {draft.label_time.clock.column.name}")
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
    calendar = draft.calendar
    linear = _LINEAR.get(draft.target.task, "logistic_regression")
    many = calendar.rows_per_day * calendar.window > _MANY_ROWS
    estimators = ["xgboost"] if many else ["xgboost", "hist_gradient_boosting", linear]
    yield "train:"
    yield f'  schedule: "{30} {(calendar.hour - 1) % 24} {_SCHEDULES[calendar.every] if calendar.every != "day" else "* * 1"}"'
    yield f"  window: {calendar.window} days # what the table holds"
    yield f"  validation: {calendar.validation} days"
    yield f"  test: {calendar.test} days"
    yield f"  estimators: [{', '.join(estimators)}]"
    ahead = [*draft.calendar_features, *draft.selected.strong]
    strong = f"; {', '.join(draft.selected.strong)}: take it out if it is written after the outcome" * bool(
        draft.selected.strong
    )
    yield f"  known_ahead: [{', '.join(ahead)}] # the calendar is{strong}"


def _schedules(draft: Draft) -> Iterator[str]:
    hour, days = draft.calendar.hour, _SCHEDULES[draft.calendar.every]
    offset = (
        -1
        if draft.calendar.every != "day" or draft.calendar.cutoff <= timedelta(days=1, hours=18)
        else -1 - (draft.calendar.cutoff.days)
    )
    yield f'predict: {{schedule: "0 {hour} {days}", offset: {offset}}} # the {draft.calendar.every} before'
    yield f'monitor: {{schedule: "0 {(hour + 3) % 24} {days}"}}'
    yield f'retrain: {{schedule: "0 {(hour + 4) % 24} {days}"}}'


def _features(draft: Draft) -> str:
    zone, instant = draft.timezone, draft.clock.instant
    items = [(draft.key.expression, draft.key_name), (instant, draft.time_name)]
    items += [(item.expression, item.name) for item in draft.selected.features]
    parts = {
        "event_hour": f"CAST(EXTRACT(hour FROM {draft.clock.local}) AS integer)",
        "event_weekday": f"CAST(EXTRACT(isodow FROM {draft.clock.local}) AS integer)",
    }
    items += [(parts[name], name) for name in draft.calendar_features]
    known = draft.arrival.clock.instant if draft.arrival else instant
    head = f"-- One row of {_comment(str(draft.profile.table))} per prediction, as known at :cutoff; times in {zone}."
    where = [f"{instant} >= :start", f"{instant} < :end", f"{known} <= :cutoff"]
    return "\n".join([head, *_select(draft, items, where), *_left_out(draft)]) + "\n"


def _labels(draft: Draft) -> str:
    target, instant = draft.target, draft.clock.instant
    observed = _observed(draft)
    at = [(instant, draft.time_name)] if draft.key.within_partition else []
    items = [
        (draft.key.expression, draft.key_name),
        *at,
        (target.source.expression, target.name),
        (observed, "observed_at"),
    ]
    where = [
        f"{target.source.expression} IS NOT NULL",
        f"{instant} >= :start",
        f"{instant} < :end",
        f"{observed} <= :cutoff",
    ]
    head = f"-- Labels, with the time at which each became known: {_maturity_comment(draft)}."
    return "\n".join([head, *_select(draft, items, where)]) + "\n"


def _observed(draft: Draft) -> str:
    later = f"{draft.clock.instant} + interval '{duration_words(draft.calendar.matures_after)}'"
    if draft.label_time is None:
        return later
    known = _end_of(draft.label_time)
    return known if draft.label_time.share == 1 else f"coalesce({known}, {later})"


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
    yield f"WHERE {where[0]}"
    yield from (f"    AND {condition}" for condition in where[1:])


def _left_out(draft: Draft) -> Iterator[str]:
    if draft.selected.left_out:
        yield ""
        yield "-- Left out:"
        yield from (f"--   {_comment(quoted(name))}: {_comment(why)}" for name, why in draft.selected.left_out.items())


def _comment(text: str) -> str:
    """Return a text that stays within its comment."""
    return " ".join(text.split())
