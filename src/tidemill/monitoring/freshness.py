"""Whether a partition came, whole and in time, from the same columns, code and packages as the one before.

Figures and findings from what the ledger and the snapshots know; nothing is read here. What is usual is learned from
the model's own past partitions: the number of rows of the same weekday, the age that labels have at that hour.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tidemill.records import Alert, MetricValue, Record, Severity

__all__ = ["FreshnessEvidence", "FreshnessLimits", "examine_freshness", "missing_alert", "usual_rows"]

MIN_PEERS = 4  # partitions of the same weekday; fewer say too little, and all of the newest stand in
N_RECENT = 28  # newest partitions that say what is usual
CHANCE = 3.0  # standard deviations that a count, or what it usually differs by, may lie off
AGE_MARGIN = 2.0  # times the greatest usual age
MIN_AGES = 5  # past ages that say what is usual


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessLimits:
    """What is worth an alert."""

    volume_ratio: float = 1.6
    """Times more or fewer rows than usual."""
    model_age: float = 60.0
    """Days since the release's newest training data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessEvidence(Record):
    """What is known about a partition's supply."""

    n_rows: int
    """Rows of the partition."""
    past_rows: tuple[int, ...] = ()
    """Rows of the newest partitions before it, the newest first."""
    peer_rows: tuple[int, ...] = ()
    """Those of the same weekday (or hour of the week) among them, the newest first."""
    missing: tuple[str, ...] = ()
    """Partitions before it that were due and are not published."""
    ages: Mapping[str, float] = field(default_factory=dict)
    """Age in days of ``model``, ``data`` and ``labels``, as far as it is known."""
    past_ages: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The same of past partitions."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Type of each column of the features query."""
    columns_before: Mapping[str, str] | None = None
    """The same of the partition before; None if it is not known."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Digest or version of what made the partition: ``code``, ``packages``, ``query``."""
    versions_before: Mapping[str, str] | None = None
    """The same of the partition before; None if it is not known."""


def examine_freshness(
    evidence: FreshnessEvidence, limits: FreshnessLimits
) -> tuple[tuple[MetricValue, ...], tuple[Alert, ...]]:
    """Return figures and findings about a partition's supply.

    Parameters
    ----------
    evidence : FreshnessEvidence
        What is known.
    limits : FreshnessLimits
        What is worth an alert.

    Returns
    -------
    tuple of MetricValue
        ``n_rows``, ``n_rows_usual`` and ``n_rows_ratio`` (where the past says what is usual), ``n_missing``, and
        ``age_days`` with ``slice`` ``of=model``, ``of=data`` and ``of=labels``.
    tuple of Alert
        Rules ``volume``, ``missing``, ``age:<what>``, ``schema`` and ``dependencies``.

    Examples
    --------
    >>> half = FreshnessEvidence(n_rows=450, past_rows=(900,) * 14, peer_rows=(900,) * 4)
    >>> [alert.rule for alert in examine_freshness(half, FreshnessLimits())[1]]
    ['volume']
    """
    usual = usual_rows(evidence.peer_rows, evidence.past_rows)
    metrics = [
        MetricValue(name="n_rows", value=float(evidence.n_rows), n=evidence.n_rows),
        MetricValue(name="n_missing", value=float(len(evidence.missing))),
        *(MetricValue(name="age_days", value=age, slice=f"of={what}") for what, age in evidence.ages.items()),
    ]
    if usual is not None:
        metrics += [
            MetricValue(name="n_rows_usual", value=usual[0], n=evidence.n_rows),
            MetricValue(name="n_rows_ratio", value=evidence.n_rows / usual[0], n=evidence.n_rows),
        ]
    findings = [
        _volume(evidence, usual, limits),
        missing_alert(evidence.missing) if evidence.missing else None,
        *(_age(what, age, evidence.past_ages.get(what, ()), limits) for what, age in evidence.ages.items()),
        _schema(evidence),
        _dependencies(evidence),
    ]
    return tuple(metrics), tuple(finding for finding in findings if finding is not None)


def missing_alert(keys: Sequence[str]) -> Alert:
    """Return the alert about partitions that were due and are not published."""
    names = f"{', '.join(keys[:5])}{' and others' if len(keys) > 5 else ''}"
    return Alert(
        rule="missing",
        severity=Severity.FAIL,
        message=f"Nothing is published for {names}, which was due. See why the predict chain failed, and run it again.",
        value=float(len(keys)),
        threshold=0.0,
    )


def usual_rows(peers: Sequence[int], past: Sequence[int]) -> tuple[float, float] | None:
    """Return how many rows a partition usually has, and by which factor that usually varies.

    Parameters
    ----------
    peers : sequence of int
        Rows of past partitions of the same kind, such as the same weekday, the newest first.
    past : sequence of int
        Rows of all past partitions, which stand in where there are fewer than 4 peers.

    Returns
    -------
    (float, float) or None
        Median of the newest eight peers, and a factor that past counts rarely lay off it; None without enough of them.

    Examples
    --------
    >>> usual, factor = usual_rows([900, 910, 890, 900], [])
    >>> usual, round(factor, 2)
    (900.0, 1.13)
    """
    counts = [count for count in (peers[:8] if len(peers) >= MIN_PEERS else past[:N_RECENT]) if count > 0]
    if len(counts) < MIN_PEERS:
        return None
    usual = float(median(counts))
    logs = [math.log(count / usual) for count in counts]
    spread = 1.4826 * median(abs(value) for value in logs)  # of a normal distribution it is the standard deviation
    return usual, math.exp(CHANCE * (spread + 1 / math.sqrt(usual)))


def _volume(evidence: FreshnessEvidence, usual: tuple[float, float] | None, limits: FreshnessLimits) -> Alert | None:
    if usual is None:
        return None
    expected, factor = usual
    limit = max(limits.volume_ratio, factor)
    ratio = evidence.n_rows / expected
    if 1 / limit <= ratio <= limit:
        return None
    what = "fewer" if ratio < 1 else "more"
    return Alert(
        rule="volume",
        severity=Severity.WARN,
        message=(
            f"The partition has {evidence.n_rows:,} rows, {what} than the {expected:,.0f} of its like: {ratio:.2f} times "
            f"as many, where {1 / limit:.2f} to {limit:.2f} is allowed. Was the source loaded to the end, and once?"
        ),
        value=ratio,
        threshold=limit if ratio > 1 else 1 / limit,
    )


def _age(what: str, age: float, past: Sequence[float], limits: FreshnessLimits) -> Alert | None:
    if what == "model":
        threshold = limits.model_age
    elif len(past) < MIN_AGES:
        return None
    else:
        # A label that is some hours older than ever is no news; a whole day more than is usual is.
        threshold = max(AGE_MARGIN * max(past), max(past) + 0.5)
    if math.isfinite(age) and age <= threshold:
        return None
    verb = "is" if what == "model" else "are"
    known = f"{age:.1f} days old" if math.isfinite(age) else "not there at all"
    step = "Train, or see why no challenger is accepted." if what == "model" else "Ask their source."
    return Alert(
        rule=f"age:{what}",
        severity=Severity.WARN,
        message=f"The newest known {what} {verb} {known}; {threshold:.1f} days are allowed. {step}",
        value=age,
        threshold=threshold,
    )


def _schema(evidence: FreshnessEvidence) -> Alert | None:
    before, now = evidence.columns_before, evidence.columns
    if before is None:
        return None
    changes = [f"{name} is gone" for name in sorted(before.keys() - now.keys())]
    changes += [f"{name} is new ({now[name]})" for name in sorted(now.keys() - before.keys())]
    changes += [
        f"{name} was {before[name]} and is {now[name]}"
        for name in sorted(before.keys() & now.keys())
        if before[name] != now[name]
    ]
    return _changed("schema", "The features query gives other columns than for the partition before", changes)


def _dependencies(evidence: FreshnessEvidence) -> Alert | None:
    before = evidence.versions_before
    if before is None:
        return None
    changes = [
        f"{name} {before.get(name, 'unknown'):.20} became {version:.20}"
        for name, version in sorted(evidence.versions.items())
        if before.get(name) != version
    ]
    return _changed("dependencies", "What made the partition differs from the partition before", changes)


def _changed(rule: str, what: str, changes: Sequence[str]) -> Alert | None:
    if not changes:
        return None
    named = "; ".join(changes[:8]) + ("; and others" if len(changes) > 8 else "")
    return Alert(
        rule=rule,
        severity=Severity.WARN,
        message=f"{what}: {named}. If it was not meant, find out who did it.",
        value=float(len(changes)),
        threshold=0.0,
    )
