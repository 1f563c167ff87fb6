"""When alerts open, notify again and resolve, after each examined partition.

A warning opens once N of the newest M partitions show it, the current one included. A finding that needs action today
opens at once. An alert resolves after M - N + 1 consecutive quiet partitions, but at least 2, so that it does not flap.
It resolves at once if its partitions are examined again and none still shows it. Pure functions: no I/O.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tidemill.intervals import key_order
from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.records import Alert, AlertChange, AlertEvent, Examination, OpenAlert, Severity

__all__ = ["Persistence", "decide_changes"]

LEAST_QUIET = 2  # a column that is NULL every other day is one alert, not one a day
REMIND_AFTER = 7  # partitions after the last message, while the alert is not acknowledged
WORSE = 2.0  # times the excess over the threshold at the last message


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistence:
    """How many of the newest partitions must show a finding."""

    n: int = 1
    """Partitions that must show it,"""
    of: int = 1
    """out of this many newest partitions."""
    always: bool = False
    """Whether it also applies to findings that need action today."""

    @classmethod
    def parse(cls, value: str, *, always: bool = False) -> Self:
        """Parse ``N of M``.

        Examples
        --------
        >>> Persistence.parse("3 of 5").quiet
        3
        """
        n, of = value.split(" of ")
        return cls(n=int(n), of=int(of), always=always)

    @property
    def quiet(self) -> int:
        """Consecutive quiet partitions after which the alert resolves."""
        return max(LEAST_QUIET, self.of - self.n + 1)

    def met(self, found: Sequence[Alert | None]) -> bool:
        """Return whether the findings, newest partition first, suffice to open an alert."""
        if not found or found[0] is None:
            return False
        if found[0].severity is Severity.FAIL and not self.always:
            return True
        return sum(item is not None for item in found[: self.of]) >= self.n


def decide_changes(
    opened: Iterable[OpenAlert],
    examinations: Sequence[Examination],
    *,
    persistence: Callable[[str], Persistence],
    owner: Callable[[str], str],
) -> tuple[AlertChange, ...]:
    """Return the changes to a model's alerts.

    Parameters
    ----------
    examinations : sequence of Examination
        The newest partitions, newest first, each with its latest findings.

    Returns
    -------
    tuple of AlertChange
        One for each alert that opens, continues or resolves; those that need action first. Idempotent: a second call
        after the changes are stored opens, notifies and resolves nothing.
    """
    by_rule = {item.alert.rule: item for item in opened}
    rules = dict.fromkeys([*by_rule, *(found.rule for item in examinations for found in item.findings)])
    changes: list[AlertChange] = []
    for rule in rules:
        family = rule.partition(":")[0]
        asked = [item for item in examinations if _part(family) in item.parts or _find(item, rule)]
        if not asked:
            continue
        policy = persistence(family)
        if rule in by_rule:
            changes.append(_go_on(by_rule[rule], asked, policy))
        elif policy.met([_find(item, rule) for item in asked]):
            changes.append(_open(rule, asked, policy, owner(family)))
    return tuple(sorted(changes, key=lambda change: change.alert.severity is not Severity.FAIL))


def _open(rule: str, asked: Sequence[Examination], policy: Persistence, owner: str) -> AlertChange:
    found = {item.partition: alert for item in asked[: policy.of] if (alert := _find(item, rule)) is not None}
    newest = next(iter(found))
    return AlertChange(
        event=AlertEvent.OPENED,
        alert=found[newest],
        owner=owner,
        first_partition=[*found][-1],
        last_partition=newest,
    )


def _go_on(item: OpenAlert, asked: Sequence[Examination], policy: Persistence) -> AlertChange:
    since = [one for one in asked if key_order(one.partition) >= key_order(item.first_partition)]
    found = {one.partition: alert for one in since if (alert := _find(one, item.alert.rule)) is not None}
    if not found or not any(_find(one, item.alert.rule) for one in asked[: policy.quiet]):
        # An alert whose partitions are older than all examinations has also been quiet for long enough.
        return _change(AlertEvent.RESOLVED, item, item.alert, item.last_partition)
    newest = next(iter(found))
    return _change(_telling(item, found, newest, since), item, found[newest], newest)


def _change(event: AlertEvent, item: OpenAlert, alert: Alert, last_partition: str) -> AlertChange:
    return AlertChange(
        event=event,
        alert=alert,
        owner=item.owner,
        first_partition=item.first_partition,
        last_partition=last_partition,
        alert_id=item.alert_id,
    )


def _telling(item: OpenAlert, found: Mapping[str, Alert], newest: str, since: Sequence[Examination]) -> AlertEvent:
    """Return whether a continuing alert needs another message."""
    now, told = found[newest], item.told
    if now.severity is Severity.FAIL and told.severity is not Severity.FAIL:
        return AlertEvent.WORSENED
    told_until = key_order(item.told_partition)
    is_newer = key_order(newest) > told_until
    if is_newer and _excess(now) >= WORSE * _excess(told) > 0:
        return AlertEvent.WORSENED
    n_since = sum(key_order(one.partition) > told_until for one in since)
    if n_since >= REMIND_AFTER and is_newer and item.acknowledged_by is None:
        return AlertEvent.REMINDED
    return AlertEvent.UPDATED


def _excess(alert: Alert) -> float:
    """Return how far a figure lies beyond its threshold; NaN, which triggers nothing, where that is unknown."""
    return abs(alert.value - alert.threshold)


def _find(item: Examination, rule: str) -> Alert | None:
    return next((found for found in item.findings if found.rule == rule), None)


def _part(family: str) -> str:
    return FAMILIES[family].part if family in FAMILIES else ""
