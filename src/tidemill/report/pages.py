"""The pages about data and candidates: profile, contract, evaluation.

Each function takes records and finished pictures, and returns one self-contained HTML page with the answer to its
question at the top. Nothing here draws, computes statistics or decides.
This module must not import Altair.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidemill.errors import ArtifactCorrupt
from tidemill.metrics.definitions import greater_is_better
from tidemill.records import CheckResult, Decision, EvaluationReport, MetricValue, Severity, SnapshotRef, Verdict
from tidemill.report.html import Answer, Link, Tile, count, figure, interval, page, plural, when
from tidemill.report.search import search_sentences, weak_slices_lead
from tidemill.report.values import ColumnProfile

__all__ = ["contract_page", "evaluation_page", "profile_page", "read_pictures"]

_RANK = {Severity.FAIL: 0, Severity.QUARANTINE: 1, Severity.WARN: 2, None: 3}


def read_pictures(folder: Path) -> list[str]:
    """Return the pictures of a stored evaluation as SVG texts, sorted by name.

    Raises
    ------
    ArtifactCorrupt
        If one is not text.
    """
    try:
        return [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.svg"))]
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise ArtifactCorrupt(
            f"A picture of evaluation {folder.name} cannot be shown: {error}.", "Do not use it; evaluate it again."
        ) from error


def profile_page(
    snapshot: SnapshotRef,
    columns: Sequence[ColumnProfile],
    findings: Sequence[str],
    *,
    label_facts: Mapping[str, str] | None = None,
    pictures: Sequence[str] = (),
) -> str:
    """Return the profile page of a snapshot with the findings that need attention.

    Parameters
    ----------
    columns : sequence of ColumnProfile
        In any order.
    findings : sequence of str
        Findings, one sentence each, most important first.
    label_facts : mapping of str to str, optional
        Figures about the labels by name, e.g. ``{"Positive labels": "23.5 %"}``.
    pictures : sequence of str, default ()
        SVG texts, e.g. the correlation with the label and its rate over time.
    """
    n = len(findings)
    what = f"{n} {plural('thing', n)} to look at in" if n else "Nothing unusual in"
    answer = Answer(
        question="What is in the data?",
        answer=f"{what} {count(snapshot.n_rows)} rows of {len(columns)} columns.",
        tone="warn" if n else "good",
        reasons=tuple(findings),
    )
    tiles = [
        Tile(label="Rows", value=count(snapshot.n_rows)),
        Tile(label="From", value=f"{snapshot.start:%Y-%m-%d}", note=when(snapshot.start)),
        Tile(label="Until", value=f"{snapshot.end:%Y-%m-%d}", note=f"first instant after: {when(snapshot.end)}"),
        Tile(label="Known as of", value=f"{snapshot.cutoff:%Y-%m-%d}", note=when(snapshot.cutoff)),
    ]
    tiles += [Tile(label=name, value=value) for name, value in (label_facts or {}).items()]
    ordered = sorted(columns, key=lambda c: (-_rounded(c.null_share), -abs(_or_zero(c.label_correlation)), c.name))
    return page(
        "profile.html",
        kind="Profile",
        model=snapshot.model,
        partition=snapshot.partition,
        digest=snapshot.digest,
        answer=answer,
        tiles=tiles,
        snapshot=snapshot,
        columns=ordered,
        pictures=pictures,
    )


def contract_page(snapshot: SnapshotRef, results: Sequence[CheckResult]) -> str:
    """Return the page about the data contract.

    Parameters
    ----------
    results : sequence of CheckResult
        One per expectation, in any order.
    """
    ordered = sorted(results, key=lambda r: (r.success, _RANK[r.severity], -r.n_unexpected))
    broken = [r for r in ordered if not r.success]
    failed, warned = (sum(r.severity is wanted for r in broken) for wanted in (Severity.FAIL, Severity.WARN))
    tiles = [
        Tile(label="Kept", value=count(len(results) - len(broken))),
        Tile(label="Broken, stops the run", value=count(failed)),
        Tile(label="Broken, recorded", value=count(warned)),
        Tile(label="Rows checked", value=count(snapshot.n_rows)),
        Tile(label="Rows set aside", value=count(snapshot.n_set_aside)),
    ]
    return page(
        "contract.html",
        kind="Contract",
        model=snapshot.model,
        partition=snapshot.partition,
        digest=snapshot.digest,
        answer=_contract_answer(broken, len(results), snapshot.n_set_aside),
        tiles=tiles,
        snapshot=snapshot,
        results=ordered,
    )


def evaluation_page(
    snapshot: SnapshotRef,
    report: EvaluationReport,
    decision: Decision | None = None,
    *,
    pictures: Sequence[str] = (),
    trail: Sequence[Link] = (),
    links: Sequence[Link] = (),
) -> str:
    """Return the page about the candidate and whether it may serve.

    Parameters
    ----------
    report : EvaluationReport
        The evidence; its first metric is the headline.
    pictures : sequence of str, default ()
        SVG texts: ROC, calibration, scores, estimators, importance.
    trail, links : sequence of Link, default ()
        The breadcrumb, and related pages, in the console.
    """
    whole = [m for m in report.metrics if m.slice is None]
    ranked = sorted(report.candidates or (report.bundle,), key=lambda b: (b.baseline, -_or_zero(b.validation_score)))
    return page(
        "evaluation.html",
        kind="Evaluation",
        model=snapshot.model,
        partition=snapshot.partition,
        digest_of="bundle",
        digest=report.bundle.digest,
        trail=trail,
        links=links,
        answer=_evaluation_answer(report, decision),
        tiles=_evaluation_tiles(whole, report),
        report=report,
        whole=whole,
        slices=[m for m in report.metrics if m.slice is not None],
        weak_slices_lead=weak_slices_lead(report.slice_search),
        bundles=ranked,
        searches=[
            (ref.estimator, search_sentences(ref.search, report.search_gain if ref == report.judged else None))
            for ref in ranked
            if ref.search
        ],
        pictures=pictures,
    )


def _contract_answer(broken: Sequence[CheckResult], n: int, n_set_aside: int) -> Answer:
    question = "Do the data keep the contract?"
    reasons = tuple(f"{r.expectation} on {r.column or 'the table'}: {r.observed}" for r in broken[:5])
    failed, warned = (sum(r.severity is wanted for r in broken) for wanted in (Severity.FAIL, Severity.WARN))
    if failed:
        text = f"No: {failed} of {n} {plural('expectation', n)} {_are(failed)} broken, and the run stops."
        return Answer(question=question, answer=text, tone="fail", reasons=reasons)
    if broken:
        found = [f"{warned} {plural('warning', warned)} in {n} {plural('expectation', n)}"] if warned else []
        found += [f"{count(n_set_aside)} {plural('row', n_set_aside)} set aside"] if len(broken) > warned else []
        return Answer(question=question, answer=f"Yes, with {' and '.join(found)}.", tone="warn", reasons=reasons)
    if not n:
        return Answer(question=question, answer="Not known: the contract has no expectation.", tone="none")
    return Answer(question=question, answer=f"Yes: all {n} expectations hold.", tone="good")


def _evaluation_answer(report: EvaluationReport, decision: Decision | None) -> Answer:
    question = "Is the candidate good enough to serve?"
    if decision is None:
        text = f"{report.estimator} is measured; the decision is open."
        return Answer(question=question, answer=text, tone="none")
    text, tone = {
        Verdict.ACCEPT: (f"Yes: {report.estimator} is accepted.", "good"),
        Verdict.REJECT: (f"No: {report.estimator} is refused, and nothing changes.", "fail"),
        Verdict.NOT_ENOUGH_EVIDENCE: ("Not known: there is not enough evidence, and nothing changes.", "warn"),
    }[decision.verdict]
    return Answer(question=question, answer=text, tone=tone, reasons=decision.reasons)


def _evaluation_tiles(whole: Sequence[MetricValue], report: EvaluationReport) -> list[Tile]:
    tiles = [Tile(label=m.name, value=figure(m.value), note=interval(m)) for m in whole[:2]]
    if report.baselines:
        hardest = min(report.baselines, key=_advantage)
        tiles.append(_difference(f"over {hardest.slice or 'the best baseline'}", hardest))
    if report.champion_difference is not None:
        tiles.append(_difference(f"over champion {report.champion_release}", report.champion_difference))
    tiles.append(Tile(label="Test rows", value=count(report.n_test), note="nothing was fitted or chosen on them"))
    return tiles


def _advantage(difference: MetricValue) -> float:
    """Return the candidate's advantage; an undefined difference is not an advantage."""
    up = 1 if greater_is_better(difference.name) else -1
    return up * difference.value if math.isfinite(difference.value) else -math.inf


def _difference(label: str, metric: MetricValue) -> Tile:
    sign = "+" if metric.value > 0 else ""
    return Tile(label=f"{metric.name} {label}", value=f"{sign}{figure(metric.value)}", note=interval(metric))


def _or_zero(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else 0.0


def _rounded(share: float) -> float:
    """Return a rounded share, so that traces of missing values do not determine the order."""
    return round(_or_zero(share), 2)


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
