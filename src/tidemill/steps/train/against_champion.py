"""The candidate against the champion, scored on the same rows that neither was trained on.

A bundle is neither fitted nor chosen on rows from the start of its test set. The champion is therefore compared on test
rows from the start of its own test set. If these are too few, all test rows are used, and the report states the bias.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.errors import ArtifactCorrupt, ContractBroken, SchemaChanged
from tidemill.metrics.blocks import MIN_BLOCKS, index_blocks
from tidemill.metrics.differences import paired_difference
from tidemill.modeling.bundle import Bundle
from tidemill.modeling.feature_kinds import changed_kinds
from tidemill.modeling.gate.churn import changed_answers, mean_change
from tidemill.modeling.gate.gate import MIN_TEST_ROWS
from tidemill.records import EvaluationReport, MetricValue
from tidemill.runtime.job import Job
from tidemill.steps.data.features import LabelledSet
from tidemill.storage.bundles import load_bundle
from tidemill.warehouse.releases.registry import Release

__all__ = ["compare_with_champion"]

Rows = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]

_MAX_VALUES = 20  # most frequent values of a slicing feature to compare


def compare_with_champion(
    job: Job, test: LabelledSet, bundle: Bundle, score: Numbers, report: EvaluationReport
) -> EvaluationReport:
    """Add the comparison of the candidate with the champion, if any, to a report.

    Raises
    ------
    ArtifactCorrupt
        If the champion's bundle is not what its digest says.
    """
    champion = job.releases.champion(job.spec.model)
    if champion is None:
        return report
    report = replace(
        report,
        champion_release=champion.release_id,
        champion_unlabelled_share=champion.evidence.get("unlabelled_share"),
        champion_looks=1 + job.releases.n_looks(job.spec.model, champion.release_id, job.partition.key),
    )
    report = _compare_with_anchor(job, test, bundle, score, report)
    pair = _paired(job, test, bundle, score, champion)
    if isinstance(pair, str):
        return replace(report, champion_problem=pair)
    serving, its_score = pair.serving, pair.its_score
    return replace(
        report,
        champion_difference=pair.difference(pair.rows, f"release {champion.release_id}"),
        champion_saw_test=not pair.fair,
        champion_slices=tuple(pair.difference(of_slice, name) for name, of_slice in pair.slices()),
        churn=pair.churn(),
        mean_change=mean_change(score, its_score, test.clusters) if bundle.classes == serving.classes else None,
    )


def _compare_with_anchor(
    job: Job, test: LabelledSet, bundle: Bundle, score: Numbers, report: EvaluationReport
) -> EvaluationReport:
    """Add the comparison with the champion of ``accept.anchor`` promotions ago, or the first one."""
    n_promotions = job.spec.accept.anchor
    anchor = None if n_promotions is None else job.releases.anchor(job.spec.model, n_promotions)
    if anchor is None:
        return report
    report = replace(report, anchor_release=anchor.release_id)
    try:
        pair = _paired(job, test, bundle, score, anchor)
    except ArtifactCorrupt as error:  # retention keeps it only as long as retention.releases says
        return replace(report, anchor_problem=error.problem)
    if isinstance(pair, str):
        return replace(report, anchor_problem=pair)
    return replace(report, anchor_difference=pair.difference(pair.rows, f"release {anchor.release_id}"))


def _paired(job: Job, test: LabelledSet, bundle: Bundle, score: Numbers, other: Release) -> "_Pair | str":
    """Return the candidate and another release on the same rows, or why they cannot be compared."""
    serving = load_bundle(job.store.path(other.bundle_uri), other.bundle_digest, job.spec.train.trusted)
    if serving.task != bundle.task:
        return f"It answers the task {serving.task!r}, not {bundle.task!r}."
    changed = changed_kinds(serving.schema, test.stored.schema)
    if changed:
        return f"It was trained on other types: {'; '.join(changed)}."
    try:
        its_score = serving.score(test.X)
    except (SchemaChanged, ContractBroken) as error:  # the query has changed since it was trained
        return error.problem
    rows = _unseen(job, other, test)
    fair = _suffice(rows, test)
    return _Pair(
        job=job,
        test=test,
        bundle=bundle,
        score=score,
        serving=serving,
        its_score=its_score,
        rows=rows if fair else np.ones_like(rows),
        fair=fair,
    )


def _unseen(job: Job, champion: Release, test: LabelledSet) -> Rows:
    """Return the mask of rows from the start of the champion's own test set."""
    keys = {key: job.spec.block(key).interval.start >= champion.learnt_until for key in np.unique(test.blocks)}
    return np.array([keys[key] for key in test.blocks], dtype=bool)


def _suffice(rows: Rows, test: LabelledSet) -> bool:
    n_rows = int(rows.sum())
    return n_rows == len(rows) or (n_rows >= MIN_TEST_ROWS and index_blocks(test.blocks[rows], n_rows).n >= MIN_BLOCKS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pair:
    """Candidate and champion, scored on the same rows."""

    job: Job
    test: LabelledSet
    bundle: Bundle
    score: Numbers
    serving: Bundle
    its_score: Numbers
    rows: Rows
    """Mask of the compared rows."""
    fair: bool
    """Whether they are rows that the other release was not trained on."""

    def difference(self, rows: Rows, name: str) -> MetricValue:
        """Return candidate minus champion on some rows."""
        return paired_difference(
            self.job.spec.accept.metric,
            self.test.y[rows],
            self.score[rows],
            self.its_score[rows],
            self.test.clusters[rows],
            task=self.bundle.task,
            threshold_a=self.bundle.threshold,
            threshold_b=self.serving.threshold,
            classes_a=self.bundle.class_names,
            classes_b=self.serving.class_names,
            sample_weight=self.test.weight_of(rows),
            slice=name,
        )

    def churn(self) -> MetricValue:
        """Return the difference of the answers on all test rows, which needs no label."""
        answers = self.bundle.answer_of(self.score), self.serving.answer_of(self.its_score)
        has_classes = self.bundle.task_type.has_classes
        return changed_answers(*answers, self.test.y, self.test.clusters, has_classes=has_classes)

    def slices(self) -> Iterator[tuple[str, Rows]]:
        """Return the compared rows of each value of the declared slices."""
        for feature in self.job.spec.accept.slices:
            column = pd.Series(self.test.X[feature].to_numpy(dtype=object))
            texts = column.map(str).where(column.notna(), "missing")
            for value in sorted(texts[self.rows].value_counts().index[:_MAX_VALUES]):
                yield f"{feature}={value}", (texts == value).to_numpy() & self.rows
