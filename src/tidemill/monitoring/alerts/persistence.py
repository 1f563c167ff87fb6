"""What becomes of alerts when another partition has been examined: opened, told again, resolved.

A warning opens once it was found in N of the newest M partitions, this one among them; what needs action today opens
at once. It resolves after M - N + 1 quiet partitions in a row, and at least 2, so that it does not flap; or at once
when its partitions were examined again and none of them shows it any more. Pure: writing and telling are not done here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tidemill.monitoring.alerts.families import FAMILIES
from tidemill.records import Alert, AlertChange, AlertEvent, Examination, OpenAlert, Severity

__all__ = ["Persistence", "decide_changes"]

LEAST_QUIET = 2  # a column that is NULL every other day is one alert, not one a day
REMIND_AFTER = 7  # partitions since somebody was told, while nobody has acknowledged
WORSE = 2.0  # times as far beyond the threshold as when it was last told


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistence:
    """How often something has to be found."""

    n: int = 1
    """Partitions in which it was found,"""
    of: int = 1
    """out of so many of the newest."""
    always: bool = False
    """Whether it holds for what needs action today too."""

    @classmethod
    def parse(cls, value: str, *, always: bool = False) -> Self:
        """Read ``N of M``.

        Examples
        --------
        >>> Persistence.parse("3 of 5").quiet
        3
        """
        n, of = value.split(" of ")
        return cls(n=int(n), of=int(of), always=always)

    @property
    def quiet(self) -> int:
        """Quiet partitions in a row after which it is over."""
        return max(LEAST_QUIET, self.of - self.n + 1)

    def met(self, found: Sequence[Alert | None]) -> bool:
        """Return whether what was found, newest partition first, is enough to open an alert."""
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
    """Return what becomes of a model's alerts.

    Parameters
    ----------
    opened : iterable of OpenAlert
        Alerts that are open.
    examinations : sequence of Examination
        The newest partitions, the newest first, each as it was last examined.
    persistence : callable
        Gives the persistence of a family of rules.
    owner : callable
        Gives who answers for a family of rules.

    Returns
    -------
    tuple of AlertChange
        One for every alert that opens, goes on or resolves, what needs action first. Asked again after the changes have
        been made, it gives no new opening, telling or resolution.
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
        event=AlertEvent.OPENED, alert=found[newest], owner=owner, first_partition=min(found), last_partition=newest
    )


def _go_on(item: OpenAlert, asked: Sequence[Examination], policy: Persistence) -> AlertChange:
    since = [one for one in asked if one.partition >= item.first_partition]
    found = {one.partition: alert for one in since if (alert := _find(one, item.alert.rule)) is not None}
    if not found or not any(_find(one, item.alert.rule) for one in asked[: policy.quiet]):
        # An alert whose partitions have left the window of examinations has been quiet for long, too.
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
    """Decide whether an alert that goes on is worth telling again."""
    now, told = found[newest], item.told
    if now.severity is Severity.FAIL and told.severity is not Severity.FAIL:
        return AlertEvent.WORSENED
    if newest > item.told_partition and _excess(now) >= WORSE * _excess(told) > 0:
        return AlertEvent.WORSENED
    n_since = sum(one.partition > item.told_partition for one in since)
    if n_since >= REMIND_AFTER and newest > item.told_partition and item.acknowledged_by is None:
        return AlertEvent.REMINDED
    return AlertEvent.UPDATED


def _excess(alert: Alert) -> float:
    """Return how far beyond its threshold a figure lies; NaN, which is no reason for anything, where that is unknown."""
    return abs(alert.value - alert.threshold)


def _find(item: Examination, rule: str) -> Alert | None:
    return next((found for found in item.findings if found.rule == rule), None)


def _part(family: str) -> str:
    return FAMILIES[family].part if family in FAMILIES else ""
