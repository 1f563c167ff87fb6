"""What is predicted: the label's column, the task, and the positive class. Pure functions."""

import re
from dataclasses import dataclass

import pandas as pd

from tidemill.errors import SettingsError
from tidemill.onboarding.columns import Candidate, plain_name
from tidemill.onboarding.profile import Profile
from tidemill.records import percent

__all__ = ["Target", "guess_label", "guess_target"]

_LABELS = re.compile(
    r"^(y|label|target|class|outcome|churn(ed)?|returned|converted|conversion|default(ed)?|fraud|is_fraud|cancel(l?ed)?"
    r"|survived|clicked|response|deposit|success|won|attrition|cnt|fare|fare_amount|sales|demand)$"
)
_POSITIVE = (
    "yes",
    "true",
    "y",
    "t",
    "1",
    "positive",
    "churned",
    "returned",
    "fraud",
    "default",
    "bad",
    "won",
    "success",
)
_MAX_CLASSES = 30
_MAX_GRADES = 6  # distinct whole numbers up to which they are classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The label."""

    source: Candidate
    """How the table's column is read."""
    name: str
    """Name in the spec."""
    task: str
    positive: bool | int | str | None
    """Value that counts as the positive class; None unless binary."""
    why: str
    """What the guess rests on."""


def guess_label(profile: Profile) -> str | None:
    """Return the only column whose name is that of a label, or None."""
    named = [column.name for column in profile.columns if _LABELS.match(plain_name(column.name))]
    return named[0] if len(named) == 1 else None


def guess_target(profile: Profile, label: str, task: str | None = None, positive: str | None = None) -> Target:
    """Return what is predicted, from the label's values in the sample.

    Raises
    ------
    SettingsError
        If the column has no value, only one, or is neither number nor text.
    """
    source = profile.feature(profile.column(label).name)
    values = profile.sample[source.name].dropna()
    distinct = list(pd.unique(values))
    if len(distinct) < 2:
        raise SettingsError(
            f"The label {label!r} has {len(distinct)} distinct value(s) in {len(profile.sample):,} rows; "
            "at least 2 are needed.",
            "Choose another column with --label.",
        )
    chosen = task or _task(values, len(distinct), is_number=source.is_number)
    if chosen == "regression" and not source.is_number:
        raise SettingsError(
            f"The label {label!r} is a text with {len(distinct):,} distinct values.",
            f"Choose a number, or a text with at most {_MAX_CLASSES} values.",
        )
    if chosen != "binary":
        why = f"{len(distinct):,} distinct values in {len(values):,} rows"
        return Target(source=source, name=plain_name(label), task=chosen, positive=None, why=why)
    if len(distinct) != 2:
        raise SettingsError(
            f"The label {label!r} has {len(distinct)} values, and a binary one has 2.", "Change --task."
        )
    value = _positive(values, positive)
    share = float((values == value).mean())
    why = f"{value!r} in {percent(share)} of {len(values):,} rows"
    return Target(source=source, name=plain_name(label), task="binary", positive=_plain(value), why=why)


def _task(values: pd.Series, n_distinct: int, *, is_number: bool) -> str:
    if n_distinct == 2:
        return "binary"
    if not is_number:
        return "multiclass" if n_distinct <= _MAX_CLASSES else "regression"
    whole = all(isinstance(value, int) for value in values.head(1000))
    return "multiclass" if whole and n_distinct <= _MAX_GRADES else "regression"


def _positive(values: pd.Series, asked: str | None) -> object:
    """Return the positive value: the one asked for, one whose name says so, or the rarer one."""
    counts = values.value_counts()
    by_text = {str(value).strip().lower(): value for value in counts.index}
    if asked is not None:
        if asked.strip().lower() not in by_text:
            raise SettingsError(
                f"The label never has the value {asked!r}.", f"It has {', '.join(map(str, counts.index))}."
            )
        return by_text[asked.strip().lower()]
    named = [by_text[text] for text in _POSITIVE if text in by_text]
    return named[0] if named else counts.index[-1]


def _plain(value: object) -> bool | int | str:
    if isinstance(value, bool | str):
        return value
    number = float(str(value))
    if number.is_integer():
        return int(number)
    raise SettingsError(f"The positive value {value} is not a whole number.", "Choose --task regression.")
