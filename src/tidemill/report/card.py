"""The model card: a release, its evidence and its limits.

Renders one record as Markdown for MLflow and the bundle, or as HTML with the same content. Nothing here decides
or measures. This module must not import Altair.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from markupsafe import Markup

from tidemill.records import BundleRef, Decision, EvaluationReport, MetricValue, Rehearsal, SnapshotRef, SplitRef
from tidemill.report.html import Answer, Tile, count, environment, figure, interval, page
from tidemill.report.search import search_sentences, weak_slices_lead

__all__ = ["CardFacts", "card_page", "escape", "model_card", "unseen_months"]

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#!|~$])")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """The content of a model card."""

    model: str
    """Name of the model, e.g. ``flight_delays``."""
    description: str
    """Question that it answers."""
    owner: str
    """Person or team responsible, e.g. ``data-platform@example.com``."""
    purpose: str
    """Intended and excluded uses of its predictions."""
    task: str
    """``binary``, ``multiclass`` or ``regression``."""
    release_id: int | None
    """Row in ``tidemill.release``, or None before it is registered."""
    snapshot: SnapshotRef
    """Training data."""
    split: SplitRef
    """Train, validation and test set."""
    bundle: BundleRef
    """The fitted model."""
    evaluation: EvaluationReport
    """Evidence on the test set."""
    decision: Decision
    """The gate's decision."""
    approver: str
    """Who or what approved it, e.g. ``automatic gate``."""
    code_version: str
    """Version of the code that trained it."""
    features: tuple[str, ...] = ()
    """Columns used by the model."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Chosen settings of the estimator, as text."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the relevant packages, e.g. ``{"xgboost": "3.2.0"}``."""
    limits: tuple[str, ...] = ()
    """Known limits besides those that follow from the dates; one sentence each."""
    test_score: Mapping[str, float] = field(default_factory=dict)
    """The model's ML Test Score once the release was registered: points of each section."""
    staleness: tuple[MetricValue, ...] = ()
    """Loss of the model's earlier releases by age, from `tidemill.metrics.staleness.staleness_curve`."""
    max_age: int | None = None
    """Suggested ``retrain.max_age`` in days, from `tidemill.metrics.staleness.suggested_age`."""
    reproduce: tuple[str, ...] = ()
    """Commands that reproduce the bundle."""


def model_card(facts: CardFacts) -> str:
    """Return the card as Markdown, with all untrusted text escaped."""
    text = environment().get_template("card.md").render(card=facts, md=escape, verbatim=_verbatim, **_derived(facts))
    return text.encode("utf-8", "replace").decode("utf-8")


def card_page(facts: CardFacts) -> str:
    """Return the card as one self-contained HTML page."""
    release = "not registered" if facts.release_id is None else f"release {facts.release_id}"
    answer = Answer(
        question=facts.description or "What is this model?",
        answer=f"{facts.model}, {release}: {facts.bundle.estimator}, {_word(facts)}.",
        tone="good" if facts.decision.accepted else "warn",
        reasons=facts.decision.reasons,
    )
    whole = [m for m in facts.evaluation.metrics if m.slice is None]
    return page(
        "card.html",
        kind="Model card",
        model=facts.model,
        partition=facts.snapshot.partition,
        digest_of="bundle",
        digest=facts.bundle.digest,
        answer=answer,
        tiles=[Tile(label=m.name, value=figure(m.value), note=interval(m)) for m in whole[:4]],
        card=facts,
        **_derived(facts),
    )


def unseen_months(start: datetime, end: datetime) -> tuple[str, ...]:
    """Return the months of the year outside an interval.

    Parameters
    ----------
    start, end : datetime
        A half-open interval.

    Examples
    --------
    >>> from datetime import UTC
    >>> unseen_months(datetime(2013, 4, 2, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
    ('January', 'February', 'March')
    """
    last = end - timedelta(microseconds=1)  # the interval is half-open
    n_months = (last.year - start.year) * 12 + last.month - start.month + 1
    seen = {(start.month - 1 + offset) % 12 for offset in range(min(n_months, 12))}
    return tuple(name for position, name in enumerate(_MONTHS) if position not in seen)


def _derived(facts: CardFacts) -> dict[str, object]:
    metrics = facts.evaluation.metrics
    return {
        "word": _word(facts),
        "whole": [m for m in metrics if m.slice is None],
        "slices": [m for m in metrics if m.slice is not None],
        "weak_slices_lead": weak_slices_lead(facts.evaluation.slice_search),
        "limits": _limits(facts),
        "search": search_sentences(facts.bundle.search, facts.evaluation.search_gain),
        "champion": _against_champion(facts.evaluation),
        "rehearsal": _rehearsal(facts.evaluation.rehearsal),
        "test_score": _test_score(facts.test_score),
    }


def _against_champion(evaluation: EvaluationReport) -> list[MetricValue]:
    found = (evaluation.champion_difference, evaluation.churn, evaluation.mean_change)
    name = f"release {evaluation.champion_release}"
    return [replace(item, slice=name) for item in found if item is not None]


def _rehearsal(rehearsal: Rehearsal | None) -> str:
    if rehearsal is None:
        return ""
    if rehearsal.problem is not None:
        return f"In a clean process: {rehearsal.problem}"
    return (
        f"In a clean process: {count(rehearsal.n_rows)} rows scored, {count(rehearsal.n_different)} of them differently, "
        f"{figure(rehearsal.seconds_per_million)} processor s per million rows, "
        f"{rehearsal.peak_rss_bytes / 2**20:,.0f} MiB at most."
    )


def _test_score(points: Mapping[str, float]) -> str:
    if not points:
        return "not computed"
    sections = ", ".join(f"{name} {value:g}" for name, value in points.items())
    return f"{min(points.values()):g} of 7 when the release was registered: {sections}"


def _word(facts: CardFacts) -> str:
    return {"accept": "accepted", "reject": "refused"}.get(facts.decision.verdict, "not decided: too little evidence")


def _limits(facts: CardFacts) -> tuple[str, ...]:
    """Return the limits that follow from the facts, then the stated ones."""
    found = []
    by_key = facts.split.by_key
    if by_key:
        found.append("Rows have no time: nobody knows how it fares on later rows, nor what changed within its data.")
    unseen = () if by_key else unseen_months(facts.split.train_start, facts.split.validation_start)
    seen = [month for month in _MONTHS if month not in unseen]
    if len(unseen) > len(seen):
        found.append(f"Seasons unseen: it was fitted on rows from {_listed(seen)} only.")
    elif unseen:
        found.append(f"Seasons unseen: it was fitted on no row from {_listed(unseen)}.")
    left_out = facts.split.n_unlabelled + facts.split.n_immature
    if left_out:
        found.append(f"{count(left_out)} rows without a mature label were left out, and may differ from the others.")
    if facts.evaluation.champion_saw_test:
        found.append("The champion was trained on some of the test rows: the comparison with it favours the champion.")
    undefined = [_named(m) for m in facts.evaluation.metrics if figure(m.value) == "not defined"]
    if undefined:
        found.append(f"Not defined on the test set: {', '.join(undefined)}.")
    return (*found, *facts.limits)


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _named(metric: MetricValue) -> str:
    return f"{metric.name} for {metric.slice}" if metric.slice else metric.name


def escape(value: object) -> Markup:
    r"""Escape text for Markdown: one line, no markup, no table cell broken, no HTML.

    Examples
    --------
    >>> print(escape("a | *b*"))
    a \| \*b\*
    """
    line = _SPACES.sub(" ", str(value)).strip()
    # HTML first: escaping Markdown afterwards breaks no entity.
    return Markup(_MARKDOWN.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")))


def _verbatim(command: str) -> Markup:
    """Return one line for an indented code block, in which Markdown and HTML are inert."""
    return Markup(_SPACES.sub(" ", command).strip())
