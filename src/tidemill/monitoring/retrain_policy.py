"""Whether to train a challenger now, with reasons.

A pure function of evidence and policy. It decides only on training; the gate decides whether the challenger serves. Each
criterion yields a sentence with its numbers, for a no as for a yes, and so does missing evidence.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import mean, stdev
from typing import Self

from tidemill.metrics.student import half_width, student_quantile
from tidemill.records import Decision, MetricValue, Record, Verdict, percent, significant

__all__ = ["PartitionFigure", "RetrainEvidence", "RetrainPolicy", "decide_retraining"]

MOST_DOUBLED = 3  # maximum doublings of the cooldown: eight weeks instead of one
BUDGET_PERIOD = timedelta(days=30)
SHARE_OF_LEAD = 0.15  # of the lead over ``prior``: 0.03 for a ROC AUC of 0.7
SHARE_OF_FIGURE = 0.03  # of the figure at acceptance, if the lead is unknown
N_TEST = 14  # test days assumed for older records, which lack the count: the default of train.test
RECORD, LEAST_RECORD = 30, 5  # matured partitions by which estimates are verified


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFigure(Record):
    """One figure of one partition."""

    partition: str
    """Key of the partition, e.g. ``2013-07-04``."""
    value: float
    """The figure; NaN if it could not be computed."""
    label_coverage: float | None = None
    """Share of known labels, 0 to 1; None where no label is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainPolicy:
    """When to train a new challenger."""

    cooldown: timedelta = timedelta(days=7)
    """Minimum time between two trainings."""
    max_age: timedelta = timedelta(days=30)
    """Age of the champion's newest training row from which it is always retrained."""
    drift_share: float = 0.3
    """Share of the model's importance in drifted features from which a partition has drifted."""
    n_drifted: int = 3
    """Number of drifted partitions among the newest ``n_recent`` that is a reason to retrain."""
    n_recent: int = 5
    """Newest partitions examined for drift, and newest matured ones for quality."""
    quality_drop: float | None = None
    """Tolerated deterioration of the acceptance metric; None for 15 % of the champion's lead over ``prior`` at
    acceptance, or for 3 % of the figure at acceptance if that lead is unknown."""
    greater_is_better: bool = True
    """False for errors and losses, where lower is better."""
    relative: bool = False
    """True if ``quality_drop`` is a share of the figure at acceptance, for errors in the label's unit."""
    label_coverage: float = 0.9
    """Minimum share of known labels for a partition's quality to count."""
    budget: int = 8
    """Maximum trainings in 30 days."""
    cost: float | None = None
    """Price of a training; None for none."""
    worth: float | None = None
    """Worth of one unit of the acceptance metric for one day, in the unit of ``cost``."""
    min_labels: int = 0
    """Minimum labels that have matured since the newest training."""

    def __post_init__(self) -> None:
        if not 1 <= self.n_drifted <= self.n_recent:
            raise ValueError(f"persistence '{self.n_drifted} of {self.n_recent}' cannot be met: write such as '3 of 5'")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainEvidence:
    """What is known about a model at one instant."""

    as_of: datetime
    """Instant of the decision; in a replay the replayed one, not the clock's."""
    trainings: tuple[datetime, ...] = ()
    """Instants of challenger trainings, accepted or not, oldest first; on the same clock as ``as_of``."""
    n_refused: int = 0
    """Consecutive newest challengers that the gate did not accept."""
    trained_until: datetime | None = None
    """First instant after the champion's newest training row; None without a champion."""
    drift_weighted: tuple[PartitionFigure, ...] = ()
    """``drift_weighted`` of past partitions under this champion, oldest first."""
    quality: tuple[PartitionFigure, ...] = ()
    """Realised acceptance metric of matured partitions under this champion, oldest first; of hourly ones, by day."""
    estimates: tuple[PartitionFigure, ...] = ()
    """Acceptance metric estimated before labels, of partitions under this champion, oldest first."""
    estimate_errors: tuple[PartitionFigure, ...] = ()
    """Realised minus estimated metric of its matured partitions, oldest first."""
    acceptance: MetricValue | None = None
    """The same metric at acceptance, as the mean over the test set's days. The area under the curve of a day is usually
    lower than that of many days together, and the difference would look like decay."""
    lead: float | None = None
    """Lead of the champion over the baseline ``prior`` at acceptance, in that metric; None if unknown."""
    loss_per_day: MetricValue | None = None
    """Loss of the acceptance metric per day of age, from `tidemill.metrics.staleness.loss_per_day`; None if unknown."""
    n_new_labels: int = 0
    """Labels of published partitions that have matured since the newest training."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """Result of one criterion."""

    sentence: str
    speaks_for: bool = False
    """Whether it is a reason to retrain."""
    missing: bool = False
    """Whether the evidence for it is missing."""

    def __add__(self, more: str) -> Self:
        """Append to the sentence."""
        return replace(self, sentence=self.sentence + more)


def decide_retraining(evidence: RetrainEvidence, policy: RetrainPolicy) -> Decision:
    """Decide whether to train a challenger now.

    Yes if there is no champion, the champion is too old, waiting is expected to cost more than training, its features have
    drifted persistently, or its quality has fallen beyond tolerance. The fall is either realised and larger than chance
    explains, or estimated before labels if earlier estimates have been verified. Always no during the cooldown, beyond the
    budget, or with too few new labels. Each consecutive challenger that the gate refused doubles the cooldown, up to eight
    times its length, unless trainings have a price, which says how often they are worth it.

    Parameters
    ----------
    evidence : RetrainEvidence
        Evidence at the instant of the decision.

    Returns
    -------
    Decision
        ``accept`` to retrain, ``reject`` not to, ``not_enough_evidence`` (no retraining either) if there is no reason
        to retrain and evidence of both drift and quality is missing. The decisive reasons come first.

    Raises
    ------
    ValueError
        If an instant has no time zone.

    Examples
    --------
    >>> from datetime import UTC
    >>> decision = decide_retraining(RetrainEvidence(as_of=datetime(2013, 7, 1, 9, tzinfo=UTC)), RetrainPolicy())
    >>> decision.accepted, decision.reasons[0]
    (True, 'There is no champion yet.')
    """
    _require_zones(evidence)
    cooling, cooldown = _cooldown(evidence, policy)
    labels_wanting, labels = _new_labels(evidence, policy)
    weighed = [
        _age(evidence, policy),
        *_price(evidence, policy),
        _drift(evidence, policy),
        _quality(evidence, policy),
        _estimate(evidence, policy),
    ]
    if cooling:
        return _decision(Verdict.REJECT, [cooldown, *_decisive_first(weighed)])
    if labels_wanting:
        return _decision(Verdict.REJECT, [*labels, *_decisive_first(weighed), cooldown])
    if any(finding.speaks_for for finding in weighed):
        return _decision(Verdict.ACCEPT, [*_decisive_first(weighed), cooldown])
    blind = all(finding.missing for finding in weighed[-3:-1])
    return _decision(Verdict.NOT_ENOUGH_EVIDENCE if blind else Verdict.REJECT, [*weighed, cooldown])


def _require_zones(evidence: RetrainEvidence) -> None:
    instants = (evidence.as_of, evidence.trained_until, *evidence.trainings)
    if any(instant is not None and instant.tzinfo is None for instant in instants):
        raise ValueError("an instant of the evidence has no time zone: add one to every instant")


def _decisive_first(findings: Iterable[_Finding]) -> list[_Finding]:
    return sorted(findings, key=lambda finding: not finding.speaks_for)


def _decision(verdict: Verdict, findings: Iterable[_Finding]) -> Decision:
    return Decision(kind="retrain", verdict=verdict, reasons=tuple(finding.sentence for finding in findings))


def _cooldown(evidence: RetrainEvidence, policy: RetrainPolicy) -> tuple[bool, _Finding]:
    """Return whether the cooldown or the budget forbids another training, and the reason."""
    if not evidence.trainings:
        return False, _Finding("No earlier training is on record, so no cooldown applies.")
    since = evidence.as_of - max(evidence.trainings)
    if since < timedelta(0):
        return True, _Finding("A training as of a later instant is on record, so this decision concerns the past.")
    doubles = evidence.trained_until is not None and policy.cost is None
    doubled = min(evidence.n_refused, MOST_DOUBLED) if doubles else 0
    cooldown = policy.cooldown * 2**doubled
    why = (
        f", {2**doubled} times as long as usual, since the last {evidence.n_refused} challenger(s) were refused"
        * bool(doubled)
    )
    if since < cooldown:
        return True, _Finding(
            f"The last training was {_days(since)} ago, within the cooldown of {_days(cooldown)}{why}."
        )
    n_recent = sum(evidence.as_of - instant < BUDGET_PERIOD for instant in evidence.trainings)
    if n_recent >= policy.budget:
        return True, _Finding(f"{n_recent} trainings in 30 days are as many as the budget of {policy.budget} allows.")
    return False, _Finding(f"The last training was {_days(since)} ago, the cooldown of {_days(cooldown)} is over{why}.")


def _age(evidence: RetrainEvidence, policy: RetrainPolicy) -> _Finding:
    if evidence.trained_until is None:
        return _Finding("There is no champion yet.", speaks_for=True)
    age, most = evidence.as_of - evidence.trained_until, _days(policy.max_age)
    if age >= policy.max_age:
        return _Finding(f"The champion's data are {_days(age)} old; the limit is {most}.", speaks_for=True)
    return _Finding(f"The champion's data are {_days(age)} old (limit {most}).")


def _price(evidence: RetrainEvidence, policy: RetrainPolicy) -> Iterator[_Finding]:
    """Compare the loss that is expected since the newest training, because the champion has aged, with a training's price.

    With a loss in proportion to age, trainings cost least together with what waiting loses when each is due as soon as the
    loss since the one before has reached its price.
    """
    if policy.cost is None or policy.worth is None or evidence.trained_until is None:
        return
    if evidence.loss_per_day is None or not math.isfinite(evidence.loss_per_day.value):
        yield _Finding("The loss per day of age is unknown, so the price of waiting is, too.", missing=True)
        return
    first = max([evidence.trained_until, *evidence.trainings])
    then, now = ((at - evidence.trained_until) / timedelta(days=1) for at in (first, evidence.as_of))
    per_day = max(evidence.loss_per_day.value, 0.0)
    lost = policy.worth * per_day * (now**2 - then**2) / 2  # the integral over age
    yield _Finding(
        f"A day of age costs {significant(per_day)} of the metric, so waiting since the last training has cost "
        f"{significant(lost)}; a training costs {significant(policy.cost)}.",
        speaks_for=lost >= policy.cost,
    )


def _new_labels(evidence: RetrainEvidence, policy: RetrainPolicy) -> tuple[bool, list[_Finding]]:
    """Return whether too few labels have matured since the newest training, and the reason."""
    wanting = (
        evidence.trained_until is not None and bool(evidence.trainings) and evidence.n_new_labels < policy.min_labels
    )
    reason = (
        f"{evidence.n_new_labels} labels have matured since the last training; at least {policy.min_labels} are needed."
    )
    return wanting, [_Finding(reason)] if wanting else []


def _drift(evidence: RetrainEvidence, policy: RetrainPolicy) -> _Finding:
    recent = evidence.drift_weighted[-policy.n_recent :]
    if not recent:
        return _Finding("No partition has a drift figure yet.", missing=True)
    unknown = [figure.partition for figure in recent if math.isnan(figure.value)]
    drifted = [figure for figure in recent if figure.value >= policy.drift_share]
    worst = max(drifted, key=lambda figure: figure.value, default=None)
    sentence = (
        f"In {len(drifted)} of the last {len(recent)} partitions, features with at least {percent(policy.drift_share)} of "
        f"the model's importance drifted ({policy.n_drifted} of {policy.n_recent} are a reason to retrain)"
        + (f", most of all in {worst.partition} with {percent(worst.value)}" if worst else "")
        + (f"; unknown in {', '.join(unknown)}" if unknown else "")
        + "."
    )
    return _Finding(sentence, speaks_for=len(drifted) >= policy.n_drifted, missing=len(unknown) == len(recent))


def _quality(evidence: RetrainEvidence, policy: RetrainPolicy) -> _Finding:
    if evidence.acceptance is None or math.isnan(evidence.acceptance.value):
        return _Finding("The champion's quality at acceptance is unknown, so decay cannot be detected.", missing=True)
    usable = [figure for figure in evidence.quality if _counts(figure, policy)]
    recent = [figure.value for figure in usable[-policy.n_recent :]]
    left_out = len(evidence.quality) - len(usable)
    aside = f" {left_out} matured partition(s) lack labels or a figure and are not counted." if left_out else ""
    if len(recent) < 3:  # the spread of two values is meaningless
        return _Finding(
            f"Realised quality is known for {len(recent)} matured partition(s); at least 3 are needed.{aside}",
            missing=True,
        )
    return _compare(recent, evidence.acceptance, _tolerated(evidence, evidence.acceptance, policy), policy) + aside


def _estimate(evidence: RetrainEvidence, policy: RetrainPolicy) -> _Finding:
    """Compare the estimates of the newest partitions with acceptance, if enough estimates have been verified."""
    recent = [figure.value for figure in evidence.estimates[-policy.n_recent :] if not math.isnan(figure.value)]
    acceptance = evidence.acceptance
    if len(recent) < 3 or acceptance is None or math.isnan(acceptance.value):
        return _Finding("There are too few estimates of quality before labels.", missing=True)
    errors = [figure.value for figure in evidence.estimate_errors if not math.isnan(figure.value)][-RECORD:]
    if len(errors) < LEAST_RECORD:
        return _Finding(
            f"Quality is estimated at {mean(recent):.3f} before labels, but only {len(errors)} estimates have been "
            f"verified; at least {LEAST_RECORD} are needed.",
            missing=True,
        )
    bias, tolerated = mean(errors), _tolerated(evidence, acceptance, policy)
    off = mean(abs(error - bias) for error in errors)
    corrected = mean(recent) + bias
    fall = (acceptance.value - corrected) * (1 if policy.greater_is_better else -1)
    sentence = (
        f"Before labels, {_metric_of(acceptance)} of the last {len(recent)} partitions is estimated at {corrected:.3f} "
        f"(estimates were off by {off:.3f} on average over {len(errors)} partitions), at acceptance it was "
        f"{acceptance.value:.3f}"
    )
    if fall <= tolerated:
        return _Finding(f"{sentence}: within the tolerance of {significant(tolerated)}.")
    if fall <= tolerated + 2 * off / math.sqrt(len(recent)):
        return _Finding(
            f"{sentence}: beyond the tolerance of {significant(tolerated)}, but within the error of the estimates."
        )
    return _Finding(f"{sentence}: beyond the tolerance of {significant(tolerated)}.", speaks_for=True)


def _tolerated(evidence: RetrainEvidence, acceptance: MetricValue, policy: RetrainPolicy) -> float:
    if policy.quality_drop is not None:
        return policy.quality_drop * (abs(acceptance.value) if policy.relative else 1.0)
    if evidence.lead is not None and math.isfinite(evidence.lead):
        return SHARE_OF_LEAD * max(evidence.lead, 0.0)
    return SHARE_OF_FIGURE * abs(acceptance.value)


def _counts(figure: PartitionFigure, policy: RetrainPolicy) -> bool:
    covered = figure.label_coverage is None or figure.label_coverage >= policy.label_coverage
    return covered and not math.isnan(figure.value)


def _compare(recent: Sequence[float], acceptance: MetricValue, tolerated: float, policy: RetrainPolicy) -> _Finding:
    """Compare the mean of recent partitions with acceptance: the whole interval of the fall must exceed the tolerance."""
    fall = (acceptance.value - mean(recent)) * (1 if policy.greater_is_better else -1)
    margin = _margin_of_fall(recent, acceptance)
    way = "fall" if policy.greater_is_better else "rise"
    sentence = (
        f"Realised {_metric_of(acceptance)} over the last {len(recent)} matured partitions is {mean(recent):.3f}, at "
        f"acceptance it was {acceptance.value:.3f}: a {way} of {fall:.3f} ± {margin:.3f}"
    )
    if fall <= tolerated:
        return _Finding(f"{sentence}, within the tolerance of {significant(tolerated)}.")
    if fall - margin <= tolerated:
        return _Finding(
            f"{sentence}, beyond the tolerance of {significant(tolerated)}, but chance can explain the excess."
        )
    return _Finding(
        f"{sentence}, beyond the tolerance of {significant(tolerated)} by more than chance.", speaks_for=True
    )


def _margin_of_fall(recent: Sequence[float], acceptance: MetricValue) -> float:
    """Return half the 95 % interval of a difference of means: Student's two-sample interval if the test days are known.

    The spread of five days is too uncertain without the test days: in one of ten weeks chance makes it far too small.
    """
    n, half = len(recent), _half_width(acceptance)
    if half == 0 or acceptance.n_blocks == 1:
        return math.hypot(half_width(recent), half)
    n_test = acceptance.n_blocks or N_TEST
    of_test = half / student_quantile(n_test - 1) * math.sqrt(n_test)  # the spread of the test set's days
    freedom = n + n_test - 2
    pooled = math.sqrt(((n - 1) * stdev(recent) ** 2 + (n_test - 1) * of_test**2) / freedom)
    return student_quantile(freedom) * pooled * math.sqrt(1 / n + 1 / n_test)


def _metric_of(acceptance: MetricValue) -> str:
    return acceptance.name.removesuffix("_of_partitions")


def _half_width(figure: MetricValue) -> float:
    if figure.low is None or figure.high is None or not math.isfinite(figure.high - figure.low):
        return 0.0
    return (figure.high - figure.low) / 2


def _days(duration: timedelta) -> str:
    days = duration / timedelta(days=1)
    return f"{significant(days)} day{'' if days == 1 else 's'}"
