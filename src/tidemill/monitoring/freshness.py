"""Whether a partition is complete, on time, and from the same columns, code and packages as the previous one.

Figures and findings from evidence of the ledger and the snapshots; no I/O. The usual values are learned from the
model's past partitions: the rows of the same weekday, the age of labels at that hour.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tidemill.records import Alert, MetricValue, Record, Severity

__all__ = ["FreshnessEvidence", "FreshnessLimits", "examine_freshness", "examine_volume", "missing_alert", "usual_rows"]

MIN_PEERS = 4  # partitions of the same weekday; with fewer, all of the newest partitions are used
N_RECENT = 28  # newest partitions that define the usual rows
CHANCE = 3.0  # standard deviations that a count, or its usual deviation, may be off
AGE_MARGIN = 2.0  # times the greatest usual age
MIN_AGES = 5  # past ages that define the usual age


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessLimits:
    """Limits beyond which an alert is raised."""

    volume_ratio: float = 1.6
    """Maximum factor between the rows and the usual rows, either way."""
    model_age: float = 60.0
    """Maximum days since the release's newest training data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessEvidence(Record):
    """Evidence about a partition's data, its sources and its code."""

    n_rows: int
    """Rows of the partition."""
    past_rows: tuple[int, ...] = ()
    """Rows of the newest preceding partitions, newest first."""
    peer_rows: tuple[int, ...] = ()
    """Those of the same weekday (or hour of the week), newest first."""
    missing: tuple[str, ...] = ()
    """Preceding partitions that were due and are not published."""
    ages: Mapping[str, float] = field(default_factory=dict)
    """Age in days of ``model``, ``data`` and ``labels``, where known."""
    past_ages: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Ages of past partitions."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Type of each column of the features query."""
    columns_before: Mapping[str, str] | None = None
    """Column types of the previous partition; None if unknown."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Digest or version of the partition's ``code``, ``packages`` and ``query``."""
    versions_before: Mapping[str, str] | None = None
    """The same of the partition before; None if it is not known."""


def examine_freshness(
    evidence: FreshnessEvidence, limits: FreshnessLimits
) -> tuple[tuple[MetricValue, ...], tuple[Alert, ...]]:
    """Return figures and alerts about a partition's completeness, age and origin.

    Returns
    -------
    tuple of MetricValue
        ``n_rows``, ``n_rows_usual`` and ``n_rows_ratio`` (with enough past partitions), ``n_missing``, and ``age_days``
        with ``slice`` ``of=model``, ``of=data`` and ``of=labels``.
    tuple of Alert
        Rules ``volume``, ``missing``, ``age:<what>``, ``schema`` and ``dependencies``.

    Examples
    --------
    >>> half = FreshnessEvidence(n_rows=450, past_rows=(900,) * 14, peer_rows=(900,) * 4)
    >>> [alert.rule for alert in examine_freshness(half, FreshnessLimits())[1]]
    ['volume']
    """
    metrics = [
        MetricValue(name="n_missing", value=float(len(evidence.missing))),
        *(MetricValue(name="age_days", value=age, slice=f"of={what}") for what, age in evidence.ages.items()),
    ]
    rows, volume = examine_volume(
        evidence.n_rows, evidence.peer_rows, evidence.past_rows, volume_ratio=limits.volume_ratio
    )
    findings = [
        volume,
        missing_alert(evidence.missing) if evidence.missing else None,
        *(_age(what, age, evidence.past_ages.get(what, ()), limits) for what, age in evidence.ages.items()),
        _schema(evidence),
        _dependencies(evidence),
    ]
    return (*rows, *metrics), tuple(finding for finding in findings if finding is not None)


def examine_volume(
    n_rows: int, peers: Sequence[int], past: Sequence[int], *, volume_ratio: float
) -> tuple[tuple[MetricValue, ...], Alert | None]:
    """Return the figures of a partition's number of rows, and the alert if it is unusual.

    Parameters
    ----------
    peers, past : sequence of int
        As for `usual_rows`.
    volume_ratio : float
        Maximum factor between the rows and the usual rows, either way.

    Examples
    --------
    >>> examine_volume(90, [900] * 4, [], volume_ratio=1.6)[1].rule
    'volume'
    """
    figures = [MetricValue(name="n_rows", value=float(n_rows), n=n_rows)]
    usual = usual_rows(peers, past)
    if usual is None:
        return tuple(figures), None
    figures += [
        MetricValue(name="n_rows_usual", value=usual[0], n=n_rows),
        MetricValue(name="n_rows_ratio", value=n_rows / usual[0], n=n_rows),
    ]
    return tuple(figures), _volume(n_rows, usual, volume_ratio)


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
    """Return the usual rows of a partition, and the factor by which they usually vary.

    Parameters
    ----------
    peers : sequence of int
        Rows of past partitions of the same kind, such as the same weekday, newest first.
    past : sequence of int
        Rows of all past partitions, used if there are fewer than 4 peers.

    Returns
    -------
    (float, float) or None
        Median of the newest eight peers, and the factor from it that past counts rarely exceeded; None with too few.

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
    spread = 1.4826 * median(abs(value) for value in logs)  # the standard deviation for a normal distribution
    return usual, math.exp(CHANCE * (spread + 1 / math.sqrt(usual)))


def _volume(n_rows: int, usual: tuple[float, float], volume_ratio: float) -> Alert | None:
    expected, factor = usual
    limit = max(volume_ratio, factor)
    ratio = n_rows / expected
    if 1 / limit <= ratio <= limit:
        return None
    what = "fewer" if ratio < 1 else "more"
    return Alert(
        rule="volume",
        severity=Severity.WARN,
        message=(
            f"The partition has {n_rows:,} rows, {what} than the {expected:,.0f} usual: {ratio:.2f} times "
            f"as many, where {1 / limit:.2f} to {limit:.2f} is allowed. Was the source loaded completely, and only once?"
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
        # Labels a few hours older than ever are normal; a whole day older than usual is not.
        threshold = max(AGE_MARGIN * max(past), max(past) + 0.5)
    if math.isfinite(age) and age <= threshold:
        return None
    verb = "is" if what == "model" else "are"
    known = f"{age:.1f} days old" if math.isfinite(age) else "missing"
    step = "Train, or see why no challenger is accepted." if what == "model" else "Check their source."
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
    return _changed("schema", "The features query returns other columns than for the previous partition", changes)


def _dependencies(evidence: FreshnessEvidence) -> Alert | None:
    before = evidence.versions_before
    if before is None:
        return None
    changes = [
        f"{name} {before.get(name, 'unknown'):.20} became {version:.20}"
        for name, version in sorted(evidence.versions.items())
        if before.get(name) != version
    ]
    return _changed("dependencies", "Code, packages or query differ from those of the previous partition", changes)


def _changed(rule: str, what: str, changes: Sequence[str]) -> Alert | None:
    if not changes:
        return None
    named = "; ".join(changes[:8]) + ("; and others" if len(changes) > 8 else "")
    return Alert(
        rule=rule,
        severity=Severity.WARN,
        message=f"{what}: {named}. If this was not intended, find out who changed it.",
        value=float(len(changes)),
        threshold=0.0,
    )
