"""Which columns become features, and why the others do not. Pure functions on the sample."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tidemill.errors import SettingsError
from tidemill.modeling.leakage import LIMITS, find_telling
from tidemill.modeling.schema import FeatureSchema
from tidemill.onboarding.columns import Candidate, plain_name
from tidemill.onboarding.event_time import in_utc
from tidemill.onboarding.names import quoted
from tidemill.onboarding.profile import Profile
from tidemill.onboarding.row_key import RowKey
from tidemill.onboarding.target import Target
from tidemill.records import percent

__all__ = ["Selected", "select_features"]

_FEW_GROUPS = 50  # values up to which an id names a group, such as a store, not a row
_MAX_LEVELS = 1_000
_LONG_TEXT = 60  # characters on average, beyond which a text is prose
_MISSING = 0.98  # share from which a column may have no value in a train set
_SURE = 100  # rows from which distinct values are no coincidence
_NEARER = 0.03  # below the leak probe's limit, because the sample is not the train set
_WHOLE = ("smallint", "integer", "bigint")
_CODES = r"(^|_)(code|zip|zipcode|postcode|plz|no|nr|number|ref|area|region|branch|store|shop|category|class|type)$"
_COPY = {"binary": 0.95, "multiclass": 0.95, "regression": 0.9}  # a copy of the label with 5 % noise reaches this


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The features, their values in the sample, and what is left out."""

    features: tuple[Candidate, ...]
    values: pd.DataFrame
    left_out: dict[str, str]
    """Why, by the table's column."""
    strong: tuple[str, ...]
    """Features that predict the label so well that the leak probe would ask whether they are known ahead."""
    notes: tuple[str, ...] = ()
    """Decisions about columns that look like identifiers, one sentence each."""


def select_features(profile: Profile, target: Target, key: RowKey, time: str | None) -> Selected:
    """Return the columns from which the label may be predicted.

    Raises
    ------
    SettingsError
        If none is left.
    """
    left_out = dict(profile.unusable)
    chosen, values = [], {}
    for item in profile.features:
        if item.column == target.source.column:
            continue
        column = _column(profile.sample[item.name], item)
        used, reason = _judge(profile, item, column, key)
        if used is None:
            left_out[item.column if item.column not in left_out else item.name] = reason
        else:
            chosen.append(used)
            values[used.name] = column if used.is_number else column.astype("string").astype(object)
    left_out |= {
        name: _why_no_time(profile, name, time) for name in profile.times if name not in (time, target.source.column)
    }
    frame = pd.DataFrame(values, index=profile.sample.index)
    frame = frame.set_index(_entities(profile, key))
    label = profile.sample[target.source.name].set_axis(frame.index)
    telling = _telling(frame, chosen, label, target, _COPY[target.task])
    left_out |= {item.column: telling[item.name] for item in chosen if item.name in telling}
    features = tuple(item for item in chosen if item.name not in telling)
    if not features:
        raise SettingsError(
            f"No column of {profile.table} can be a feature: {left_out}.", "Add columns, or write the query by hand."
        )
    strong = tuple(_telling(frame, list(features), label, target, LIMITS[target.task] - _NEARER))
    return Selected(
        features=features,
        values=frame[[item.name for item in features]],
        left_out=left_out,
        strong=strong,
        notes=tuple(_notes(profile, features)),
    )


def _notes(profile: Profile, features: tuple[Candidate, ...]) -> Iterator[str]:
    for item in features:
        column = profile.column(item.column)
        if item.name == f"{plain_name(item.column)}_group":
            yield f"{item.column} is the key, and {item.name} is the same as a category, for what is usual for each."
        elif column.is_id and not item.is_number:
            yield f"{item.column} is an id with few values, and became a category."
        elif item.is_number and re.search(_CODES, plain_name(item.column)) and column.type in _WHOLE:
            yield (
                f"{item.column} became a number, although its name says that it may be a code; if so, CAST it to text and "
                "list it as categorical."
            )


def _entities(profile: Profile, key: RowKey) -> pd.Index:
    """Return the entity of each row of the sample; a row has its own unless keys recur."""
    names = [item.name for item in profile.features if item.column in key.columns]
    return pd.Index(profile.sample[names[0]]) if key.within_partition and names else profile.sample.index


def _column(values: pd.Series, item: Candidate) -> pd.Series:
    return pd.to_numeric(values, errors="coerce").astype("float64") if item.is_number else values


def _judge(profile: Profile, item: Candidate, values: pd.Series, key: RowKey) -> tuple[Candidate | None, str]:
    """Return the feature, or None and why not."""
    column, n = profile.column(item.column), int(values.notna().sum())
    n_distinct = values.nunique()
    if key.columns == (item.column,):
        recurs = key.within_partition and n_distinct <= _FEW_GROUPS
        return (_category(item, f"{item.name}_group"), "") if recurs else (None, "it is the key")
    if n_distinct < 2 and n == len(values):
        return None, "it is constant"
    if n <= len(values) * (1 - _MISSING) or n_distinct < 2:
        missing = 1 - n / len(values)
        return None, f"it is missing in {percent(missing)} of the rows" if missing else "it is constant"
    if column.is_id or column.type == "uuid":
        if n_distinct > _FEW_GROUPS or column.type == "uuid":
            return None, f"an id ({n_distinct:,} distinct values in the sample)"
        return _category(item, item.name), ""
    is_distinct = n_distinct == n >= _SURE
    if item.is_number:
        whole = column.type in _WHOLE and item.expression == quoted(item.column)
        return (None, "a number of its own for each row, like an id") if is_distinct and whole else (item, "")
    return _judge_text(item, values, n, n_distinct)


def _category(item: Candidate, name: str) -> Candidate:
    as_text = f"CAST({quoted(item.column)} AS text)"
    return replace(item, name=name, expression=as_text if item.is_number else item.expression, is_number=False)


def _judge_text(item: Candidate, values: pd.Series, n: int, n_distinct: int) -> tuple[Candidate | None, str]:
    length = values.dropna().astype(str).str.len().mean()
    if length > _LONG_TEXT:
        return None, f"free text, {length:.0f} characters on average"
    if n_distinct > n / 2 and n_distinct > _FEW_GROUPS:
        return None, f"nearly every row has its own value ({n_distinct:,} in {n:,})"
    if n_distinct > _MAX_LEVELS:
        return None, f"{n_distinct:,} distinct values; group them first"
    return item, ""


def _why_no_time(profile: Profile, name: str, time: str | None) -> str:
    if time is None:
        return "a date or time; if the time since then matters, compute it, in days"
    later = (in_utc(profile.sample, name) - in_utc(profile.sample, time)).dropna()
    if len(later) and (later > pd.Timedelta(0)).mean() > 1 - _MISSING:
        return "a date or time that can lie after the event, when it is not known yet"
    return "a date or time; if its distance from the event matters, compute it, in days"


def _telling(
    frame: pd.DataFrame, chosen: list[Candidate], label: pd.Series, target: Target, limit: float
) -> dict[str, str]:
    """Return the columns that predict the label too well by themselves, with the leak probe's figure.

    The index of the rows is their entity.
    """
    known = label.notna().to_numpy()
    if target.task == "regression":
        y = pd.to_numeric(label[known], errors="coerce").to_numpy(dtype=np.float64)
    elif target.task == "binary":
        y = (label[known] == target.positive).to_numpy(dtype=np.float64)
    else:
        y = label[known].astype(str).to_numpy()
    schema = FeatureSchema(
        numeric=tuple(item.name for item in chosen if item.is_number),
        categorical=tuple(item.name for item in chosen if not item.is_number),
    )
    rows = frame[known]
    found = find_telling(rows.reset_index(drop=True), y, schema, target.task, entities=rows.index, limit=limit)
    return {
        leak.subject: f"{leak.how.removeprefix(repr(leak.subject)).strip()}; if it is known ahead, select it again and "
        "list it in train.known_ahead"
        for leak in found
    }
