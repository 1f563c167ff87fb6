"""The daily page of a model: whether it is fine, and the evidence.

Each sentence, tile and mark is computed here from the figures on the page, so that they cannot disagree. This module
must not import Altair.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tidemill.records import Alert, MetricValue, OpenAlert, Severity, percent
from tidemill.report.html import Answer, Tile, count, figure, interval, page, plural
from tidemill.report.values import DriftRow, LabelRow, SliceRow, State, StepCompute

__all__ = ["AlertsView", "LabelsView", "MonitorView", "QualityView", "drifted_features", "monitor_page"]

MOST_REASONS = 5  # alerts whose messages are shown at the top
MOST_NAMED = 5  # columns listed in a sentence
_RANK = {Severity.FAIL: 0, Severity.WARN: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsView:
    """Alerts as of the partition."""

    opened: Sequence[OpenAlert] = ()
    """Open alerts, in any order."""
    found: Sequence[Alert] = ()
    """Findings in this partition that have not opened an alert yet."""
    runbook: str = ""
    """Address of the runbook, without an anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityView:
    """Realised quality of matured partitions."""

    metric: str = ""
    """The acceptance metric."""
    floor: float | None = None
    """Its floor, or the ceiling of an error, for single partitions as in alerts; None without one."""
    greater_is_better: bool = True
    """False for errors and losses."""
    recent: MetricValue | None = None
    """The acceptance metric over the newest matured partitions, as in alerts."""
    realised: Mapping[str, Sequence[MetricValue]] = field(default_factory=dict)
    """Metrics by partition."""
    late: frozenset[str] = frozenset()
    """Partitions that lack labels usual at their age; marked, and excluded from comparisons."""
    slices: Sequence[SliceRow] = ()
    """The acceptance metric by declared slice, in any order."""
    gaps: Sequence[SliceRow] = ()
    """Gaps between groups of the audit columns, in the order shown."""
    is_estimated: bool = True
    """Whether quality is estimated before labels arrive; False for a regression."""

    @property
    def is_known(self) -> bool:
        """Whether any figure is defined."""
        return any(math.isfinite(value.value) for values in self.realised.values() for value in values)

    def is_beyond(self, value: MetricValue) -> bool:
        """Whether a figure of the acceptance metric is on the wrong side of the floor."""
        if self.floor is None or value.name.removesuffix("_recent") != self.metric:
            return False
        return value.value < self.floor if self.greater_is_better else value.value > self.floor


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsView:
    """How labels arrive."""

    rows: Sequence[LabelRow] = ()
    """The newest partitions, oldest first."""
    sentence: str = ""
    """Summary of the usual arrival."""
    picture: str = ""
    """Arrival chart as SVG text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorView:
    """The content of one partition's page."""

    model: str
    partition: str
    n_rows: int | None = None
    """Scored rows; 0 for an empty partition."""
    release_id: int | None = None
    bundle_digest: str = ""
    """Digest of the release's bundle."""
    alerts: AlertsView = AlertsView()
    """Open alerts and new findings."""
    drift: Sequence[DriftRow] = ()
    """Features and score, in any order."""
    quality: QualityView = QualityView()
    """Realised quality."""
    labels: LabelsView = LabelsView()
    """How labels arrive."""
    compute: Sequence[StepCompute] = ()
    """Cost of the steps in the partition's runs."""
    pictures: Sequence[str] = ()
    """SVG texts of size ``wide``: realised quality and drift by partition."""


def monitor_page(view: MonitorView) -> str:
    """Return the page that answers whether the model is fine."""
    alerts, quality = view.alerts, view.quality
    opened = sorted(alerts.opened, key=lambda item: (_RANK[item.alert.severity], item.alert.rule))
    return page(
        "monitor.html",
        kind="Monitoring",
        model=view.model,
        partition=view.partition,
        digest_of="bundle",
        digest=view.bundle_digest,
        answer=_answer(view, [item.alert for item in opened]),
        tiles=_tiles(view),
        opened=opened,
        found=sorted(alerts.found, key=lambda alert: (_RANK[alert.severity], alert.rule)),
        runbook=alerts.runbook,
        drift=sorted(view.drift, key=lambda row: (row.state.rank, -_or_least(row.value), row.feature)),
        drift_metrics=_names(metric for row in view.drift for metric in row.metrics),
        realised=sorted(quality.realised.items(), reverse=True),
        quality=quality,
        quality_metrics=_names(
            value for values in quality.realised.values() for value in values if value.name != "label_coverage"
        ),  # it has a column of its own
        slices=sorted(quality.slices, key=lambda row: row.recent.slice or ""),
        labels=view.labels.rows[::-1],
        arrival=view.labels.sentence,
        arrival_picture=view.labels.picture,
        compute=view.compute,
        pictures=view.pictures,
    )


def drifted_features(rows: Sequence[DriftRow]) -> tuple[int, int, float]:
    """Return the number of drifted features, of all features, and the share; NaN if a feature's drift is undefined.

    The share equals the figure ``drift_share`` of the ledger, which the model's page shows.
    """
    features = [row for row in rows if row.is_feature]
    n = sum(row.has_drifted for row in features)
    defined = bool(features) and all(math.isfinite(row.value) for row in features)
    return n, len(features), n / len(features) if defined else math.nan


def _answer(view: MonitorView, alerts: Sequence[Alert]) -> Answer:
    """Return the answer, which depends on open alerts; findings without an alert are listed and leave the model fine."""
    question = "Is my model fine?"
    n_fail = sum(alert.severity is Severity.FAIL for alert in alerts)
    n_warn = len(alerts) - n_fail
    messages = tuple(alert.message for alert in alerts[:MOST_REASONS])
    if n_fail:
        text = f"No: {n_fail} {plural('alert', n_fail)} of {view.model} {_needs(n_fail)} action today."
        return Answer(question=question, answer=text, tone="fail", reasons=messages)
    if n_warn:
        text = f"{view.model} works, but {n_warn} {plural('alert', n_warn)} {_needs(n_warn)} a look."
        return Answer(question=question, answer=text, tone="warn", reasons=messages)
    if view.n_rows == 0:
        reason = "The partition is published without rows. Alerts about its data stay as they were."
        text = f"Empty: {view.model} had nothing to score."
        return Answer(question=question, answer=text, tone="none", reasons=(reason,))
    if not view.quality.is_known and not any(math.isfinite(row.value) for row in view.drift):
        return Answer(question=question, answer="Not known: nothing could be measured.", tone="none")
    beyond = _beyond(view)
    text = f"Yes: {view.model} is fine." if not beyond else f"Yes: {view.model} has no open alert."
    said = (*beyond, *_within(view))
    return Answer(question=question, answer=text, tone="good", reasons=said)


def _beyond(view: MonitorView) -> list[str]:
    """Return a sentence for each finding beyond its threshold that is not an alert yet."""
    said = []
    n_drifted, n_features, share = drifted_features(view.drift)
    if n_drifted:
        of = f"{n_drifted} of {n_features} features" + (f" ({percent(share)})" if math.isfinite(share) else "")
        said.append(f"{of} {_are(n_drifted)} beyond {_their(n_drifted)} drift threshold, which is not an alert yet.")
    others = [
        row.feature for row in view.drift if row.state is State.BEYOND and not (row.is_feature and row.has_drifted)
    ]
    others += [step.step for step in view.compute if step.state is State.BEYOND]
    if others:
        said.append(f"{_listed(others)} crossed a threshold in this partition, which is not an alert yet.")
    recent, quality = view.quality.recent, view.quality
    if recent is not None and quality.is_beyond(recent):
        side = "below its floor" if quality.greater_is_better else "above its ceiling"
        said.append(
            f"Realised {quality.metric} of the newest matured partitions is {figure(recent.value)}, {side} of "
            f"{figure(quality.floor)}, which is not an alert yet."
        )
    if view.alerts.found and not said:
        said.append(
            f"{_listed([alert.rule for alert in view.alerts.found])} crossed a threshold, which is not an alert yet."
        )
    return said


def _within(view: MonitorView) -> list[str]:
    """Return the evidence for a good answer, and what is missing."""
    said = []
    undefined = [row.feature for row in view.drift if not math.isfinite(row.value)]
    if len(undefined) < len(view.drift) and not any(row.has_drifted for row in view.drift):
        said.append("No column is beyond its drift threshold.")
    if undefined or not view.drift:
        said.append(f"Drift could not be measured for {_listed(undefined) or 'any column'}.")
    quality, recent = view.quality, view.quality.recent
    if not quality.is_known:
        said.append("The quality is not known before the labels arrive.")
    elif recent is not None and math.isfinite(recent.value) and not quality.is_beyond(recent):
        limit = "floor" if quality.greater_is_better else "ceiling"
        against = "no floor is set" if quality.floor is None else f"{limit} {figure(quality.floor)}"
        said.append(
            f"Realised {quality.metric} of the newest matured partitions is {figure(recent.value)} ({against})."
        )
    return said


def _tiles(view: MonitorView) -> list[Tile]:
    tiles = [Tile(label="Open alerts", value=count(len(view.alerts.opened)))]
    n_drifted, n_features, share = drifted_features(view.drift)
    if n_features:
        worst = max((row for row in view.drift if row.is_feature), key=lambda row: _or_least(row.value))
        note = f"{percent(share)}; furthest: {worst.feature}" if math.isfinite(share) else "one could not be measured"
        tiles.append(Tile(label="Drifted features", value=f"{n_drifted} of {n_features}", note=note))
    recent = view.quality.recent
    if recent is not None:
        tiles.append(
            Tile(
                label=f"Realised {view.quality.metric}",
                value=figure(recent.value),
                note=f"newest matured partitions{'; ' if interval(recent) else ''}{interval(recent)}",
            )
        )
    if view.n_rows is not None:
        tiles.append(Tile(label="Rows", value=count(view.n_rows)))
    if view.release_id is not None:
        tiles.append(Tile(label="Release", value=str(view.release_id)))
    return tiles


def _or_least(value: float) -> float:
    """Return a figure to sort by; undefined figures sort last."""
    return value if math.isfinite(value) else -math.inf


def _names(metrics: Iterable[MetricValue]) -> list[str]:
    return list(dict.fromkeys(metric.name for metric in metrics))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (" and others" if len(names) > MOST_NAMED else "")


def _needs(n: int) -> str:
    return "needs" if n == 1 else "need"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _their(n: int) -> str:
    return "its" if n == 1 else "their"
